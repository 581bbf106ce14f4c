package sink

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink/clickhouse"
)

func key(b byte) schemas.Key { return schemas.Key{b, 1, 2, 3} }

// anEvent is a valid event that differs for every n.
func anEvent(n int, t schemas.EventType) schemas.Event {
	e := schemas.Event{
		Type: t, Channel: schemas.ChannelWhatsApp, Account: "acme", MessageKey: schemas.MessageKey(schemas.ChannelWhatsApp, "acme", fmt.Sprint(n)),
		OccurredAt: schemas.Instant(1_770_000_000_000 + int64(n)*1000), ReceivedAt: schemas.Instant(1_770_000_001_000 + int64(n)*1000),
		ContactKeys: []schemas.Key{key('a'), key('b')},
	}
	e.ID = schemas.EventID(&e)
	return e
}

// keyOf is the key that our producers give a value; none for what they never
// write.
func keyOf(schema string, value []byte) []byte {
	switch schema {
	case schemas.SchemaEvent:
		if e, err := schemas.DecodeEvent(value); err == nil {
			return schemas.EventKey(&e)
		}
	case schemas.SchemaPane:
		p, _ := schemas.DecodePane(value)
		return []byte(p.Tuple.Account)
	case schemas.SchemaReports:
		r, _ := schemas.DecodeReports(value)
		return []byte(r.Account)
	case schemas.SchemaRate:
		r, _ := schemas.DecodeRate(value)
		return []byte(r.Series.Account)
	case schemas.SchemaTransition:
		t, _ := schemas.DecodeTransition(value)
		return []byte(t.Series.Account)
	}
	return nil
}

func eventRecord(partition int32, offset int64, e schemas.Event) Record {
	return Record{Topic: schemas.TopicEvents, Partition: partition, Offset: offset, Schema: schemas.SchemaEvent, Key: schemas.EventKey(&e), Value: schemas.EncodeEvent(&e)}
}

func tables(f Frozen) string {
	var s []string
	for _, r := range f.Rows {
		s = append(s, fmt.Sprintf("%s:%d", r.Table(), r.Len()))
	}
	return strings.Join(s, " ")
}

func TestBatch(t *testing.T) {
	limits := Limits{Rows: 3, Bytes: 1 << 20}
	t.Run("one event is a row of events, an opt-out also of opt_out_events", func(t *testing.T) {
		b := Batch{Limits: limits}
		b.Add(eventRecord(1, 7, anEvent(1, schemas.TypeSent)))
		b.Add(eventRecord(1, 9, anEvent(2, schemas.TypeOptedOut)))
		b.Add(eventRecord(0, 4, anEvent(3, schemas.TypeOptedIn)))
		if !b.Full() {
			t.Error("three records of three are not full")
		}
		f := b.Take()
		if got := tables(f); got != "events:3 opt_out_events:4" {
			t.Errorf("got %s", got)
		}
		if f.Token != "0:4-4,1:7-9" || f.Next[0] != 5 || f.Next[1] != 10 || f.Records != 3 {
			t.Errorf("got token %s, next %v, %d records", f.Token, f.Next, f.Records)
		}
		if !b.Empty() || b.Full() || b.Limits != limits {
			t.Error("what is left is not an empty batch")
		}
	})
	t.Run("bytes fill a batch too", func(t *testing.T) {
		b := Batch{Limits: Limits{Rows: 1000, Bytes: 10}}
		b.Add(eventRecord(0, 0, anEvent(1, schemas.TypeSent)))
		if !b.Full() {
			t.Error("not full")
		}
	})
	t.Run("the furthest progress of each key", func(t *testing.T) {
		b := Batch{Limits: limits}
		for i, p := range []schemas.Progress{
			{Epoch: 1, Stage: "message", Source: 1, Sources: 2, NextOffset: 5, CompleteTo: 50},
			{Epoch: 1, Stage: "message", Source: 0, Sources: 2, NextOffset: 3, CompleteTo: 30},
			{Epoch: 1, Stage: "message", Source: 1, Sources: 2, NextOffset: 4, CompleteTo: 60}, // another owner
		} {
			b.Add(Record{Topic: schemas.TopicPanes, Partition: 2, Offset: int64(i), Schema: schemas.SchemaProgress, Value: schemas.EncodeProgress(&p)})
		}
		f := b.Take()
		if len(f.Rows) != 0 || len(f.Progress) != 2 {
			t.Fatalf("got %s and %v", tables(f), f.Progress)
		}
		if p := f.Progress[1]; p.Source != 1 || p.NextOffset != 5 || p.CompleteTo != 60 || p.Output != 2 {
			t.Errorf("got %+v", p)
		}
	})
}

