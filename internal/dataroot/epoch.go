package dataroot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Epoch is which epoch the folder counts in, and the rebuild that is under way.
type Epoch struct {
	// Current is the epoch of the folder; 1 in one that says nothing.
	Current uint32 `json:"current"`
	// Rebuild is the epoch that a rebuild has begun to fold, 0 if there is none, and
	// FirstMinute the first send minute that it will count from, in seconds since the
	// epoch of time; 0: all.
	Rebuild     uint32 `json:"rebuild,omitempty"`
	FirstMinute int64  `json:"first_minute,omitempty"`
}

func (r *Root) epochPath() string { return filepath.Join(r.dir, "epoch.json") }

// Epoch reads which epoch the folder counts in.
func (r *Root) Epoch() (Epoch, error) {
	b, err := os.ReadFile(r.epochPath())
	if errors.Is(err, fs.ErrNotExist) {
		return Epoch{Current: 1}, nil
	}
	var e Epoch
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err == nil && e.Current == 0 {
		err = errors.New("it names no current epoch")
	}
	if err != nil {
		return Epoch{}, fmt.Errorf("read epoch.json: %w", err)
	}
	return e, nil
}

// SetEpoch writes it, as a whole or not at all.
func (r *Root) SetEpoch(e Epoch) error {
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("write epoch.json: %w", err)
	}
	return writeWhole(r.epochPath(), append(b, '\n'))
}

// StateOf is the folder of the states of an epoch.
func (r *Root) StateOf(epoch uint32) string { return filepath.Join(r.State(), fmt.Sprint(epoch)) }
