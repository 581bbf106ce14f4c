package rollup

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

func fullPane() schemas.Pane {
	p := schemas.Pane{
		Source: 3, Minute: 1_767_225_600, Version: 42,
		Tuple: schemas.Tuple{
			Account: "bakery", Channel: schemas.ChannelWhatsApp, Sender: "desk", Country: "NL",
			Campaign: "rye", Template: "loaf", Variant: "b", Segment: "vip",
		},
	}
	p.Counts.Sent = 10
	for i := range p.Counts.Outcomes {
		h := &p.Counts.Outcomes[i]
		h[i], h[11] = int64(i)+1, -int64(i)
	}
	return p
}

func TestPaneStateRoundTrip(t *testing.T) {
	t.Parallel()
	extreme := fullPane()
	extreme.Version, extreme.Counts.Sent = math.MaxInt64, math.MaxInt64
	extreme.Counts.Outcomes[schemas.OutcomeFailed][0] = math.MinInt64
	for name, want := range map[string]schemas.Pane{
		"full": fullPane(), "extreme": extreme, "zero": {Minute: 60, Tuple: schemas.Tuple{Account: "a", Channel: "c"}},
	} {
		got, err := decodePaneKey(appendPaneKey(nil, &want))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := decodePane(appendPane(nil, &want), &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Minute != want.Minute || got.Source != want.Source || got.Tuple != want.Tuple || got.Version != want.Version {
			t.Errorf("%s: identity %+v, want %+v", name, got, want)
		}
		if !bytes.Equal(appendPane(nil, &got), appendPane(nil, &want)) {
			t.Errorf("%s: counts %+v, want %+v", name, got.Counts, want.Counts)
		}
	}
}

// Two tuples whose fields run together must not share a key.
func TestPaneKeysKeepFieldsApart(t *testing.T) {
	t.Parallel()
	seen := map[string]schemas.Tuple{}
	for _, tuple := range []schemas.Tuple{
		{Account: "ab", Channel: "c"},
		{Account: "a", Channel: "bc"},
		{Account: "a", Channel: "b", Sender: "c"},
		{Account: "a", Channel: "b", Country: "c"},
		{Account: "a", Channel: "b", Campaign: "c"},
		{Account: "a", Channel: "b", Template: "c"},
		{Account: "a", Channel: "b", Variant: "c"},
		{Account: "a", Channel: "b", Segment: "c"},
		{Account: "a\x00", Channel: "b", Segment: "c"},
		{Account: "a", Channel: "\x00b", Segment: "c"},
	} {
		k := string(appendPaneKey(nil, &schemas.Pane{Tuple: tuple}))
		if other, ok := seen[k]; ok {
			t.Errorf("%+v and %+v share a key", tuple, other)
		}
		seen[k] = tuple
	}
}

// Forgetting is one range: keys order by minute before all else.
func TestPaneKeysOrderByMinute(t *testing.T) {
	t.Parallel()
	low := appendPaneKey(nil, &schemas.Pane{Minute: 120, Source: math.MaxInt32, Tuple: schemas.Tuple{Account: "zz"}})
	high := appendPaneKey(nil, &schemas.Pane{Minute: 180, Tuple: schemas.Tuple{Account: "a"}})
	if bytes.Compare(low, paneFloor(180)) >= 0 || bytes.Compare(high, paneFloor(180)) < 0 {
		t.Error("a minute's floor does not part the keys")
	}
	last := appendPaneKey(nil, &schemas.Pane{Minute: math.MaxInt64, Tuple: schemas.Tuple{Account: "\xff\xff"}})
	if bytes.Compare(last, paneEnd()) >= 0 || bytes.Compare(metaKey(), paneEnd()) < 0 {
		t.Error("panes and meta are not apart")
	}
}

func exampleMeta() meta {
	return meta{
		dclock: 1_767_225_600_123, completeFrom: 1_767_222_000, next: 1_767_225_660,
		sources: task.RestoreSources([]task.SourceStatus{
			{Heard: true, NextOffset: 7, CompleteTo: 1_767_225_600_000}, {}, {Heard: true, CompleteTo: -1},
		}),
	}
}

func TestMetaRoundTrip(t *testing.T) {
	t.Parallel()
	far := exampleMeta()
	far.sources = task.RestoreSources([]task.SourceStatus{{Heard: true, NextOffset: math.MaxInt64, CompleteTo: math.MaxInt64}})
	for name, m := range map[string]meta{"example": exampleMeta(), "zero": {}, "far": far} {
		b := appendMeta(nil, &m)
		got, err := decodeMeta(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(appendMeta(nil, &got), b) || got.next != m.next ||
			got.dclock != m.dclock || got.completeFrom != m.completeFrom || !slices.Equal(got.sources.Status(), m.sources.Status()) {
			t.Errorf("%s: %+v, want %+v", name, got, m)
		}
	}
}

func TestDecodeRefusesEveryCut(t *testing.T) {
	t.Parallel()
	p, m := fullPane(), exampleMeta()
	for name, c := range map[string]struct {
		whole  []byte
		decode func([]byte) error
	}{
		"meta":     {appendMeta(nil, &m), func(b []byte) error { _, err := decodeMeta(b); return err }},
		"pane":     {appendPane(nil, &p), func(b []byte) error { var q schemas.Pane; return decodePane(b, &q) }},
		"pane key": {appendPaneKey(nil, &p), func(b []byte) error { _, err := decodePaneKey(b); return err }},
	} {
		for n := range c.whole {
			if c.decode(c.whole[:n]) == nil {
				t.Errorf("%s: the first %d of %d bytes decode", name, n, len(c.whole))
			}
		}
		if c.decode(append(bytes.Clone(c.whole), 0)) == nil {
			t.Errorf("%s: a byte too many decodes", name)
		}
	}
}

func FuzzDecodeMeta(f *testing.F) {
	m := exampleMeta()
	f.Add(appendMeta(nil, &m))
	f.Add(appendMeta(nil, &meta{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			return
		}
		out := appendMeta(nil, &m)
		again, err := decodeMeta(out)
		if err != nil {
			t.Fatalf("%x decodes, its own encoding %x does not: %v", b, out, err)
		}
		if !bytes.Equal(appendMeta(nil, &again), out) {
			t.Fatalf("%x is not stable", b)
		}
	})
}

func FuzzDecodePane(f *testing.F) {
	p := fullPane()
	f.Add(appendPaneKey(nil, &p), appendPane(nil, &p))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		p, err := decodePaneKey(key)
		if err != nil || decodePane(value, &p) != nil {
			return
		}
		k, v := appendPaneKey(nil, &p), appendPane(nil, &p)
		again, err := decodePaneKey(k)
		if err != nil {
			t.Fatal(err)
		}
		if err := decodePane(v, &again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(appendPaneKey(nil, &again), k) || !bytes.Equal(appendPane(nil, &again), v) {
			t.Fatalf("%x: %x is not stable", key, value)
		}
	})
}
