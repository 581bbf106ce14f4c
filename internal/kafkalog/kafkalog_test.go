package kafkalog

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestOnceInTenSeconds(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	l := New(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	if l.Level() != kgo.LogLevelWarn {
		t.Errorf("level %v", l.Level())
	}
	for range 3 {
		l.Log(kgo.LogLevelWarn, "unable to open connection", "addr", "a:1")
		l.Log(kgo.LogLevelError, "out of memory")
		now = now.Add(4 * time.Second)
	}
	l.Log(kgo.LogLevelWarn, "unable to open connection", "addr", "a:1")
	l.Log(kgo.LogLevelWarn, "unable to open connection", "addr", "a:1")
	var got []string
	for line := range strings.Lines(out.String()) {
		_, line, _ = strings.Cut(line, " ") // the time
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		`level=WARN msg="kafka client: unable to open connection" addr=a:1`,
		`level=ERROR msg="kafka client: out of memory"`,
		`level=WARN msg="kafka client: unable to open connection" addr=a:1 not_repeated=2`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
