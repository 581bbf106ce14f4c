package message

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/bluetick/bluetick/internal/statecodec"
	"github.com/bluetick/bluetick/schemas"
)

const (
	// shutFor is how long, in milliseconds, a shutting is told of after it ended:
	// longer than a roll-up can lag behind without anybody noticing.
	shutFor = 3 * daySeconds * 1000
	// maxDoors bounds the doors known at once, and what is remembered of their past;
	// the longest silent leave first.
	maxDoors = 256
	// doorsFormat is the first byte of the row.
	doorsFormat = 1
)

// doors is what the heartbeats of the partition say: up to when everything that
// was taken in is in the log, and when no door was open. It is a value that
// depends on the heartbeats alone, in their order. The zero value has heard none.
//
// A door is open from its opening to its last heartbeat. One that has been silent
// for less than its patience may still be open, and what it holds back is not
// known: nothing is complete past its last heartbeat until it beats again, or its
// patience is over, counted by the heartbeats of the others. Then it was shut all
// the while. What no door covers is a shutting.
type doors struct {
	byID map[schemas.Key]door
	// openTo is the instant up to which it is known when a door was open and when
	// none was; 0 before the first heartbeat.
	openTo schemas.Instant
	// start is where that begins: the first opening heard of.
	start schemas.Instant
	// completeTo never falls.
	completeTo schemas.Instant
	// shut are the shuttings before openTo, in order and apart.
	shut []schemas.Shutting
	// past are times, ending after openTo, in which a door was open that then was
	// silent for too long.
	past []opening
}

// opening is a time from `from` to `to` during which a door was open.
type opening struct{ from, to schemas.Instant }

// door is what is known of one: it was open from `from` to `at`.
type door struct {
	from, at schemas.Instant
	// through is the instant before which all it took in is in the log.
	through            schemas.Instant
	settling, patience int64
	closing            bool
}

// hear takes in a heartbeat. One that is not newer than the door's last says
// nothing new.
func (d *doors) hear(h *schemas.Heartbeat) {
	at, known := d.byID[h.Door]
	if known && (h.At <= at.at || at.closing) {
		return
	}
	from := h.Opened
	switch {
	case known && int64(h.At-at.at) <= at.patience:
		from = at.from
	case known:
		d.past = append(d.past, opening{at.from, at.at})
		fallthrough
	case int64(h.At-h.Opened) > h.Patience:
		from = h.At // it was silent for too long: whatever it did, it answered nobody
	}
	if d.byID == nil {
		d.byID = map[schemas.Key]door{}
	}
	d.byID[h.Door] = door{
		from: from, at: h.At, through: h.Through(), settling: h.Settling, patience: h.Patience, closing: h.Closing,
	}
	if d.openTo == 0 {
		d.openTo, d.start = from, from
	}
	d.cover()
	d.complete()
	d.drop()
}

// now is the newest clock of any door.
func (d *doors) now() (newest schemas.Instant) {
	for _, at := range d.byID {
		newest = max(newest, at.at)
	}
	return newest
}

// mayBeOpen reports whether a door can still say that it was open all the while.
func (at *door) mayBeOpen(now schemas.Instant) bool {
	return !at.closing && int64(now-at.at) <= at.patience
}

// cover moves openTo as far as the doors say when they were open, and notes a
// shutting where none was and none can turn out to have been.
func (d *doors) cover() {
	now := d.now()
	for {
		next, undecided := schemas.Instant(math.MaxInt64), false
		covered := d.openTo
		for _, at := range d.byID {
			switch {
			case at.from <= d.openTo:
				covered = max(covered, at.at)
				undecided = undecided || at.mayBeOpen(now) && at.at <= d.openTo
			case at.at > d.openTo:
				next = min(next, at.from)
			}
		}
		for _, p := range d.past {
			switch {
			case p.from <= d.openTo:
				covered = max(covered, p.to)
			case p.to > d.openTo:
				next = min(next, p.from)
			}
		}
		switch {
		case covered > d.openTo:
			d.openTo = covered
		case next == math.MaxInt64 || undecided:
			return
		default:
			d.close(d.openTo, next)
			d.openTo = next
		}
	}
}