func TestBatchRejects(t *testing.T) {
	pane := schemas.Pane{Minute: 60, Tuple: schemas.Tuple{Account: "acme", Channel: "whatsapp"}}
	beyond := pane
	beyond.Minute = 1 << 33 / 60 * 60
	letter := schemas.DeadLetter{Stage: "ingest", Source: "meta", Reason: "decode", Item: []byte("secret")}
	for name, c := range map[string]struct {
		topic, schema string
		value         []byte
		rows, reason  string
	}{
		"pane":               {schemas.TopicPanes, schemas.SchemaPane, schemas.EncodePane(&pane), "panes:1", ""},
		"dead letter":        {schemas.TopicDeadLetters, schemas.SchemaDeadLetter, schemas.EncodeDeadLetter(&letter), "dead_letters:1", ""},
		"garbage":            {schemas.TopicEvents, schemas.SchemaEvent, []byte("\xff\xff"), "dead_letters:1", schemas.ReasonDecode},
		"no header":          {schemas.TopicEvents, "", []byte("x"), "dead_letters:1", schemas.ReasonSchema},
		"in the wrong topic": {schemas.TopicRates, schemas.SchemaPane, schemas.EncodePane(&pane), "dead_letters:1", schemas.ReasonSchema},
		"newer version":      {schemas.TopicPanes, "Pane/2", schemas.EncodePane(&pane), "dead_letters:1", schemas.ReasonSchema},
		"beyond DateTime":    {schemas.TopicPanes, schemas.SchemaPane, schemas.EncodePane(&beyond), "dead_letters:1", schemas.ReasonDecode},
	} {
		t.Run(name, func(t *testing.T) {
			var b Batch
			reason := b.Add(Record{Topic: c.topic, Partition: 3, Offset: 8, Timestamp: 5000, Schema: c.schema, Key: keyOf(c.schema, c.value), Value: c.value})
			f := b.Take()
			if reason != c.reason || tables(f) != c.rows {
				t.Fatalf("got %q %s, want %q %s", reason, tables(f), c.reason, c.rows)
			}
			if f.Next[3] != 9 {
				t.Errorf("the next offset is %d: the record would be read again", f.Next[3])
			}
			d, ok := f.Rows[0].(clickhouse.DeadLetters)
			if !ok {
				return
			}
			if d[0].Letter.Item != nil || d[0].Topic != c.topic || d[0].Offset != 8 {
				t.Errorf("got %+v", d[0])
			}
			if c.reason != "" && (d[0].Letter.Stage != Stage || d[0].Letter.ReceivedAt != 5000 || d[0].Size != len(c.value)) {
				t.Errorf("got %+v", d[0])
			}
		})
	}
}

// TestNoUnkeyedDigest: a dead letter's row has the digest that the stage with the
// pepper made, or none. The sink has no secret, and items are short enough to be
// found by trying.
func TestNoUnkeyedDigest(t *testing.T) {
	door := schemas.DeadLetter{Stage: schemas.StageIngest, Reason: "bad_item", Item: []byte("447700900123"), Digest: key('d')}
	fold := schemas.DeadLetter{Stage: schemas.StageMessage, Reason: schemas.ReasonDecode, Item: []byte("447700900123")}
	for name, c := range map[string]struct {
		topic, schema string
		value         []byte
		want          schemas.Key
	}{
		"of the door":     {schemas.TopicDeadLetters, schemas.SchemaDeadLetter, schemas.EncodeDeadLetter(&door), key('d')},
		"of a fold":       {schemas.TopicDeadLetters, schemas.SchemaDeadLetter, schemas.EncodeDeadLetter(&fold), schemas.Key{}},
		"the sink's own":  {schemas.TopicEvents, schemas.SchemaEvent, []byte("447700900123"), schemas.Key{}},
		"of another form": {schemas.TopicEvents, "", []byte("447700900123"), schemas.Key{}},
	} {
		var b Batch
		b.Add(Record{Topic: c.topic, Schema: c.schema, Value: c.value})
		if d, ok := b.Take().Rows[0].(clickhouse.DeadLetters); !ok || d[0].Letter.Digest != c.want {
			t.Errorf("%s: digest %v, want %v", name, d[0].Letter.Digest, c.want)
		}
	}
}

