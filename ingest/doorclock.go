package ingest

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluetick/bluetick/schemas"
)

// doorClock is the clockWatch of a door, with the clocks it looks at. While it doubts,
// the door is shut: what it stamped would be wrong for ever. Safe for concurrent use.
type doorClock struct {
	now  func() time.Time
	boot func() (time.Duration, bool) // nil: the clock is virtual, and not watched
	tell func(ClockDoubt)             // of changes
	log  *slog.Logger
	shut prometheus.Gauge
	mu   struct {
		sync.Mutex
		watch clockWatch
		told  ClockDoubt
	}
}

// doubt is why the clock is not trusted now; "" if it is.
func (c *doorClock) doubt() ClockDoubt {
	return c.ask(func(w *clockWatch, boot time.Duration) ClockDoubt { return w.look(c.now(), boot) })
}

// heard is doubt after a body was received in which the newest thing occurred then; 0
// if it says nothing of the kind.
func (c *doorClock) heard(newest schemas.Instant) ClockDoubt {
	if newest == 0 {
		return c.doubt()
	}
	return c.ask(func(w *clockWatch, boot time.Duration) ClockDoubt { return w.body(newest.Time(), c.now(), boot) })
}

func (c *doorClock) ask(question func(*clockWatch, time.Duration) ClockDoubt) ClockDoubt {
	if c.boot == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	boot, ok := c.boot()
	if !ok {
		return ""
	}
	is := question(&c.mu.watch, boot)
	if is == c.mu.told {
		return is
	}
	c.mu.told = is
	c.tell(is)
	if is == "" {
		c.shut.Set(0)
		c.log.Info("the clock is trusted again, the door is open")
		return is
	}
	c.shut.Set(1)
	c.log.Error("the door is shut: its clock cannot be trusted, authentic webhooks get 503 and will come again", "doubt", string(is), "clock", c.now().UTC(),
		"remedy", "set the machine's clock (NTP). The door opens once the clocks have agreed for 5 minutes; if it is right as it is now, restart")
	return is
}
