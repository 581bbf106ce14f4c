package message

import (
	"errors"
	"fmt"

	"github.com/bluetick/bluetick/internal/statecodec"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// doubtsFormat is the first byte of the row of a clock in doubt.
const doubtsFormat = 1

// saveDoubts writes what is not believed of the D-clock yet, if that has changed;
// hardly ever there is any.
func (f *Fold) saveDoubts() {
	was, is := f.savedClock, f.dclock
	switch {
	case was.From == is.From && was.To == is.To:
	case is.Doubts():
		f.st.Set([]byte(keyDoubts), appendDoubts([]byte{doubtsFormat}, &is))
	default:
		f.st.Delete([]byte(keyDoubts))
	}
}

func (f *Fold) readDoubts() error {
	value, ok, err := f.st.Get([]byte(keyDoubts))
	if err != nil || !ok {
		return err
	}
	r := statecodec.NewReader(value)
	r.Format(doubtsFormat)
	readDoubts(r, &f.dclock)
	if err := r.End(); err != nil {
		return fmt.Errorf("read D-clock in doubt: %w", err)
	}
	return nil
}

func appendDoubts(b []byte, c *task.Believed) []byte {
	b = statecodec.AppendInt(b, int64(c.From))
	return statecodec.AppendInt(b, int64(c.To))
}

func readDoubts(r *statecodec.Reader, c *task.Believed) {
	c.From, c.To = schemas.Instant(r.Int()), schemas.Instant(r.Int())
	if c.From > c.To || c.From < 0 {
		r.Fail(statecodec.ErrRange)
	}
}

// hearsay is what doors say, believed like the D-clock: what comes with a clock that is
// more than a day ahead is set aside until it is believed. Otherwise one such word
// would complete all minutes until then, and the doors would not be heard until time
// has caught up.
type hearsay struct {
	doors // what is believed
	clock task.Believed
	// beyond is what was said with a clock that is not believed yet.
	beyond doors
}

// hear takes in a heartbeat.
func (d *hearsay) hear(h *schemas.Heartbeat) {
	ahead := d.clock.Ahead(h.At)
	d.clock.Advance(h.At)
	if !ahead {
		d.beyond = doors{}
		d.doors.hear(h)
		return
	}
	d.beyond.hear(h)
	if !d.clock.Doubts() {
		d.doors.goOn(&d.beyond)
		d.beyond = doors{}
	}
}

// goOn takes in all that later doors have said, so much later that none of d's is
// open any more.
func (d *doors) goOn(later *doors) {
	if d.openTo < later.start {
		d.close(d.openTo, later.start)
	}
	for _, s := range later.shut {
		d.close(s.From, s.To)
	}
	d.openTo, d.byID, d.past = later.openTo, later.byID, later.past
	d.completeTo = max(d.completeTo, later.completeTo)
}

func (d *hearsay) encode() []byte {
	b := appendDoubts(statecodec.AppendInt([]byte{doubtsFormat}, int64(d.clock.Clock)), &d.clock)
	b = statecodec.AppendText(b, string(d.doors.encode()))
	return statecodec.AppendText(b, string(d.beyond.encode()))
}

func decodeHearsay(b []byte) (hearsay, error) {
	r := statecodec.NewReader(b)
	r.Format(doubtsFormat)
	var d hearsay
	d.clock.Clock = schemas.Instant(r.Int())
	readDoubts(r, &d.clock)
	sure, beyond := r.Bytes(), r.Bytes()
	if err := r.End(); err != nil {
		return hearsay{}, fmt.Errorf("read what doors said: %w", err)
	}
	var err, err2 error
	d.doors, err = decodeDoors(sure)
	d.beyond, err2 = decodeDoors(beyond)
	return d, errors.Join(err, err2)
}
