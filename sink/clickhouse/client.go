package clickhouse

import (
	"context"
	"fmt"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Client inserts into one database and may be used by several goroutines.
type Client struct{ conn driver.Conn }

// NewClient uses a connection whose default database has been migrated. The
// caller keeps the connection and closes it after the last use of the Client.
func NewClient(conn driver.Conn) *Client { return &Client{conn} }

// Connect opens a connection and pings the server. The caller closes it.
func Connect(ctx context.Context, options *ch.Options) (driver.Conn, error) {
	conn, err := ch.Open(options)
	if err != nil {
		return nil, fmt.Errorf("connect to ClickHouse: %w", err)
	}
	if err := conn.Ping(ctx); err != nil {
		_ = conn.Close() // the reason is err
		return nil, fmt.Errorf("connect to ClickHouse: %w", err)
	}
	return conn, nil
}

// Insert adds rows to their table in one block and returns when ClickHouse has
// acknowledged it. token names the block: equal tokens must mean equal rows.
// Classify says what an error means.
func (c *Client) Insert(ctx context.Context, rows Rows, token string) error {
	if rows.Len() == 0 {
		return nil
	}
	columns := rows.columns()
	if err := c.insert(ctx, rows.Table(), columns, token); err != nil {
		return fmt.Errorf("insert %s: %w", rows.Table(), err)
	}
	return nil
}

func (c *Client) insert(ctx context.Context, table string, columns []column, token string) error {
	ctx = ch.Context(ctx, ch.WithSettings(ch.Settings{
		"insert_deduplication_token": token,
		// An import of old events touches one partition per day; they are bounded
		// by the rows of a batch.
		"max_partitions_per_insert_block": 0,
		// The answer must mean that the rows are there.
		"async_insert": 0,
	}))
	batch, err := c.conn.PrepareBatch(ctx, "INSERT INTO "+table+" ("+names(columns)+")")
	if err != nil {
		return err
	}
	defer func() { _ = batch.Close() }() // after Send it does nothing
	for i, col := range columns {
		if err := appendTo(batch.Column(i), col.values); err != nil {
			return &Refusal{fmt.Errorf("column %s: %w", col.name, err)}
		}
	}
	return batch.Send()
}

// appendTo appends a column. Arrays go row by row: given the whole column, the
// driver reflects on every element (panes: 127 allocations a row, not 19).
func appendTo(to driver.BatchColumn, values any) error {
	switch v := values.(type) {
	case [][]int64:
		return appendRows(to, v)
	case [][][]byte:
		return appendRows(to, v)
	default:
		return to.Append(v)
	}
}

func appendRows[V any](to driver.BatchColumn, rows []V) error {
	for _, row := range rows {
		if err := to.AppendRow(row); err != nil {
			return err
		}
	}
	return nil
}

// Position is how far the sink has come in one partition.
type Position struct {
	// Next is the first offset whose rows may not be there.
	Next int64
	// TopicID is the identity of the topic the offsets belong to.
	TopicID string
}

// Positions returns the positions recorded under the stage, by partition.
func (c *Client) Positions(ctx context.Context, stage string) (map[int32]Position, error) {
	rows, err := c.conn.Query(ctx, "SELECT source, max(version), argMax(topic_id, version) FROM progress WHERE stage = ? GROUP BY source", stage)
	if err != nil {
		return nil, fmt.Errorf("read positions of %s: %w", stage, err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says it
	out := map[int32]Position{}
	for rows.Next() {
		var partition int32
		var next uint64
		var id string
		if err := rows.Scan(&partition, &next, &id); err != nil {
			return nil, fmt.Errorf("read positions of %s: %w", stage, err)
		}
		out[partition] = Position{Next: int64(next), TopicID: id}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read positions of %s: %w", stage, err)
	}
	return out, nil
}
