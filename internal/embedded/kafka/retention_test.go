package kafka

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestSweep(t *testing.T) {
	const day = 24 * time.Hour
	// A clock two years away from the wall clock: retention must follow it.
	now := time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		retention string
		ages      []time.Duration // one batch each, in this order
		want      string          // ages left, in days
	}{
		"old ones go":                 {"172800000", []time.Duration{5 * day, 3 * day, 1 * day, 0}, "1 0"},
		"fresh ones stay":             {"172800000", []time.Duration{1 * day, 0}, "1 0"},
		"an old one between stays":    {"172800000", []time.Duration{5 * day, 1 * day, 9 * day, 0}, "1 9 0"},
		"an old one at the end stays": {"172800000", []time.Duration{5 * day, 1 * day, 9 * day}, "1 9"},
		"the last one always stays":   {"172800000", []time.Duration{9 * day, 8 * day, 7 * day}, "7"},
		"for ever":                    {"-1", []time.Duration{900 * day, 0}, "900 0"},
		"longer than time can count":  {"9223372036854775807", []time.Duration{900 * day, 0}, "900 0"},
		"kafka's default is 7 days":   {"", []time.Duration{8 * day, 6 * day}, "6"},
		"empty":                       {"1", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := open(t, Config{Dir: dir, Now: func() time.Time { return now }})
			configs := map[string]*string{"segment.bytes": kadm.StringPtr("1")} // each batch its own file
			if tc.retention != "" {
				configs["retention.ms"] = &tc.retention
			}
			createTopic(t, b.Addr(), 1, configs)
			for _, age := range tc.ages {
				produce(t, b.Addr(), &kgo.Record{Value: fmt.Append(nil, int(age/day)), Timestamp: now.Add(-age)})
			}
			_, end := bounds(t, b.Addr())
			want := map[string]int{}
			for _, v := range strings.Fields(tc.want) {
				want[v]++
			}
			for range 2 { // the second finds nothing to do
				if err := b.sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := values(t, b.Addr()); !maps.Equal(got, want) {
					t.Errorf("left %v, want %v", got, want)
				}
			}

			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			b = open(t, Config{Dir: dir, Now: func() time.Time { return now }})
			if got := values(t, b.Addr()); !maps.Equal(got, want) {
				t.Errorf("left %v after a restart, want %v", got, want)
			}
			if _, again := bounds(t, b.Addr()); !maps.Equal(again, end) {
				t.Errorf("end offsets %v after a restart, want %v", again, end)
			}
		})
	}
}

// A partition that saw no record for longer than its retention once began again
// at offset 0 after a restart, clean or not: kfake deletes every segment of it
// and then has nothing to take the next offset from. States and row versions
// are made of offsets, so they must go on.
func TestOffsetsGoOnAfterEverythingExpired(t *testing.T) {
	for _, clean := range []bool{true, false} {
		t.Run(fmt.Sprintf("clean=%v", clean), func(t *testing.T) {
			dir := t.TempDir()
			c := startChild(t, dir)
			createTopic(t, c.addr, 1, map[string]*string{"retention.ms": kadm.StringPtr("1000")})
			old := time.Now().Add(-time.Hour)
			for range 5 {
				produce(t, c.addr, &kgo.Record{Value: []byte("old"), Timestamp: old})
			}
			c.do("sweep")
			if start, _ := bounds(t, c.addr); start[0] != 4 {
				t.Fatalf("log starts at %d, want 4", start[0])
			}
			if clean {
				c.do("close")
			}
			c.kill()

			b := open(t, Config{Dir: dir})
			if _, end := bounds(t, b.Addr()); end[0] != 5 {
				t.Errorf("next offset %d, want 5", end[0])
			}
		})
	}
}

func TestRetentionSetting(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"0": 0, "1500": 1500 * time.Millisecond, "-1": -1, "": -1, "soon": -1, "9223372036854775807": -1,
	} {
		rc := kadm.ResourceConfig{Configs: []kadm.Config{{Key: "segment.ms", Value: kadm.StringPtr("7")}, {Key: "retention.ms", Value: &value, Source: kmsg.ConfigSourceDynamicTopicConfig}}}
		keep, ok := retention(rc)
		if ok != (want >= 0) || ok && keep != want {
			t.Errorf("retention.ms=%q: %v %v, want %v", value, keep, ok, want)
		}
	}
	if _, ok := retention(kadm.ResourceConfig{}); ok {
		t.Error("no setting is not a retention")
	}
}
