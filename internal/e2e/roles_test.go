package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/kafkatest/apache"
	"github.com/bluetick/bluetick/internal/simulate"
)

// role is one of the processes of TestServersRoles.
type role struct {
	*server
	bin  string
	args []string
	data string
	past string // log of the processes before
}

func startRole(t testing.TB, bin, name string, flags ...string) *role {
	t.Helper()
	r := &role{bin: bin, data: filepath.Join(t.TempDir(), name)}
	r.args = append([]string{name, "--data", r.data, "--metrics-listen", "127.0.0.1:0"}, flags...)
	r.restart(t)
	return r
}

func (r *role) restart(t testing.TB) {
	t.Helper()
	if r.server != nil {
		r.past += r.log.String() + "-- ended --\n"
	}
	r.server = spawn(t, r.bin, r.args...)
	r.ready(r.data)
}

// poster posts as Meta does: the same body again until it hears 200.
type poster struct {
	t     testing.TB
	url   string
	began time.Time
	// down is true while Kafka is certainly dead.
	down atomic.Bool
	mu   struct {
		sync.Mutex
		answers map[int]int // by status; 0 means no answer
		lies    int         // 200 while down
	}
}

// deliver posts messages from..to in bodies of step, four at a time, and gives
// one token for every body that is taken. It closes the channel at the end.
func (p *poster) deliver(from, to, step int) <-chan struct{} {
	taken := make(chan struct{}, (to-from)/step) // nobody has to listen
	todo := make(chan int, cap(taken))
	for ; from < to; from += step {
		todo <- from
	}
	close(todo)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for from := range todo {
				b := body(from, from+step, p.began.Unix())
				for p.post(b) != http.StatusOK {
					select {
					case <-time.After(20 * time.Millisecond):
					case <-p.t.Context().Done():
						return
					}
				}
				taken <- struct{}{}
			}
		})
	}
	go func() { wg.Wait(); close(taken) }()
	return taken
}

func (p *poster) post(b []byte) int {
	wasDown := p.down.Load()
	status := 0
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url, bytes.NewReader(b))
	if err != nil {
		p.t.Error(err)
		return http.StatusOK
	}
	req.Header.Set("X-Hub-Signature-256", simulate.Sign(appSecret, b))
	if resp, err := http.DefaultClient.Do(req); err == nil {
		status = resp.StatusCode
		resp.Body.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.answers[status]++
	if wasDown && p.down.Load() && status == http.StatusOK {
		p.mu.lies++
	}
	return status
}

// heard counts the answers of a status so far.
func (p *poster) heard(status int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.answers[status]
}

// summary is all answers so far.
func (p *poster) summary() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprint(p.mu.answers)
}

const (
	// chunkMessages are posted around each kill, in bodies of stepMessages.
	chunkMessages = 1200
	stepMessages  = 20
	third         = chunkMessages / stepMessages / 3 // of a chunk, in bodies
)

// line is one process per role, and who posts to it.
type line struct {
	*poster
	broker *apache.Broker
	dsn    string
	posted int // messages

	ingest, aggregate, sink, alert *role
}

