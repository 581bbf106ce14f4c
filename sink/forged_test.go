package sink

import (
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

// TestForgedRecords: a record that is where none of our producers puts it is a
// dead letter; one of an epoch that does not count yet is left out; its neighbours
// are rows as ever.
func TestForgedRecords(t *testing.T) {
	const partitions, epoch = 4, 2
	sent := anEvent(1, schemas.TypeSent)
	event := schemas.EncodeEvent(&sent)
	pane := func(epoch uint32) []byte {
		return schemas.EncodePane(&schemas.Pane{Epoch: epoch, Minute: 60, Tuple: schemas.Tuple{Account: "acme", Channel: schemas.ChannelWhatsApp}})
	}
	rate := func(epoch uint32) []byte {
		return schemas.EncodeRate(&schemas.Rate{Epoch: epoch, Series: schemas.Series{Account: "acme", Grouping: schemas.GroupAccount}, Window: 60, At: 60})
	}
	transition := schemas.EncodeTransition(&schemas.Transition{
		Epoch: epoch, Rule: "r", Series: schemas.Series{Account: "acme", Grouping: schemas.GroupAccount}, State: schemas.StateFiring,
	})
	progress := func(epoch uint32, stage string) []byte {
		return schemas.EncodeProgress(&schemas.Progress{Epoch: epoch, Stage: stage, Sources: 1, NextOffset: 1 << 40})
	}
	const ahead = "ahead" // of an epoch that does not count yet: left out
	for name, c := range map[string]struct {
		topic, schema string
		value         []byte
		key           []byte // nil: its own
		off           int32  // partitions beside its own
		want          string // reason of the dead letter, "" for a row
	}{
		"event":                      {schemas.TopicEvents, schemas.SchemaEvent, event, nil, 0, ""},
		"event next door":            {schemas.TopicEvents, schemas.SchemaEvent, event, nil, 1, schemas.ReasonPartition},
		"event of another":           {schemas.TopicEvents, schemas.SchemaEvent, event, []byte("acme"), 0, schemas.ReasonKey},
		"pane":                       {schemas.TopicPanes, schemas.SchemaPane, pane(epoch), nil, 0, ""},
		"pane of the epoch before":   {schemas.TopicPanes, schemas.SchemaPane, pane(epoch - 1), nil, 0, ""},
		"pane of an epoch to come":   {schemas.TopicPanes, schemas.SchemaPane, pane(epoch + 1), nil, 0, ahead},
		"and in the wrong partition": {schemas.TopicPanes, schemas.SchemaPane, pane(epoch + 1), nil, 1, ahead},
		"pane next door":             {schemas.TopicPanes, schemas.SchemaPane, pane(epoch), nil, 1, schemas.ReasonPartition},
		"pane under another account": {schemas.TopicPanes, schemas.SchemaPane, pane(epoch), []byte("globex"), 0, schemas.ReasonKey},
		"rate":                       {schemas.TopicRates, schemas.SchemaRate, rate(epoch), nil, 0, ""},
		"rate of an epoch to come":   {schemas.TopicRates, schemas.SchemaRate, rate(epoch + 1), nil, 0, ahead},
		"rate next door":             {schemas.TopicRates, schemas.SchemaRate, rate(epoch), nil, 2, schemas.ReasonPartition},
		"alert":                      {schemas.TopicAlerts, schemas.SchemaTransition, transition, nil, 0, ""},
		"alert next door":            {schemas.TopicAlerts, schemas.SchemaTransition, transition, nil, 3, schemas.ReasonPartition},
		"progress":                   {schemas.TopicPanes, schemas.SchemaProgress, progress(epoch, schemas.StageMessage), nil, 0, ""},
		"progress of roll-up":        {schemas.TopicRates, schemas.SchemaProgress, progress(epoch, schemas.StageRollup), nil, 0, ""},
		"progress of an epoch ahead": {schemas.TopicPanes, schemas.SchemaProgress, progress(epoch+1, schemas.StageMessage), nil, 0, ahead},
		"progress under a key":       {schemas.TopicPanes, schemas.SchemaProgress, progress(epoch, schemas.StageMessage), []byte("acme"), 0, schemas.ReasonKey},
		"progress of another stage":  {schemas.TopicPanes, schemas.SchemaProgress, progress(epoch, schemas.StageRollup), nil, 0, reasonStage},
		"progress of no epoch":       {schemas.TopicPanes, schemas.SchemaProgress, progress(0, schemas.StageMessage), nil, 0, reasonStage},
		"a position of the sink":     {schemas.TopicPanes, schemas.SchemaProgress, progress(0, Stage+"/"+schemas.TopicEvents), nil, 0, reasonStage},
	} {
		t.Run(name, func(t *testing.T) {
			left := 0
			b := Batch{Partitions: partitions, Epoch: epoch, OtherEpoch: func() { left++ }}
			key := c.key
			if key == nil {
				key = keyOf(c.schema, c.value)
			}
			var home int32
			if len(key) > 0 {
				home = schemas.PartitionOf(key, partitions)
			}
			r := Record{Topic: c.topic, Partition: (home + c.off) % partitions, Offset: 5, Schema: c.schema, Key: key, Value: c.value}
			reason := b.Add(r)
			f := b.Take()
			rows := len(f.Rows) + len(f.Progress)
			if c.want == ahead {
				if reason != "" || rows != 0 || left != 1 || f.Next[r.Partition] != 6 {
					t.Errorf("reason %q, %d kinds of rows, %d left, next %v; want it left and passed", reason, rows, left, f.Next)
				}
				return
			}
			if reason != c.want || rows != 1 || left != 0 || (tables(f) == "dead_letters:1") != (c.want != "") {
				t.Errorf("reason %q, %s, %d left; want reason %q", reason, tables(f), left, c.want)
			}
		})
	}
}
