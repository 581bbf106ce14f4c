package sink

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/bluetick/bluetick/internal/embedded/clickhouse/chtest"
	"github.com/bluetick/bluetick/internal/golden"
	"github.com/bluetick/bluetick/schemas"
	"github.com/bluetick/bluetick/sink/clickhouse"
)

const rowsFile = "testdata/rows.txt"

// goldenRecords are the wire vectors of schemas, each in its topic, and what
// becomes a dead letter.
func goldenRecords(t *testing.T) []Record {
	t.Helper()
	wire, err := os.ReadFile("../schemas/testdata/wire.txt")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string][2]string{
		"heartbeat": {schemas.TopicEvents, schemas.SchemaHeartbeat}, "reports": {schemas.TopicPanes, schemas.SchemaReports}, "rate not heard": {schemas.TopicRates, schemas.SchemaRate},
		"event": {schemas.TopicEvents, schemas.SchemaEvent}, "pane": {schemas.TopicPanes, schemas.SchemaPane},
		"progress": {schemas.TopicPanes, schemas.SchemaProgress}, "rate": {schemas.TopicRates, schemas.SchemaRate},
		"transition": {schemas.TopicAlerts, schemas.SchemaTransition}, "dead letter": {schemas.TopicDeadLetters, schemas.SchemaDeadLetter},
	}
	var out []Record
	add := func(topic, schema string, value []byte) {
		out = append(out, Record{
			Topic: topic, Partition: 3, Offset: int64(100 + len(out)), Timestamp: 1_790_000_000_000, Schema: schema, Key: keyOf(schema, value), Value: value,
		})
	}
	for line := range strings.Lines(string(wire)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), ": ")
		name, _, _ = strings.Cut(name, " with")
		kind, ok := kinds[name]
		if !ok {
			t.Fatalf("no topic is known for %q", name)
		}
		value, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		add(kind[0], kind[1], value)
	}
	left := anEvent(1, schemas.TypeOptedOut)
	add(schemas.TopicEvents, schemas.SchemaEvent, schemas.EncodeEvent(&left))
	add(schemas.TopicEvents, schemas.SchemaPane, []byte("in the wrong topic"))
	add(schemas.TopicRates, schemas.SchemaRate, nil) // the protobuf library's own errors differ from build to build
	return out
}

// TestRevision: the rows that the same records become may change only together
// with the revision, and -update does not help without it.
func TestRevision(t *testing.T) {
	conn := migrated(t)
	var batch Batch
	for _, r := range goldenRecords(t) {
		batch.Add(r)
	}
	f := batch.Take()
	client := clickhouse.NewClient(conn)
	// The order of a map's entries in a row says nothing, and differs from run to run.
	ordered := map[string]string{"events": "REPLACE (mapSort(extra) AS extra)"}
	var got bytes.Buffer
	fmt.Fprintf(&got, "revision %d\n", revision)
	for _, rows := range append(f.Rows, f.Progress) {
		if err := client.Insert(t.Context(), rows, ""); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "\n%s\n", rows.Table())
		for line := range strings.Lines(chtest.Value[string](t, conn,
			"SELECT arrayStringConcat(arraySort(groupArray(formatRowNoNewline('TSV', * "+ordered[rows.Table()]+"))), '\n') FROM "+rows.Table())) {
			fmt.Fprintln(&got, strconv.QuoteToASCII(strings.TrimSuffix(line, "\n")))
		}
	}
	old, err := os.ReadFile(rowsFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	head := fmt.Appendf(nil, "revision %d\n", revision)
	if bytes.HasPrefix(old, head) && !bytes.Equal(old, got.Bytes()) {
		t.Fatalf("records become other rows than before: raise revision in revision.go, then run with -update\n%s", got.Bytes())
	}
	golden.Assert(t, rowsFile, got.Bytes())
}

// TestUpgradeBeforeReread: the batch of a build that crashed right after its
// insert is read again by a newer one that sees more in it.
func TestUpgradeBeforeReread(t *testing.T) {
	for name, c := range map[string]struct {
		revision   int
		sent, rows uint64
	}{
		"the same build: no second copy":         {revision, 1, 1},
		"a newer build: its rows take the place": {revision + 1, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			conn := migrated(t)
			client := clickhouse.NewClient(conn)
			for i, r := range []int{revision, c.revision} {
				panes := clickhouse.Panes{{Epoch: 1, Tuple: schemas.Tuple{Account: "a", Channel: "c"}, Version: 7, Counts: schemas.Counts{Sent: int64(i + 1)}}}
				if err := client.Insert(t.Context(), panes, tokenOf(r, schemas.TopicPanes, "id", "0:7-7", panes.Table())); err != nil {
					t.Fatal(err)
				}
			}
			if n := chtest.Value[uint64](t, conn, "SELECT toUInt64(sum(sent)) FROM panes FINAL"); n != c.sent {
				t.Errorf("sent is %d, want %d", n, c.sent)
			}
			if n := chtest.Value[uint64](t, conn, "SELECT count() FROM panes"); n != c.rows {
				t.Errorf("%d rows, want %d", n, c.rows)
			}
		})
	}
}
