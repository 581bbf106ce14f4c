package message

import (
	"encoding/binary"

	"github.com/bluetick/bluetick/schemas"
)

// Prefixes of the keys in the store.
const (
	prefixMessage = 'm' // m | home day (2) | message key (16) → State
	prefixPane    = 'p' // p | minute (4) | tuple id (4) → Counts
	prefixTuple   = 'x' // x | tuple → id, last home day
	prefixPaneDay = 'q' // q | day of the minutes (2) → last home day
	prefixAccount = 'a' // a | account → how its reports come
	keyClock      = "d" // D-clock, next tuple id
	keyDoors      = "h" // what the heartbeats said
	keyDoubts     = "b" // what of the D-clock is not believed yet
)

const (
	daySeconds   = 24 * 3600
	minutesInDay = 24 * 60
	// lastDay is the last day a home can have: 2 bytes, June 2149.
	lastDay = 1<<16 - 1
	// lastInstant is the last instant whose day fits.
	lastInstant = schemas.Instant((lastDay+1)*daySeconds*1000 - 1)
)

// day is a day since the epoch, UTC.
type day uint16

func dayOf(seconds int64) day { return day(seconds / daySeconds) }

const messageKeyBytes = 1 + 2 + len(schemas.Key{})

func appendMessageKey(b []byte, d day, k schemas.Key) []byte {
	b = binary.BigEndian.AppendUint16(append(b, prefixMessage), uint16(d))
	return append(b, k[:]...)
}

// appendDayKey is the bound of a day's rows under a prefix of days; d may be
// one more than the last day.
func appendDayKey(b []byte, prefix byte, d int) []byte {
	if d > lastDay {
		return append(b, prefix+1)
	}
	return binary.BigEndian.AppendUint16(append(b, prefix), uint16(d))
}

const paneKeyBytes = 1 + 4 + 4

// appendPaneKey takes a cell, which orders as the key does.
func appendPaneKey(b []byte, c cell) []byte {
	return binary.BigEndian.AppendUint64(append(b, prefixPane), uint64(c))
}

// cell is minute and tuple id of a pane in one comparable number.
type cell uint64

func cellOf(minute, tuple uint32) cell { return cell(minute)<<32 | cell(tuple) }

func (c cell) minute() uint32 { return uint32(c >> 32) }

func (c cell) day() day { return day(c.minute() / minutesInDay) }

func appendTupleKey(b []byte, t *schemas.Tuple) []byte {
	b = append(b, prefixTuple)
	for _, s := range [...]string{
		t.Account, string(t.Channel), t.Sender, t.Country, t.Campaign, t.Template, t.Variant, t.Segment,
	} {
		b = appendString(b, s)
	}
	return b
}
