package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/schemas"
)

// tuple is a tuple in use and its id within this partition.
type tuple struct {
	schemas.Tuple
	id uint32
	// lastHome is the greatest home day of a message that has had this tuple.
	lastHome day
	// rowKey is the Kafka key of its panes: the account.
	rowKey []byte
}

// tuples interns tuples: ids in first-seen order, never used twice and never on
// the wire. All that a remembered message has had are held in memory, both
// ways: some 400 bytes each, a few thousand campaigns × countries in practice.
type tuples struct {
	st      store.State
	byValue map[schemas.Tuple]*tuple
	byID    map[uint32]*tuple
	next    uint32
	key     []byte
	value   []byte
}

func openTuples(st store.State, next uint32) (*tuples, error) {
	t := &tuples{st: st, byValue: map[schemas.Tuple]*tuple{}, byID: map[uint32]*tuple{}, next: next}
	var bad error
	err := st.Scan([]byte{prefixTuple}, []byte{prefixTuple + 1}, func(key, value []byte) bool {
		var e *tuple
		if e, bad = decodeTuple(key[1:], value); bad == nil {
			t.add(e)
		}
		return bad == nil
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("read tuples: %w", err)
	}
	return t, nil
}

func decodeTuple(key, value []byte) (*tuple, error) {
	k := reader{b: key}
	var s [8]string
	for i := range s {
		s[i] = string(k.bytes(k.uvarint()))
	}
	v := reader{b: value}
	id, home := v.uvarint(), v.uvarint()
	if k.done() != nil || v.done() != nil || id > math.MaxUint32 || home > lastDay {
		return nil, errShort
	}
	return &tuple{
		Tuple: schemas.Tuple{
			Account: s[0], Channel: schemas.Channel(s[1]), Sender: s[2], Country: s[3],
			Campaign: s[4], Template: s[5], Variant: s[6], Segment: s[7],
		},
		id: uint32(id), lastHome: day(home),
	}, nil
}

func (t *tuples) add(e *tuple) {
	e.rowKey = []byte(e.Account)
	t.byValue[e.Tuple], t.byID[e.id] = e, e
}

// of returns the tuple of an id, or nil.
func (t *tuples) of(id uint32) *tuple { return t.byID[id] }

// intern returns the tuple of a value, with a new id if it is not in use.
func (t *tuples) intern(v schemas.Tuple, home day) (*tuple, error) {
	if e := t.byValue[v]; e != nil {
		return e, nil
	}
	if t.next == math.MaxUint32 {
		return nil, errors.New("tuple ids are used up: start a new epoch")
	}
	e := &tuple{Tuple: v, id: t.next, lastHome: home}
	t.next++
	t.add(e)
	t.save(e)
	return e, nil
}

// touch notes that a message with this home has the tuple.
func (t *tuples) touch(e *tuple, home day) {
	if home > e.lastHome {
		e.lastHome = home
		t.save(e)
	}
}

func (t *tuples) save(e *tuple) {
	t.key = appendTupleKey(t.key[:0], &e.Tuple)
	t.value = binary.AppendUvarint(t.value[:0], uint64(e.id))
	t.value = binary.AppendUvarint(t.value, uint64(e.lastHome))
	t.st.Set(t.key, t.value)
}

// forget drops the tuples that only messages with a home before the given day
// have had. The order of deletion does not show in the state.
func (t *tuples) forget(before int) {
	for id, e := range t.byID {
		if int(e.lastHome) >= before {
			continue
		}
		delete(t.byID, id)
		delete(t.byValue, e.Tuple)
		t.key = appendTupleKey(t.key[:0], &e.Tuple)
		t.st.Delete(t.key)
	}
}