// close notes a shutting. Of too many, the two nearest become one: more counts as
// not heard, never less.
func (d *doors) close(from, to schemas.Instant) {
	old := func(s schemas.Shutting) bool { return s.To < to-shutFor }
	d.shut = append(slices.DeleteFunc(slices.Clone(d.shut), old), schemas.Shutting{From: from, To: to})
	if len(d.shut) <= schemas.MaxShuttings {
		return
	}
	nearest := 1
	for i := 2; i < len(d.shut); i++ {
		if d.shut[i].From-d.shut[i-1].To < d.shut[nearest].From-d.shut[nearest-1].To {
			nearest = i
		}
	}
	d.shut[nearest-1].To = d.shut[nearest].To
	d.shut = slices.Delete(d.shut, nearest, nearest+1)
}

// complete moves completeTo to what every door that may be open has put into the
// log, less the time that webhooks travel.
func (d *doors) complete() {
	now, least, found := d.now(), schemas.Instant(math.MaxInt64), false
	for _, at := range d.byID {
		if at.mayBeOpen(now) || at.closing && at.at == now {
			least, found = min(least, min(at.through, d.openTo)-schemas.Instant(at.settling)), true
		}
	}
	if found {
		d.completeTo = max(d.completeTo, least)
	}
}

// drop forgets doors that say nothing more: what they covered is decided.
func (d *doors) drop() {
	now := d.now()
	maps.DeleteFunc(d.byID, func(_ schemas.Key, at door) bool { return at.at <= d.openTo && at.at < now && !at.mayBeOpen(now) })
	d.past = slices.DeleteFunc(d.past, func(p opening) bool { return p.to <= d.openTo })
	d.past = d.past[max(0, len(d.past)-maxDoors):]
	for len(d.byID) > maxDoors {
		delete(d.byID, slices.MinFunc(d.ids(), func(a, b schemas.Key) int { return int(d.byID[a].at - d.byID[b].at) }))
	}
}

// ids are the doors in order.
func (d *doors) ids() []schemas.Key {
	return slices.SortedFunc(maps.Keys(d.byID), schemas.Key.Compare)
}

func (d *doors) encode() []byte {
	b := []byte{doorsFormat}
	b = statecodec.AppendInt(b, int64(d.openTo))
	b = statecodec.AppendInt(b, int64(d.start))
	b = statecodec.AppendInt(b, int64(d.completeTo))
	b = statecodec.AppendUint(b, uint64(len(d.shut)))
	for _, s := range d.shut {
		b = statecodec.AppendInt(b, int64(s.From))
		b = statecodec.AppendInt(b, int64(s.To))
	}
	b = statecodec.AppendUint(b, uint64(len(d.past)))
	for _, p := range d.past {
		b = statecodec.AppendInt(b, int64(p.from))
		b = statecodec.AppendInt(b, int64(p.to))
	}
	b = statecodec.AppendUint(b, uint64(len(d.byID)))
	for _, id := range d.ids() {
		at := d.byID[id]
		b = append(b, id[:]...)
		for _, v := range []int64{int64(at.from), int64(at.at), int64(at.through), at.settling, at.patience} {
			b = statecodec.AppendInt(b, v)
		}
		b = statecodec.AppendBool(b, at.closing)
	}
	return b
}

func decodeDoors(b []byte) (doors, error) {
	r := statecodec.NewReader(b)
	r.Format(doorsFormat)
	instant := func() schemas.Instant { return schemas.Instant(r.Int()) }
	d := doors{openTo: instant(), start: instant(), completeTo: instant()}
	for range r.Count(2) {
		d.shut = append(d.shut, schemas.Shutting{From: instant(), To: instant()})
	}
	for range r.Count(2) {
		d.past = append(d.past, opening{instant(), instant()})
	}
	d.byID = map[schemas.Key]door{}
	for range r.Count(len(schemas.Key{}) + 6) {
		var id schemas.Key
		copy(id[:], r.Take(uint64(len(id))))
		d.byID[id] = door{instant(), instant(), instant(), r.Int(), r.Int(), r.Bool()}
	}
	if err := r.End(); err != nil {
		return doors{}, fmt.Errorf("read doors: %w", err)
	}
	return d, nil
}