// startRoles prepares the servers and starts the roles.
func startRoles(t testing.TB, bin string, broker *apache.Broker, dsn string) *line {
	t.Helper()
	kafka := []string{"--kafka-brokers", broker.Addr()}
	with := func(more ...string) []string { return append(more, kafka...) }
	for _, args := range [][]string{with("topics"), {"migrate", "--clickhouse-dsn", dsn}} {
		if out, err := command(t, bin, args...); err != nil {
			t.Fatalf("%s: %s, %v", args[0], out, err)
		}
	}
	config := filepath.Join(t.TempDir(), "ingest.yaml")
	if err := os.WriteFile(config, []byte("pepper: "+pepper+"\ningest: {produce_timeout: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	door := freeAddr(t) // the same after a restart
	l := &line{
		poster: &poster{t: t, url: "http://" + door + "/v1/webhooks/meta/main", began: time.Now().Add(-2 * time.Hour)},
		broker: broker, dsn: dsn,
		ingest: startRole(t, bin, "ingest", with("--config", config, "--ingest-listen", door,
			"--meta-app-secret", appSecret, "--meta-verify-token", verifyToken)...),
		aggregate: startRole(t, bin, "aggregate", kafka...),
		sink:      startRole(t, bin, "sink", with("--clickhouse-dsn", dsn)...),
		alert:     startRole(t, bin, "alert", kafka...),
	}
	l.mu.answers = map[int]int{}
	return l
}

func (l *line) roles() []*role { return []*role{l.ingest, l.aggregate, l.sink, l.alert} }

func (l *line) logs() string {
	var all strings.Builder
	for _, r := range l.roles() {
		fmt.Fprintf(&all, "== %s\n%s%s\n", r.args[0], r.past, r.log)
	}
	return all.String()
}

// disturb posts a chunk, kills something in the middle of it, waits until as many
// more bodies are taken as can be meanwhile, and brings it back.
func (l *line) disturb(what string, kill, restart func(), meanwhile int) {
	l.t.Helper()
	began := time.Now()
	taken := l.deliver(l.posted, l.posted+chunkMessages, stepMessages)
	l.posted += chunkMessages
	wait := func(bodies int) {
		for range bodies {
			select {
			case <-taken: // also when it is closed
			case <-time.After(patience):
				l.t.Fatalf("%s: a webhook is not taken\n%s", what, l.logs())
			}
		}
	}
	wait(third)
	kill()
	wait(meanwhile)
	restart()
	wait(cap(taken)) // all: those taken before are missing, so this ends at the close
	l.t.Logf("%s killed and back, chunk posted in %.1f s; answers so far: %s", what, time.Since(began).Seconds(), l.summary())
}

// disturbRole is disturb for a role that others can do without for a while.
func (l *line) disturbRole(r *role) {
	l.t.Helper()
	l.disturb(r.args[0], r.kill, func() { r.restart(l.t) }, third)
}

func (l *line) killKafka() {
	l.broker.Kill()
	l.down.Store(true)
}

// restartKafka restarts Kafka once somebody has been answered 503.
func (l *line) restartKafka() {
	l.t.Helper()
	for deadline := time.Now().Add(patience); l.heard(http.StatusServiceUnavailable) == 0; {
		if time.Now().After(deadline) {
			l.t.Fatalf("no 503 while Kafka is dead: %s\n%s", l.summary(), l.logs())
		}
		<-time.After(10 * time.Millisecond)
	}
	l.down.Store(false)
	if err := l.broker.Restart(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

// rebuild is the way of docs/runbook.md for one process per role: the door stays open,
// the others stop, the data folder of aggregate is rebuilt, and each role gets its part.
func (l *line) rebuild() {
	l.t.Helper()
	for _, r := range []*role{l.aggregate, l.sink, l.alert} {
		r.stop()
	}
	args := []string{"rebuild", "--again", "--data", l.aggregate.data, "--kafka-brokers", l.broker.Addr(), "--clickhouse-dsn", l.dsn}
	if out, err := command(l.t, l.aggregate.bin, args...); err != nil || !strings.Contains(out, "epoch 2 counts now") {
		l.t.Fatalf("rebuild: %s, %v", out, err)
	}
	epoch, err := os.ReadFile(filepath.Join(l.aggregate.data, "epoch.json"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, r := range []*role{l.sink, l.alert} {
		if err := os.WriteFile(filepath.Join(r.data, "epoch.json"), epoch, 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
	judged := filepath.Join("state", "2", "bluetick.rates.2")
	if err := os.MkdirAll(filepath.Join(l.alert.data, "state", "2"), 0o700); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(l.aggregate.data, judged), filepath.Join(l.alert.data, judged)); err != nil {
		l.t.Fatal(err)
	}
	for _, r := range []*role{l.aggregate, l.sink, l.alert} {
		r.restart(l.t)
	}
}

// TestServersRoles runs one process per role, kills each of them, ClickHouse and
// Kafka while webhooks come in, and finds exactly the known counts; then again after a
// rebuild.
func TestServersRoles(t *testing.T) {
	broker := startKafka(t)
	ch := startClickHouse(t)
	bin := binary(t)
	l := startRoles(t, bin, broker, ch.dsn("bluetick"))

	l.disturbRole(l.aggregate)
	l.disturbRole(l.sink)
	l.disturbRole(l.alert)
	l.disturb("ingest", l.ingest.kill, func() { l.ingest.restart(t) }, 0)
	l.disturb("clickhouse", ch.kill, ch.restart, third)
	l.disturb("kafka", l.killKafka, l.restartKafka, 0)
	l.aggregate.stop() // which leaves a checkpoint to go on from
	l.aggregate.restart(t)
	l.disturbRole(l.aggregate)
	if l.mu.lies > 0 {
		t.Errorf("%d webhooks answered with 200 while Kafka was dead", l.mu.lies)
	}
	if l.heard(0) == 0 {
		t.Error("no request met a dead ingester: the test does not test")
	}

	awaitAnswer(t, connect(t, l.dsn), countsQuery, counts(l.posted), l.logs)
	checkAudit(t, bin, l.dsn)
	l.rebuild()
	for range l.deliver(l.posted, l.posted+chunkMessages, stepMessages) {
	}
	l.posted += chunkMessages
	awaitAnswer(t, connect(t, l.dsn), countsQuery, counts(l.posted), l.logs)
	checkAudit(t, bin, l.dsn)
	for _, r := range l.roles() {
		r.stop()
	}
	checkLog(t, l.logs())
	if log := l.aggregate.log.String(); !strings.Contains(log, "stage=message partition=0") || strings.Contains(log, "stage=message partition=0 next_offset=0 ") {
		t.Errorf("aggregate did not go on from its checkpoint:\n%s", log)
	}
}
