package clickhouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// BrokenPart is a part of a table that ClickHouse found damaged and has left out.
type BrokenPart struct {
	Table string
	// Name is that of the folder in `detached`.
	Name   string
	Reason string
}

// String is the part on one line.
func (p BrokenPart) String() string {
	return fmt.Sprintf("%s of %s (%s)", p.Name, p.Table, p.Reason)
}

// BrokenParts lists the parts of the database that ClickHouse has left out because their
// files have changed. It does so when it opens a table and goes on; their rows are
// missing in every answer, without an error.
func BrokenParts(ctx context.Context, conn driver.Conn) ([]BrokenPart, error) {
	var parts []BrokenPart
	err := conn.Select(ctx, &parts, `SELECT table AS Table, name AS Name, ifNull(reason, '') AS Reason
		FROM system.detached_parts WHERE database = currentDatabase() AND startsWith(Reason, 'broken') ORDER BY Table, Name`)
	if err != nil {
		return nil, fmt.Errorf("ask for damaged parts: %w", err)
	}
	return parts, nil
}
