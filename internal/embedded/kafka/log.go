package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// faultLog passes kfake's log to slog. kfake reports what it could not write at
// its end only there, so while collecting it keeps the errors for Close.
type faultLog struct {
	log *slog.Logger // immutable
	mu  struct {
		sync.Mutex
		collecting bool
		errs       []error
	}
}

// Logf implements kfake.Logger.
func (f *faultLog) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		err := fmt.Errorf(format, args...)
		f.mu.Lock()
		collecting := f.mu.collecting
		if collecting {
			f.mu.errs = append(f.mu.errs, err)
		}
		f.mu.Unlock()
		if !collecting {
			f.log.Error("broker fault", "err", err)
		}
	case kfake.LogLevelWarn:
		f.log.Warn("broker warning", "detail", fmt.Sprintf(format, args...))
	default:
		// Requests and rebalances: useful only with the broker's source at hand.
	}
}

// collect starts to keep errors instead of logging them.
func (f *faultLog) collect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.collecting = true
}

// collected returns the errors kept since collect.
func (f *faultLog) collected() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.mu.errs...)
}
