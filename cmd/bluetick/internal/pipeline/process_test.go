package pipeline

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/bluetick/bluetick/ingest"
	"github.com/bluetick/bluetick/internal/dataroot"
	"github.com/bluetick/bluetick/internal/simulate"
	"github.com/bluetick/bluetick/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testSecret = "an app secret of the tests"
	testLimit  = time.Minute // of anything that is waited for
)

// testConfig is embedded, on free ports and in a folder of its own.
func testConfig(t *testing.T) Config {
	t.Helper()
	c := Default()
	c.Data = filepath.Join(t.TempDir(), "data")
	c.Ingest.Listen, c.Kafka.Listen, c.ClickHouse.Listen, c.Metrics.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Kafka.Partitions = 1
	c.Sources = []ingest.Source{{Name: "main", Provider: "meta", Secrets: []string{testSecret}}}
	if err := c.Finish(noEnv); err != nil {
		t.Fatal(err)
	}
	return c
}

// untilRates is the line without ClickHouse, which costs most of its start.
func untilRates() Role {
	return Role{nil, func(p *Process) []step {
		return []step{p.openKafka, p.startAlert, p.startRollup, p.startMessage, p.startIngest}
	}}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func running(t *testing.T, c Config, r Role) *Process {
	t.Helper()
	p, err := New(c, quiet(), WallTimes())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context(), r); err != nil {
		t.Fatal(p.Fail(err))
	}
	if err := p.Announce(); err != nil {
		t.Fatal(p.Fail(err))
	}
	return p
}

func get(t *testing.T, url string) int {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	if err := answer.Body.Close(); err != nil {
		t.Error(err)
	}
	return answer.StatusCode
}

// post sends one delivered status, signed, and returns the answer.
func post(t *testing.T, p *Process, at time.Time) int {
	t.Helper()
	body := simulate.SampleBody(at.Unix())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.Places().Ingest+"/v1/webhooks/meta/main", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Hub-Signature-256", simulate.Sign(testSecret, body))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	if err := answer.Body.Close(); err != nil {
		t.Error(err)
	}
	return answer.StatusCode
}

// awaitProgress reads panes until the message fold has reported next.
func awaitProgress(t *testing.T, p *Process, next int64) {
	t.Helper()
	client, err := kgo.NewClient(slices.Concat(p.reach, []kgo.Opt{kgo.ConsumeTopics(schemas.TopicPanes), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())})...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	for {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			for _, h := range r.Headers {
				if h.Key != schemas.HeaderSchema || string(h.Value) != schemas.SchemaProgress {
					continue
				}
				said, err := schemas.DecodeProgress(r.Value)
				if err != nil {
					t.Fatal(err)
				}
				if said.NextOffset >= next {
					return
				}
			}
		}
	}
}

// TestStartServeStopAndGoOn: everything listens where run.json says, an event
// goes through, a stop leaves it in the state, and a second process on the same
// folder goes on from there.
func TestStartServeStopAndGoOn(t *testing.T) {
	c := testConfig(t)
	p := running(t, c, untilRates())
	said, err := dataroot.ReadRun(c.Data)
	if err != nil || said != p.Places() || said.Ingest == "" || said.Kafka == "" || said.ClickHouse != "" {
		t.Errorf("run.json says %+v, %v; the process %+v", said, err, p.Places())
	}
	if got := get(t, "http://"+said.Metrics+"/readyz"); got != http.StatusOK {
		t.Errorf("/readyz %d", got)
	}
	for _, stage := range []string{schemas.StageMessage, schemas.StageRollup, schemas.StageAlert} {
		if got := p.Status(stage); len(got) != 1 || got[0].Partition != 0 {
			t.Errorf("status of %s: %+v", stage, got)
		}
	}
	if got := post(t, p, Wall()); got != http.StatusOK {
		t.Fatalf("webhook: %d", got)
	}
	ends, err := p.Ends(t.Context(), schemas.TopicEvents)
	if err != nil || len(ends) != 1 || ends[0] < 2 { // beside at least one heartbeat of the door
		t.Errorf("the event is not in the log: %v, %v", ends, err)
	}
	awaitProgress(t, p, ends[0])
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.Data, "run.json")); !os.IsNotExist(err) {
		t.Errorf("run.json of a stopped process: %v", err)
	}
	again := running(t, c, untilRates())
	if got := again.Status(schemas.StageMessage); len(got) != 1 || got[0].Committed < ends[0] {
		t.Errorf("started again: %+v", got)
	}
	if err := again.Stop(); err != nil {
		t.Error(err)
	}
}

