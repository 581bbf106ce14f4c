package alert

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Budget is how many false alarms a rule may raise: Count per account in each
// Per, over all the account's series, ages and tiers together.
type Budget struct {
	Count int
	Per   time.Duration
}

var (
	_ encoding.TextUnmarshaler = (*Budget)(nil)
	_ encoding.TextMarshaler   = Budget{}
)

// UnmarshalText reads "<count> per account per <duration>", the duration in
// whole days ("90d"), hours, minutes or seconds.
func (b *Budget) UnmarshalText(text []byte) error {
	words := strings.Fields(string(text))
	if len(words) != 5 || words[1] != "per" || words[2] != "account" || words[3] != "per" {
		return fmt.Errorf(`false alarms %q: want "1 per account per 90d"`, text)
	}
	n, err := strconv.Atoi(words[0])
	if err != nil {
		return fmt.Errorf("false alarms %q: count: %w", text, err)
	}
	s, err := parseSeconds(words[4])
	if err != nil {
		return fmt.Errorf("false alarms %q: %w", text, err)
	}
	*b = Budget{Count: n, Per: time.Duration(s) * time.Second}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (b Budget) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// String is the budget in the operator's words.
func (b Budget) String() string {
	return fmt.Sprintf("%d per account per %s", b.Count, formatSeconds(int64(b.Per/time.Second)))
}

// maxBudgetPer keeps a threshold from becoming one that nothing ever reaches.
const maxBudgetPer = 10 * 365 * 24 * time.Hour

func (b Budget) validate() error {
	switch {
	case b.Count < 1 || b.Count > 1000:
		return fmt.Errorf("false_alarms %q: the count must be 1 to 1000", b)
	case b.Per < time.Hour || b.Per > maxBudgetPer:
		return fmt.Errorf("false_alarms %q: the time must be between 1h and 3650d", b)
	}
	return nil
}

// LogThreshold is log A. A test is updated at most once a minute and its mean
// time between false alarms is at least A updates, so `tests` tests (series ×
// ages × tiers) raise at most tests·updates/A false alarms in a time of that
// many updates. A is chosen so that this is the budget.
func (b Budget) LogThreshold(tests int) float64 {
	updates := b.Per.Minutes()
	return math.Log(updates * float64(max(tests, 1)) / float64(b.Count))
}

// errDuration is wrapped by every complaint about a written duration.
var errDuration = errors.New("want a whole number of s, m, h or d, as in 30m or 90d")

// parseSeconds reads "30m", "24h", "90d" or "45s".
func parseSeconds(s string) (int64, error) {
	units := map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
	if len(s) < 2 {
		return 0, fmt.Errorf("duration %q: %w", s, errDuration)
	}
	unit, ok := units[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 31)
	if !ok || err != nil {
		return 0, fmt.Errorf("duration %q: %w", s, errDuration)
	}
	return int64(n) * unit, nil
}

// formatSeconds writes the largest unit that is whole, hours up to a day.
func formatSeconds(s int64) string {
	switch {
	case s%86400 == 0 && s > 86400:
		return strconv.FormatInt(s/86400, 10) + "d"
	case s%3600 == 0 && s > 0:
		return strconv.FormatInt(s/3600, 10) + "h"
	case s%60 == 0:
		return strconv.FormatInt(s/60, 10) + "m"
	default:
		return strconv.FormatInt(s, 10) + "s"
	}
}
