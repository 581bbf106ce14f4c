package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
)

// sumsFile holds the checksums of what kfake writes at its Close. It has none of
// its own, and a flipped digit in a snapshot would hide records or give their
// offsets out again.
const sumsFile = "closed.sums"

const (
	windowsFile = "seq_windows.json"   // the last sequence numbers of producers
	sessionFile = "session_state.json" // fetch sessions and the like
)

// sums are checksums by path below the broker's folder; nil when none are known.
type sums map[string]uint32

func readSums(dir string) sums {
	var s sums
	raw, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil || json.Unmarshal(raw, &s) != nil {
		return nil // a folder of an earlier build, or the file itself is damaged: kfake's files must be trusted
	}
	return s
}

// fit reports whether raw is what was written under that name at the last orderly end.
func (s sums) fit(name string, raw []byte) bool {
	want, known := s[name]
	return s == nil || known && want == checksum(raw)
}

// writeSums is called after kfake has closed. The files are written at an orderly
// end and at no other time, and the log can do without them.
func writeSums(dir string) error {
	names, err := fs.Glob(os.DirFS(dir), "partitions/*/snapshot.json")
	if err != nil {
		return err
	}
	s := sums{}
	for _, name := range append(names, windowsFile, sessionFile) {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read what was written: %w", err)
		}
		s[name] = checksum(raw)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return replace(filepath.Join(dir, sumsFile), raw)
}

// drop plans to remove a file that the log can do without.
func (c *checker) drop(path string) {
	c.mends = append(c.mends, func() error {
		c.log.Warn("a file beside the log is not as it was written and is made anew, no record depends on it", "file", path)
		return os.Remove(path)
	})
}

// besides checks the files beside the segments.
func (c *checker) besides() error {
	for _, name := range []string{windowsFile, sessionFile, "broker_configs.json", "acls.json", "sasl.json", "quotas.json"} {
		path := filepath.Join(c.dir, name)
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		atClose := name == windowsFile || name == sessionFile
		if !json.Valid(raw) || atClose && !c.sums.fit(name, raw) {
			c.drop(path)
		}
	}
	return c.topics()
}

// topicList is topics.json.
type topicList struct {
	Topics []struct {
		Name       string `json:"name"`
		ID         []byte `json:"id"`
		Partitions int    `json:"partitions"`
	} `json:"topics"`
}

// topics refuses a folder whose records nobody would find: kfake takes a folder
// without meta.json for a new one, and ignores a partition that topics.json does
// not name. No flag overrides it, because the records are there.
func (c *checker) topics() error {
	segments, err := fs.Glob(os.DirFS(c.dir), "partitions/*/*.dat")
	if err != nil {
		return err
	}
	packed, err := fs.Glob(os.DirFS(c.dir), "partitions/*/*"+packSuffix)
	if err != nil {
		return err
	}
	if segments = append(segments, packed...); len(segments) == 0 {
		return nil
	}
	var meta struct {
		ClusterID string `json:"cluster_id"`
	}
	if err := c.must("meta.json", &meta); err != nil {
		return err
	}
	var list topicList
	if err := c.must("topics.json", &list); err != nil {
		return err
	}
	named := map[string]bool{}
	for _, t := range list.Topics {
		if len(t.ID) != 16 {
			continue // as if it were not named: kfake would serve it under no id
		}
		for p := range t.Partitions {
			named[url.PathEscape(t.Name)+"-"+strconv.Itoa(p)] = true
		}
	}
	for _, name := range segments {
		if part := path.Dir(name); !named[path.Base(part)] {
			return fmt.Errorf("%w: topics.json does not name %s, of which there are records: put back a copy of %s; or, if that topic was deleted on purpose, move %s away",
				ErrDamaged, path.Base(part), c.dir, filepath.Join(c.dir, part))
		}
	}
	return nil
}

// must reads a file without which kfake cannot find the records.
func (c *checker) must(name string, into any) error {
	raw, err := os.ReadFile(filepath.Join(c.dir, name))
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return fmt.Errorf("%w: %s does not read, and without it no record is found: put back a copy of %s: %w", ErrDamaged, name, c.dir, err)
	}
	return nil
}