// TestWaitEndsWithAPart: the failure of one part is the end of the process.
func TestWaitEndsWithAPart(t *testing.T) {
	p := running(t, testConfig(t), Role{nil, func(*Process) []step { return nil }})
	closed := false
	p.OnStop("something", func(context.Context) error { closed = true; return nil })
	p.Part("weak", func(context.Context) error { return errors.New("broken") })
	if err := p.Wait(t.Context()); err == nil || err.Error() != "weak: broken" || !closed {
		t.Errorf("%v, closed %v", err, closed)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	p := running(t, testConfig(t), Role{nil, func(*Process) []step { return nil }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx); err != nil {
		t.Error(err)
	}
}

// TestFailedStartLeavesNothing: whatever goes wrong while starting, the folder is
// free again afterwards (goleak looks for the rest).
func TestFailedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx     context.Context
		change  func(*Config)
		role    Role
		mistake string
	}{
		"metrics port in use": {t.Context(), func(c *Config) { c.Metrics.Listen = taken.Addr().String() }, untilRates(), "--metrics-listen"},
		"kafka port in use":   {t.Context(), func(c *Config) { c.Kafka.Listen = taken.Addr().String() }, untilRates(), taken.Addr().String()},
		"webhook port in use": {t.Context(), func(c *Config) { c.Ingest.Listen = taken.Addr().String() }, untilRates(), taken.Addr().String()},
		"a short pepper":      {t.Context(), func(c *Config) { c.Pepper = "salt" }, untilRates(), "ingest: pepper: too weak: 4 characters"},
		"a budget":            {t.Context(), func(c *Config) { c.Alerts.FalseAlarms = "few" }, untilRates(), "alerts.false_alarms: "},
		"stopped": {ended, func(*Config) {}, Role{nil, func(*Process) []step {
			return []step{func(context.Context) error { return nil }, func(context.Context) error { return errors.New("the next step was taken") }}
		}}, "stopped while starting"},
		"a part fails while another starts": {t.Context(), func(*Config) {}, Role{nil, func(p *Process) []step {
			return []step{func(ctx context.Context) error {
				p.Part("weak", func(context.Context) error { return errors.New("broken") })
				return p.await(ctx, make(chan struct{}))
			}}
		}}, "weak: broken"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			c.change(&cfg)
			p, err := New(cfg, quiet(), WallTimes())
			if err == nil {
				if err = p.Start(c.ctx, c.role); err != nil {
					err = p.Fail(err)
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.mistake) {
				t.Errorf("%v, want %q", err, c.mistake)
			}
			root, err := dataroot.Open(cfg.Data)
			if err != nil {
				t.Fatalf("the folder is still held: %v", err)
			}
			if err := root.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAskingARunningProcess: what a second terminal reads when the process on the
// folder cannot be asked.
func TestAskingARunningProcess(t *testing.T) {
	c := testConfig(t)
	p, err := New(c, quiet(), WallTimes())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}()
	ask := func() error {
		return Ask(t.Context(), &c, func(driver.Conn) error { t.Error("asked"); return nil })
	}
	if err := ask(); !errors.Is(err, dataroot.ErrBusy) || !strings.Contains(err.Error(), "has not said yet where it listens") {
		t.Errorf("before it has announced itself: %v", err)
	}
	if err := p.Announce(); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err == nil || !strings.Contains(err.Error(), "works with a ClickHouse server: give its --clickhouse-dsn") {
		t.Errorf("a process without an engine: %v", err)
	}
	if _, err := New(c, quiet(), WallTimes()); !errors.Is(err, dataroot.ErrBusy) {
		t.Errorf("a second process on the folder: %v", err)
	}
}

// TestAskingAServerThatIsAway closes what it opened and names the server.
func TestAskingAServerThatIsAway(t *testing.T) {
	c := testConfig(t)
	c.ClickHouse.DSN = "http://127.0.0.1:1"
	err := Ask(t.Context(), &c, func(driver.Conn) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "connect to ClickHouse at 127.0.0.1:1: ") {
		t.Error(err)
	}
}

// TestDoorIsClosedWithoutRoom: nothing is produced that the disk has no room for.
func TestDoorIsClosedWithoutRoom(t *testing.T) {
	full := errors.New("the disk is full")
	for name, c := range map[string]struct {
		room     func() error
		records  int
		produced bool
	}{
		"a server's disk is not ours": {nil, 1, true},
		"room":                        {func() error { return nil }, 1, true},
		"no room":                     {func() error { return full }, 1, false},
		"no room, nothing to write":   {func() error { return full }, 0, true},
	} {
		out := &counting{}
		err := door{out, c.room}.Produce(t.Context(), make([]ingest.Record, c.records))
		if (out.calls == 1) != c.produced || (err == nil) != c.produced || err != nil && !errors.Is(err, full) {
			t.Errorf("%s: produced %d times, %v", name, out.calls, err)
		}
	}
}

type counting struct{ calls int }

func (c *counting) Produce(context.Context, []ingest.Record) error { c.calls++; return nil }
