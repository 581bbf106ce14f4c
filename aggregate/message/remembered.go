package message

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/schemas"
)

// rememberDays is how long a message is remembered after its home day.
const rememberDays = schemas.RememberDays

// home is the messages of one home day.
type home struct {
	day      day
	filter   filter
	messages int64
	orphans  int64
}

// remembered finds message rows. A row lies under its home day, the later of
// the D-clock's day at first sight and its send day; it is looked up from the
// newest day back, each asked through its filter.
type remembered struct {
	st store.State
	// homes are the days with messages, newest first: at most about
	// rememberDays of them.
	homes []*home
	key   []byte
}

func openRemembered(st store.State) (*remembered, error) {
	r := &remembered{st: st, key: make([]byte, 0, messageKeyBytes)}
	var current *home
	var digests []uint64
	var bad error
	closeDay := func() {
		if current != nil {
			current.filter = filterOf(digests)
			digests = digests[:0]
		}
	}
	err := st.Scan([]byte{prefixMessage}, []byte{prefixMessage + 1}, func(key, value []byte) bool {
		if len(key) != messageKeyBytes {
			bad = errShort
			return false
		}
		seen, err := seenOf(value)
		if bad = err; bad != nil {
			return false
		}
		if d := day(key[1])<<8 | day(key[2]); current == nil || current.day != d {
			closeDay()
			current = r.home(d)
		}
		current.messages++
		if !knownBy(seen) {
			current.orphans++
		}
		digests = append(digests, digest((*schemas.Key)(key[3:])))
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	closeDay()
	return r, nil
}

// home returns the home of a day, made if it is new: for as many messages as
// the newest has.
func (r *remembered) home(d day) *home {
	i, ok := slices.BinarySearchFunc(r.homes, d, func(h *home, d day) int { return cmp.Compare(d, h.day) })
	if !ok {
		expected := 0
		if len(r.homes) > 0 {
			expected = int(r.homes[0].messages)
		}
		r.homes = slices.Insert(r.homes, i, &home{day: d, filter: newFilter(expected)})
	}
	return r.homes[i]
}

// find returns where the message lies and its value, which is valid until the
// next call on the store; nil if it is not remembered.
func (r *remembered) find(k schemas.Key, h uint64) (*home, []byte, error) {
	for _, at := range r.homes {
		if !at.filter.has(h) {
			continue
		}
		r.key = appendMessageKey(r.key[:0], at.day, k)
		value, ok, err := r.st.Get(r.key)
		if err != nil {
			return nil, nil, fmt.Errorf("look up message %s: %w", k, err)
		}
		if ok {
			return at, value, nil
		}
	}
	return nil, nil, nil
}

// lodging is where the row of a message was (from is nil if it is new), where it
// goes, and whether the message was and is an orphan.
type lodging struct {
	from              *home
	to                day
	wasOrphan, orphan bool
}

// put writes the row of a message under its new day and takes it out of the old.
func (r *remembered) put(k schemas.Key, h uint64, l lodging, value []byte) {
	at, from := l.from, l.from
	if from == nil || from.day != l.to {
		at = r.home(l.to)
		at.filter.add(h)
		at.messages++
		at.orphans += one(l.orphan)
		if from != nil {
			from.messages--
			from.orphans -= one(l.wasOrphan)
			r.key = appendMessageKey(r.key[:0], from.day, k)
			r.st.Delete(r.key)
		}
	} else {
		at.orphans += one(l.orphan) - one(l.wasOrphan)
	}
	r.key = appendMessageKey(r.key[:0], l.to, k)
	r.st.Set(r.key, value)
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// forget drops every home up to the given day, inclusive, and returns how many
// messages, and how many orphans among them, it held.
func (r *remembered) forget(last day) (messages, orphans int64, err error) {
	for n := len(r.homes); n > 0 && r.homes[n-1].day <= last; n-- {
		h := r.homes[n-1]
		lo := appendDayKey(nil, prefixMessage, int(h.day))
		hi := appendDayKey(nil, prefixMessage, int(h.day)+1)
		if err := r.st.DeleteRange(lo, hi); err != nil {
			return 0, 0, fmt.Errorf("forget messages of day %d: %w", h.day, err)
		}
		messages += h.messages
		orphans += h.orphans
		r.homes = r.homes[:n-1]
	}
	return messages, orphans, nil
}
