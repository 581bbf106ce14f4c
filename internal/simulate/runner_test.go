package simulate

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver takes bodies like an ingester that is often in trouble, and counts
// on its own, from the bytes alone.
type receiver struct {
	mu       sync.Mutex
	requests int
	trouble  bool
	taken    int
	sent     map[string]bool // ids of messages that a status makes known
	stopAt   int             // calls stop at this many bodies taken
	stop     func()
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if r.trouble && r.requests%3 == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if req.Header.Get("X-Hub-Signature-256") != Sign("secret", raw) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var body struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Statuses []struct{ ID, Status string }
				}
			}
		}
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, e := range body.Entry {
		for _, c := range e.Changes {
			for _, s := range c.Value.Statuses {
				if s.Status != "read" {
					r.sent[s.ID] = true
				}
			}
		}
	}
	r.taken++
	if r.taken == r.stopAt {
		r.stop()
	}
	if r.trouble && r.requests%7 == 0 {
		panic(http.ErrAbortHandler) // taken, but the answer is lost
	}
}

// run posts with a clock that is always ahead until the receiver calls stop or
// the plan's history is done.
func run(t *testing.T, path string, rec *receiver) *Runner {
	t.Helper()
	server := httptest.NewServer(rec)
	defer server.Close()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	journal, err := OpenJournal(path, 5, testStart, 0.02)
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rec.stop = cancel
	end := journal.Start().Add(History)
	var allowed time.Time
	r := New(Config{URL: server.URL, Secret: "secret", Concurrency: 4, Lookahead: time.Minute}, Deps{
		Now:   func() time.Time { return end },
		Speed: func() float64 { return 1000 },
		Allow: func(to time.Time) {
			if to.Before(allowed) {
				t.Error("the ceiling went down")
			}
			if allowed = to; allowed.After(end) {
				cancel() // every block of the history is acknowledged
			}
		},
		Log: slog.New(slog.DiscardHandler),
	}, journal)
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return r
}

func sent(r *Runner) (n int64) {
	for _, c := range r.Truth() {
		n += c.Sent
	}
	return n
}

func TestRunnerCountsWhatWasTaken(t *testing.T) {
	rec := &receiver{trouble: true, sent: map[string]bool{}}
	path := filepath.Join(t.TempDir(), "journal")
	r := run(t, path, rec)
	if got := sent(r); got != int64(len(rec.sent)) || got == 0 {
		t.Errorf("truth says %d sent, the receiver took %d", got, len(rec.sent))
	}
	before, requests := r.Truth(), rec.requests
	again := run(t, path, rec)
	if rec.requests != requests {
		t.Errorf("a second run posted %d bodies that were acknowledged", rec.requests-requests)
	}
	if got := again.Truth(); len(got) != len(before) || got[0] != before[0] {
		t.Errorf("truth after a restart %+v, before %+v", got, before)
	}
}

func TestRunnerResumesAfterTornJournal(t *testing.T) {
	rec := &receiver{sent: map[string]bool{}, stopAt: 100}
	path := filepath.Join(t.TempDir(), "journal")
	run(t, path, rec)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The last three records never reached the file, and one is torn.
	lines := strings.SplitAfter(string(b), "\n")
	torn := strings.Join(lines[:len(lines)-4], "") + lines[len(lines)-4][:1]
	if err := os.WriteFile(path, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, path, rec)
	if got := sent(r); got != int64(len(rec.sent)) {
		t.Errorf("truth says %d sent, the receiver took %d", got, len(rec.sent))
	}
}

func TestRefusedBodyEndsTheRun(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer server.Close()
	journal, err := OpenJournal(filepath.Join(t.TempDir(), "journal"), 5, testStart, 0.02)
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	r := New(Config{URL: server.URL, Secret: "wrong", Concurrency: 2}, Deps{
		Now: func() time.Time { return testStart.Add(History) }, Speed: func() float64 { return 1 },
		Allow: func(time.Time) {}, Log: slog.New(slog.DiscardHandler),
	}, journal)
	if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("error %v", err)
	}
}

func TestJournalOfAnotherSeedIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := OpenJournal(path, 1, testStart, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !j.Empty() || !j.Greatest().Equal(testStart) {
		t.Errorf("new journal: empty %v, greatest %s", j.Empty(), j.Greatest())
	}
	if err := j.append(3, 0); err != nil {
		t.Fatal(err)
	}
	j.Close()
	if _, err := OpenJournal(path, 2, testStart, 1); err == nil || !strings.Contains(err.Error(), "seed 1") {
		t.Errorf("error %v", err)
	}
	again, err := OpenJournal(path, 1, testStart.Add(time.Hour), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if !again.Start().Equal(testStart) || !again.Greatest().Equal(testStart.Add(4*time.Minute)) {
		t.Errorf("start %s, greatest %s", again.Start(), again.Greatest())
	}
}

// TestTruthKnowsWhatWasSaid: a message belongs to its campaign only once a webhook
// that named it was taken.
func TestTruthKnowsWhatWasSaid(t *testing.T) {
	p := newPlan(1, testStart, 0.1)
	for index := range p.history {
		m := p.history[index]
		_, onlySent := p.callbackHabits(m)
		want := p.campaigns[m.campaign].name
		if onlySent {
			want = Unattributed
		}
		tr := newTruth(p)
		tr.acknowledge([]update{{message: index, kind: kindDelivered}})
		if got := tr.campaigns(); len(got) != 1 || got[0].Campaign != want || got[0].Delivered != 1 {
			t.Fatalf("message %d, callback data only on sent %v: %+v, want it in %s", index, onlySent, got, want)
		}
		tr.acknowledge([]update{{message: index, kind: kindSent}})
		if got := tr.campaigns(); got[0].Campaign != p.campaigns[m.campaign].name {
			t.Fatalf("message %d after sent: %+v", index, got)
		}
	}
}
