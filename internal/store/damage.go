package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// ErrDamaged is in the error of a call that met bytes on disk that no Commit wrote.
// Nothing was changed; the state must not be used any more.
var ErrDamaged = errors.New("the state is damaged: put its folder back from a backup, or move it away (docs/runbook.md)")

// damage is what Pebble found damaged, also in the background.
type damage struct {
	found atomic.Pointer[pebble.DataCorruptionInfo]
}

// note is called by any goroutine of Pebble's. Without it Pebble would end the process.
func (d *damage) note(info pebble.DataCorruptionInfo) { d.found.CompareAndSwap(nil, &info) }

func (d *damage) err() error {
	if info := d.found.Load(); info != nil {
		return fmt.Errorf("%w: %s: %s", ErrDamaged, info.Path, firstLine(info.Details))
	}
	return nil
}

// failed names the state in an error, and what to do if it is damage; nil stays nil.
func (s *Store) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrDamaged) && pebble.IsCorruptionError(err) {
		err = fmt.Errorf("%w: %s", ErrDamaged, firstLine(err))
	}
	return fmt.Errorf("state %s: %s: %w", s.dir, what, err)
}

// firstLine leaves out what Pebble carries along for programs.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// unreadable is the error of reading what is written as a whole: unless the system
// refused to read, the content is not what was written. A file that is gone is damage.
func unreadable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrDamaged, firstLine(err))
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return err
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return err
	}
	return fmt.Errorf("%w: %s", ErrDamaged, firstLine(err))
}
