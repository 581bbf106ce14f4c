package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/store"
	"github.com/bluetick/bluetick/schemas"
)

// otherLogic has the states of a stopped folder be those of another build.
func otherLogic(t *testing.T, data, epoch string) {
	t.Helper()
	dir := filepath.Join(data, "state", epoch, schemas.TopicEvents)
	partitions, err := os.ReadDir(dir)
	if err != nil || len(partitions) == 0 {
		t.Fatal(partitions, err)
	}
	for _, p := range partitions {
		st, err := store.Open(store.Options{Dir: filepath.Join(dir, p.Name()), CacheBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		meta, _ := st.Meta()
		meta.LogicVersion = "message/0"
		if err := st.Commit(meta); err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRebuild: a folder of another logic is refused with one command, which counts
// all anew, over kills and stops; then everything goes on as before.
func TestRebuild(t *testing.T) {
	const n = 2000
	bin, data := binary(t), filepath.Join(t.TempDir(), "data")
	at := time.Now().Add(-3 * time.Hour).Unix()
	s := start(t, bin, data)
	post := func(from, to int) {
		t.Helper()
		for ; from < to; from += 50 {
			if status := s.post(body(from, from+50, at)); status != http.StatusOK {
				t.Fatalf("status %d\n%s", status, s.log)
			}
		}
	}
	post(0, n)
	s.await(countsQuery, counts(n))
	s.stop()

	if out, err := command(t, bin, "rebuild", "--data", data); err == nil || !strings.Contains(err.Error(), "--again") {
		t.Errorf("a rebuild that would change nothing: %s, %v", out, err)
	}
	otherLogic(t, data, "1")
	refused := launch(t, bin, data)
	if err := refused.end(); err == nil || !strings.Contains(refused.log.String(), "run `bluetick rebuild` with this build") {
		t.Errorf("a state of another logic: %v\n%s", err, refused.log)
	}

	for range 3 { // killed on the way, wherever that is
		r := spawn(t, bin, "rebuild", "--data", data)
		<-time.After(1500 * time.Millisecond)
		r.kill()
	}
	out, err := command(t, bin, "rebuild", "--data", data)
	if err != nil && !strings.Contains(err.Error(), "would change nothing") { // it may have been done before a kill
		t.Fatalf("rebuild: %s, %v", out, err)
	}
	s = start(t, bin, data)
	s.await(countsQuery, counts(n))
	if got := s.sql("SELECT DISTINCT epoch FROM v_epochs"); got != "2" {
		t.Errorf("epochs that count: %q", got)
	}
	post(n, n+500)
	s.await(countsQuery, counts(n+500))
	s.kill()
	s = start(t, bin, data)
	s.await(countsQuery, counts(n+500))
	if out, err := command(t, bin, "audit", "--data", data); err != nil || !strings.Contains(out, "audit: 0 differences") || !strings.Contains(out, "epoch 2") {
		t.Errorf("audit: %s, %v", out, err)
	}
	s.stop()

	epochFile := filepath.Join(data, "epoch.json")
	if err := os.Rename(epochFile, epochFile+".lost"); err != nil {
		t.Fatal(err)
	}
	refused = launch(t, bin, data)
	if err := refused.end(); err == nil || !strings.Contains(refused.log.String(), "epoch 2 counts in ClickHouse and the data folder goes on with epoch 1") {
		t.Errorf("without epoch.json: %v\n%s", err, refused.log)
	}
	if err := os.Rename(epochFile+".lost", epochFile); err != nil {
		t.Fatal(err)
	}

	if out, err := command(t, bin, "rebuild", "--data", data, "--drop-old"); err != nil || !strings.Contains(out, "epoch 1: 3 topics") {
		t.Errorf("drop: %s, %v", out, err)
	}
	if _, err := os.Stat(filepath.Join(data, "state", "1")); !os.IsNotExist(err) {
		t.Errorf("the states of epoch 1: %v", err)
	}
	s = start(t, bin, data)
	s.await(countsQuery, counts(n+500))
	s.stop()
}
