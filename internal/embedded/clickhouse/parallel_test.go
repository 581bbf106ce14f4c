package clickhouse

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// TestParallel is invariant C2: simultaneous requests share nothing but the tables.
func TestParallel(t *testing.T) {
	e := openEngine(t)
	s := serveEngine(t, e)
	must(t, s, "CREATE DATABASE other")
	for _, db := range []string{"default", "other"} {
		must(t, s, "CREATE TABLE "+db+".t (a UInt64, db String DEFAULT '"+db+"') ENGINE = MergeTree ORDER BY a")
	}
	var workers sync.WaitGroup
	const each = 15
	for w := range 8 {
		db := []string{"default", "other"}[w%2]
		workers.Go(func() {
			for i := range each {
				id := w*each + i
				if a := admin(t, s, fmt.Sprintf("INSERT INTO t (a) VALUES (%d)", id), "database", db); a.status != http.StatusOK {
					t.Errorf("%d %q", a.status, a.body)
				}
				a := reader(t, s, "SELECT db, {p:String}, getSetting('max_block_size') FROM t WHERE a = {id:UInt64}",
					"database", db, "param_p", fmt.Sprint("p", id), "param_id", fmt.Sprint(id), "max_block_size", fmt.Sprint(1000+id))
				if want := fmt.Sprintf("%s\tp%d\t%d\n", db, id, 1000+id); a.body != want {
					t.Errorf("%d %q, want %q", a.status, a.body, want)
				}
				if a := reader(t, s, "SELECT * FROM nope", "database", db); a.code() != "60" {
					t.Errorf("%d %q", a.status, a.body)
				}
			}
		})
	}
	workers.Wait()
	if got := must(t, s, "SELECT (SELECT count() FROM default.t), (SELECT count() FROM other.t)"); got != fmt.Sprintf("%d\t%d\n", 4*each, 4*each) {
		t.Errorf("rows %q", got)
	}
}
