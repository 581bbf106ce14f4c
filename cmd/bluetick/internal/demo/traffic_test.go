package demo

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/ingest/provider/meta"
	"github.com/bluetick/bluetick/internal/simulate"
	"github.com/bluetick/bluetick/schemas"
)

// TestSimulatedDayDecodes: every update of the simulated day is an event, none a
// dead letter, and all the kinds that the demo should show are there.
func TestSimulatedDayDecodes(t *testing.T) {
	words, err := schemas.DefaultOptOutWords()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 2, 3, 4, 0, 0, 0, time.UTC)
	end := start.Add(simulate.History)
	var mu sync.Mutex
	seen := map[schemas.EventType]int{}
	events, letters := 0, 0
	endpoint, err := meta.New().Open(provider.Settings{Secrets: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	in := &provider.Input{Source: "demo", MaxEventAge: 240 * time.Hour, Pepper: []byte("a pepper of the test"), Words: words}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		req := &provider.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: body, ReceivedAt: schemas.InstantOf(end.Add(time.Hour))}
		if err != nil || endpoint.Verify(req) != provider.VerdictOK {
			t.Errorf("body of %d bytes: %v, or not signed", len(body), err)
		}
		result := endpoint.Decode(req, in)
		mu.Lock()
		defer mu.Unlock()
		events, letters = events+len(result.Events), letters+len(result.Letters)
		for i := range result.Events {
			seen[result.Events[i].Type]++
		}
	}))
	defer server.Close()
	journal, err := simulate.OpenJournal(filepath.Join(t.TempDir(), "journal"), 1, start, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	runner := simulate.New(simulate.Config{URL: server.URL, Secret: "s", Concurrency: 2}, simulate.Deps{
		Now: func() time.Time { return end }, Speed: func() float64 { return 1 },
		Allow: func(to time.Time) {
			if to.After(end) {
				cancel() // the whole day is acknowledged
			}
		},
		Log: slog.New(slog.DiscardHandler),
	}, journal)
	if err := runner.Run(ctx); err != nil {
		t.Fatal(err)
	}
	updates, _ := runner.Totals()
	if letters > 0 || int64(events) != updates || events == 0 {
		t.Errorf("%d updates gave %d events and %d dead letters", updates, events, letters)
	}
	for _, kind := range []schemas.EventType{
		schemas.TypeSent, schemas.TypeDelivered, schemas.TypeRead, schemas.TypeFailed,
		schemas.TypeClicked, schemas.TypeReplied, schemas.TypeOptedOut,
	} {
		if seen[kind] == 0 {
			t.Errorf("no event of type %s", kind)
		}
	}
}