// FuzzBatch: whatever is in a record, it becomes rows or a dead letter.
func FuzzBatch(f *testing.F) {
	e := anEvent(1, schemas.TypeOptedOut)
	f.Add(uint8(0), schemas.EncodeEvent(&e))
	f.Add(uint8(1), schemas.EncodePane(&schemas.Pane{Minute: 60, Tuple: schemas.Tuple{Account: "a", Channel: "c"}}))
	f.Add(uint8(2), schemas.EncodeProgress(&schemas.Progress{Stage: "message", Sources: 1}))
	f.Add(uint8(3), []byte{})
	kinds := [][2]string{
		{schemas.TopicEvents, schemas.SchemaEvent},
		{schemas.TopicPanes, schemas.SchemaPane},
		{schemas.TopicPanes, schemas.SchemaProgress},
		{schemas.TopicRates, schemas.SchemaRate},
		{schemas.TopicAlerts, schemas.SchemaTransition},
		{schemas.TopicDeadLetters, schemas.SchemaDeadLetter},
	}
	f.Fuzz(func(t *testing.T, kind uint8, value []byte) {
		k := kinds[int(kind)%len(kinds)]
		var b Batch
		kept := bytes.Clone(value)
		reason := b.Add(Record{Topic: k[0], Schema: k[1], Key: keyOf(k[1], value), Value: value})
		frozen := b.Take()
		letters := 0
		for _, rows := range frozen.Rows {
			if d, ok := rows.(clickhouse.DeadLetters); ok {
				letters += d.Len()
			}
		}
		if reason != "" && letters != 1 {
			t.Errorf("rejected with %q and %d dead letters", reason, letters)
		}
		if reason == "" && len(frozen.Rows) == 0 && len(frozen.Progress) == 0 {
			t.Error("accepted and lost")
		}
		if !bytes.Equal(kept, value) {
			t.Error("the record was changed")
		}
	})
}

func TestResume(t *testing.T) {
	log := partitionLog{topic: "t", topicID: "id", partition: 1, start: 10, end: 20}
	at := func(next int64) clickhouse.Position { return clickhouse.Position{Next: next, TopicID: "id"} }
	for name, c := range map[string]struct {
		at        clickhouse.Position
		known     bool
		start     int64
		acceptGap bool
		want      int64
		warning   string
		err       string
	}{
		"new, whole log":      {known: false, start: 0, want: 0},
		"new, truncated log":  {known: false, start: 10, want: 10, warning: "no position yet"},
		"inside":              {at: at(15), known: true, start: 10, want: 15},
		"at its start":        {at: at(10), known: true, start: 10, want: 10},
		"at its end":          {at: at(20), known: true, start: 10, want: 20},
		"gap":                 {at: at(9), known: true, start: 10, err: "offsets 9 to 9 were deleted"},
		"gap accepted":        {at: at(7), known: true, start: 10, acceptGap: true, want: 10, warning: "offsets 7 to 9"},
		"beyond the end":      {at: at(21), known: true, start: 10, err: "has lost records"},
		"another topic":       {at: clickhouse.Position{Next: 15, TopicID: "old"}, known: true, start: 10, err: "was made anew"},
		"another, gap or not": {at: clickhouse.Position{Next: 1, TopicID: "old"}, known: true, start: 10, acceptGap: true, err: "was made anew"},
	} {
		t.Run(name, func(t *testing.T) {
			l := log
			l.start = c.start
			got, warning, err := resume(c.at, c.known, l, c.acceptGap)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || got != c.want || !strings.HasPrefix(warning, c.warning) || (warning == "") != (c.warning == "") {
				t.Errorf("got %d, %q, %v; want %d, %q", got, warning, err, c.want, c.warning)
			}
		})
	}
}
