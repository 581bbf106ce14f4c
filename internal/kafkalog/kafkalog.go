// Package kafkalog passes the log of a Kafka client on to slog, thinned out: while
// a broker is away the client complains at every attempt of every connection,
// dozens of times a second, and an operator needs to read it once.
package kafkalog

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// every is how often one message is passed on: often enough to show that the
// trouble lasts, seldom enough to leave the log readable.
const every = 10 * time.Second

// Logger is a kgo.Logger that passes on warnings and errors, each message at
// most every 10 seconds. Safe for concurrent use, also by several clients.
type Logger struct {
	log *slog.Logger
	now func() time.Time
	mu  struct {
		sync.Mutex
		said map[string]*said // by message; kgo has some dozens of them, all constants
	}
}

// said is what became of one message.
type said struct {
	at      time.Time // last passed on
	silent  int       // kept back since
	reached bool      // passed on at all
}

// New returns a Logger that writes to log; now runs its ten seconds.
func New(log *slog.Logger, now func() time.Time) *Logger {
	l := &Logger{log: log, now: now}
	l.mu.said = map[string]*said{}
	return l
}

// Level implements kgo.Logger: below a warning the client is talkative.
func (*Logger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log implements kgo.Logger.
func (l *Logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	silent, pass := l.pass(msg)
	if !pass {
		return
	}
	to := slog.LevelWarn
	if level == kgo.LogLevelError {
		to = slog.LevelError
	}
	if silent > 0 {
		keyvals = append(keyvals[:len(keyvals):len(keyvals)], "not_repeated", silent)
	}
	l.log.Log(context.Background(), to, "kafka client: "+msg, keyvals...)
}

// pass reports whether a message is passed on now, and how often it was held back.
func (l *Logger) pass(msg string) (silent int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.mu.said[msg]
	if s == nil {
		s = &said{}
		l.mu.said[msg] = s
	}
	now := l.now()
	if s.reached && now.Sub(s.at) < every {
		s.silent++
		return 0, false
	}
	silent = s.silent
	*s = said{at: now, reached: true}
	return silent, true
}
