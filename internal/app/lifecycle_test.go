package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStopsInReverse(t *testing.T) {
	l := New(slog.New(slog.DiscardHandler))
	var order []string
	for _, name := range []string{"first", "second"} {
		l.OnStop(name, func(context.Context) error { order = append(order, name); return nil })
	}
	running := make(chan struct{})
	l.Go("third", func(ctx context.Context) error {
		close(running)
		<-ctx.Done()
		order = append(order, "third")
		return context.Cause(ctx)
	})
	<-running
	if err := l.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "third second first" {
		t.Error(got)
	}
	if err := l.Stop(time.Minute); err != nil {
		t.Error("second Stop:", err)
	}
}

func TestFirstFailureWins(t *testing.T) {
	l := New(slog.New(slog.DiscardHandler))
	boom := errors.New("boom")
	l.Go("part", func(context.Context) error { return boom })
	if err := l.Wait(t.Context()); !errors.Is(err, boom) || !strings.Contains(err.Error(), "part") {
		t.Errorf("error %v", err)
	}
	if err := l.Stop(time.Minute); err != nil {
		t.Errorf("the failure is told twice: %v", err)
	}
}

func TestStopTellsAFailureNobodyHasHeard(t *testing.T) {
	l := New(slog.New(slog.DiscardHandler))
	boom := errors.New("boom")
	ended := make(chan struct{})
	l.Go("part", func(context.Context) error { defer close(ended); return boom })
	<-ended
	if err := l.Stop(time.Minute); !errors.Is(err, boom) || strings.Count(err.Error(), "boom") != 1 {
		t.Errorf("stop: %v", err)
	}
}

func TestEndingByItselfIsAFailure(t *testing.T) {
	l := New(slog.New(slog.DiscardHandler))
	l.Go("part", func(context.Context) error { return nil })
	if err := l.Wait(t.Context()); err == nil {
		t.Error("no error")
	}
	_ = l.Stop(time.Minute) // only the part is left; its end was reported above
}

func TestHungPartIsNamed(t *testing.T) {
	l := New(slog.New(slog.DiscardHandler))
	release := make(chan struct{})
	l.OnStop("below", func(context.Context) error { close(release); return nil })
	l.Go("hung", func(context.Context) error { <-release; return nil })
	err := l.Stop(time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "hung") {
		t.Errorf("error %v", err)
	}
}
