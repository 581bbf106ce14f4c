package message

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/schemas"
)

// maxCleanPanes bounds the panes held decoded beyond those that are dirty or
// not yet saved: 1 KiB each.
const maxCleanPanes = 1 << 15

// pane is one pane in memory.
type pane struct {
	cell   cell
	tuple  *tuple
	counts schemas.Counts
	// dirty: changed since it was last drained. unsaved: since it was last saved.
	dirty, unsaved bool
}

func (p *pane) key() PaneKey { return PaneKey{int64(p.cell.minute()) * 60, p.tuple.Tuple} }

// panes holds the panes that are being counted, in front of the store.
type panes struct {
	st    store.State
	words words
	cells map[cell]*pane
	// dirty and unsaved list the panes with those flags; a pane whose flag was
	// taken back stays listed until the next drain or save.
	dirty, unsaved []*pane
	dirtyCount     int
	// leaving are dirty panes that were forgotten before they were drained, and
	// are drained with their last counts unless the pane is counted anew.
	leaving map[PaneKey]*pane
	// days holds, per day of send minutes, the greatest home day of a message
	// that was in one of its panes.
	days  map[day]day
	key   []byte
	value []byte
}

func openPanes(st store.State) (*panes, error) {
	p := &panes{
		st: st, words: words{}, cells: map[cell]*pane{}, leaving: map[PaneKey]*pane{}, days: map[day]day{},
		key: make([]byte, 0, paneKeyBytes),
	}
	var bad error
	err := st.Scan([]byte{prefixPaneDay}, []byte{prefixPaneDay + 1}, func(key, value []byte) bool {
		if len(key) != 3 || len(value) != 2 {
			bad = errShort
			return false
		}
		p.days[day(binary.BigEndian.Uint16(key[1:]))] = day(binary.BigEndian.Uint16(value))
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("read pane days: %w", err)
	}
	return p, nil
}

// get returns a pane to be changed, and marks it dirty.
func (ps *panes) get(minute uint32, t *tuple) (*pane, error) {
	c := cellOf(minute, t.id)
	p := ps.cells[c]
	if p == nil {
		p = &pane{cell: c, tuple: t}
		ps.key = appendPaneKey(ps.key[:0], c)
		value, ok, err := ps.st.Get(ps.key)
		if err == nil && ok {
			p.counts, err = decodeCounts(value, ps.words)
		}
		if err != nil {
			return nil, fmt.Errorf("read pane of minute %d, tuple %d: %w", minute, t.id, err)
		}
		ps.cells[c] = p
		ps.replace(p)
	}
	if !p.dirty {
		p.dirty = true
		ps.dirty = append(ps.dirty, p)
		ps.dirtyCount++
	}
	if !p.unsaved {
		p.unsaved = true
		ps.unsaved = append(ps.unsaved, p)
	}
	return p, nil
}

// replace takes back the row of a pane that was forgotten and is counted anew.
func (ps *panes) replace(p *pane) {
	if len(ps.leaving) == 0 {
		return
	}
	if old := ps.leaving[p.key()]; old != nil {
		old.dirty = false
		ps.dirtyCount--
		delete(ps.leaving, p.key())
	}
}

// touch notes that a message with this home is in a pane of the minute.
func (ps *panes) touch(minute uint32, home day) {
	d := day(minute / minutesInDay)
	if last, ok := ps.days[d]; ok && last >= home {
		return
	}
	ps.days[d] = home
	ps.key = appendDayKey(ps.key[:0], prefixPaneDay, int(d))
	ps.value = binary.BigEndian.AppendUint16(ps.value[:0], uint16(home))
	ps.st.Set(ps.key, ps.value)
}

// drain returns the dirty panes in key order and marks them clean. The slice
// is valid until the next get.
func (ps *panes) drain() []*pane {
	ps.dirty = slices.DeleteFunc(ps.dirty, func(p *pane) bool { return !p.dirty })
	slices.SortFunc(ps.dirty, func(a, b *pane) int { return cmp.Compare(a.cell, b.cell) })
	for _, p := range ps.dirty {
		p.dirty = false
	}
	drained := ps.dirty
	ps.dirty, ps.dirtyCount = ps.dirty[:0], 0
	clear(ps.leaving)
	return drained
}

// save writes what changed; a pane that counts nothing has no row. Then it
// drops clean panes if there are many.
func (ps *panes) save() {
	for _, p := range ps.unsaved {
		if !p.unsaved {
			continue
		}
		p.unsaved = false
		ps.key = appendPaneKey(ps.key[:0], p.cell)
		if isZero(&p.counts) {
			ps.st.Delete(ps.key)
			continue
		}
		ps.value = appendCounts(ps.value[:0], &p.counts)
		ps.st.Set(ps.key, ps.value)
	}
	clear(ps.unsaved)
	ps.unsaved = ps.unsaved[:0]
	if len(ps.cells)-ps.dirtyCount <= maxCleanPanes {
		return
	}
	for c, p := range ps.cells {
		if !p.dirty {
			delete(ps.cells, c)
		}
	}
}

// forget drops the days of panes that no message with a home after last has
// been in, so that no remembered message can touch them. oldest is the oldest
// day left, later than every day if none is left.
func (ps *panes) forget(last day) (oldest int, err error) {
	oldest = lastDay + 1
	for d, home := range ps.days {
		if home > last {
			oldest = min(oldest, int(d))
			continue
		}
		lo := appendPaneKey(nil, cellOf(uint32(d)*minutesInDay, 0))
		hi := appendPaneKey(nil, cellOf((uint32(d)+1)*minutesInDay, 0))
		if err := ps.st.DeleteRange(lo, hi); err != nil {
			return 0, fmt.Errorf("forget panes of day %d: %w", d, err)
		}
		delete(ps.days, d)
		ps.key = appendDayKey(ps.key[:0], prefixPaneDay, int(d))
		ps.st.Delete(ps.key)
		ps.drop(d)
	}
	return oldest, nil
}

// drop takes the panes of a forgotten day out of memory.
func (ps *panes) drop(d day) {
	for c, p := range ps.cells {
		if c.day() != d {
			continue
		}
		delete(ps.cells, c)
		p.unsaved = false
		if p.dirty {
			ps.leaving[p.key()] = p
		}
	}
}
