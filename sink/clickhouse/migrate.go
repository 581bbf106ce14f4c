package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/bluetick/bluetick/schemas"
)

// separator is on a line of its own between the statements of a migration.
const separator = "\n-- next statement --\n"

// Migration is one file of schemas/clickhouse.
type Migration struct {
	Number uint32
	Name   string
	// Checksum is of the text rendered without any TTL, so that a changed TTL
	// does not make it another migration.
	Checksum   string
	Statements []string
}

// Migrations returns every migration of this build in order.
func Migrations(ttl TTL) ([]Migration, error) {
	files, err := fs.Glob(schemas.Migrations(), "clickhouse/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	var out []Migration
	for i, file := range files { // Glob sorts
		m, err := readMigration(file, ttl)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if int(m.Number) != i+1 {
			return nil, fmt.Errorf("%s: want number %d", file, i+1)
		}
		out = append(out, m)
	}
	return out, nil
}

func readMigration(file string, ttl TTL) (Migration, error) {
	text, err := fs.ReadFile(schemas.Migrations(), file)
	if err != nil {
		return Migration{}, err
	}
	name := path.Base(file)
	digits, _, _ := strings.Cut(name, "_")
	number, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return Migration{}, fmt.Errorf("number of migration: %w", err)
	}
	canonical, err := render(name, string(text), TTL{})
	if err != nil {
		return Migration{}, err
	}
	rendered, err := render(name, string(text), ttl)
	if err != nil {
		return Migration{}, err
	}
	sum := sha256.Sum256([]byte(canonical))
	return Migration{uint32(number), name, hex.EncodeToString(sum[:]), strings.Split(rendered, separator)}, nil
}

// MigrateConfig is what Migrate has to bring about.
type MigrateConfig struct {
	// Options lead to the server; their database is created if it is missing.
	Options *ch.Options
	TTL     TTL
	// Epoch is the one that counts in a new database. An existing one keeps its
	// own until a row in epochs says otherwise.
	Epoch uint32
	// Now stamps what is written; it decides nothing.
	Now time.Time
}

// Migrate brings the database to the schema of this build: it creates it,
// applies the missing migrations in order, sets the TTLs, makes an epoch count
// if none does and loads the benchmarks. It may be repeated and interrupted at
// any point. It returns the names of the migrations it applied.
func Migrate(ctx context.Context, cfg MigrateConfig) (applied []string, err error) {
	if err := cfg.TTL.validate(); err != nil {
		return nil, &Refusal{err}
	}
	all, err := Migrations(cfg.TTL)
	if err != nil {
		return nil, &Refusal{err}
	}
	if err := createDatabase(ctx, cfg.Options); err != nil {
		return nil, err
	}
	conn, err := Connect(ctx, cfg.Options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	applied, err = apply(ctx, conn, all, cfg.Now)
	if err == nil {
		err = setTTLs(ctx, conn, cfg.TTL)
	}
	if err == nil {
		err = firstEpoch(ctx, conn, cfg.Epoch, cfg.Now)
	}
	if err == nil {
		err = loadBenchmarks(ctx, conn)
	}
	return applied, err
}

func createDatabase(ctx context.Context, options *ch.Options) (err error) {
	o := *options
	o.Auth.Database = "default"
	conn, err := Connect(ctx, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	name := strings.ReplaceAll(options.Auth.Database, "`", "``")
	if err := conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS `"+name+"`"); err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	return nil
}

func apply(ctx context.Context, conn driver.Conn, all []Migration, now time.Time) ([]string, error) {
	recorded, err := recordedMigrations(ctx, conn)
	if err != nil {
		return nil, err
	}
	if err := agree(all, recorded); err != nil {
		return nil, &Refusal{err}
	}
	var applied []string
	for _, m := range all {
		if _, ok := recorded[m.Number]; ok {
			continue
		}
		for i, s := range m.Statements {
			if err := conn.Exec(ctx, s); err != nil {
				return applied, fmt.Errorf("migration %s, statement %d: %w", m.Name, i+1, err)
			}
		}
		err := conn.Exec(ctx, "INSERT INTO schema_migrations (number, name, checksum, applied_at) VALUES (?, ?, ?, fromUnixTimestamp64Milli(?))",
			m.Number, m.Name, m.Checksum, now.UnixMilli())
		if err != nil {
			return applied, fmt.Errorf("record migration %s: %w", m.Name, err)
		}
		applied = append(applied, m.Name)
	}
	return applied, nil
}

// agree refuses a database that some other build has migrated.
func agree(all []Migration, recorded map[uint32]string) error {
	for number, checksum := range recorded {
		switch {
		case int(number) > len(all):
			return fmt.Errorf("the database has migration %d and this build only %d: use a newer build", number, len(all))
		case number == 0 || all[number-1].Checksum != checksum:
			return fmt.Errorf("migration %d was applied with another text than this build has: "+
				"use the build that applied it, or another database (clickhouse.database)", number)
		}
	}
	return nil
}

func recordedMigrations(ctx context.Context, conn driver.Conn) (map[uint32]string, error) {
	var exists uint8
	if err := conn.QueryRow(ctx, "EXISTS TABLE schema_migrations").Scan(&exists); err != nil {
		return nil, fmt.Errorf("look for schema_migrations: %w", err)
	}
	out := map[uint32]string{}
	if exists == 0 {
		return out, nil
	}
	rows, err := conn.Query(ctx, "SELECT number, checksum FROM schema_migrations FINAL")
	if err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says it
	for rows.Next() {
		var number uint32
		var checksum string
		if err := rows.Scan(&number, &checksum); err != nil {
			return nil, fmt.Errorf("read schema_migrations: %w", err)
		}
		out[number] = checksum
	}
	return out, rows.Err()
}

// setTTLs changes the TTLs of an existing database to those of ttl.
func setTTLs(ctx context.Context, conn driver.Conn, ttl TTL) error {
	for _, t := range []struct {
		table, column string
		days          int
		daily         bool // a part holds one day at most
	}{
		{"events", "occurred_at", ttl.EventsDays, true},
		{"dead_letters", "received_at", ttl.DeadLettersDays, false},
		{"panes", "minute", ttl.PanesDays, true},
		{"rates", "at", ttl.RatesDays, true},
	} {
		present, err := TTLDays(ctx, conn, t.table)
		if err != nil {
			return err
		}
		if present == t.days {
			continue
		}
		changes := []string{"REMOVE TTL"}
		if t.days > 0 {
			changes = []string{"MODIFY " + strings.TrimSpace(ttlClause(t.column, t.days))}
		}
		if t.days > 0 && t.daily {
			// A day is dropped whole: rewriting its part minute by minute would cost
			// more than the day it saves.
			changes = append([]string{"MODIFY SETTING ttl_only_drop_parts = 1"}, changes...)
		}
		for _, change := range changes {
			if err := conn.Exec(ctx, "ALTER TABLE "+t.table+" "+change); err != nil {
				return fmt.Errorf("set TTL of %s to %d days: %w", t.table, t.days, err)
			}
		}
	}
	return nil
}

// TTLDays is the TTL of a table in days; 0 if it has none.
func TTLDays(ctx context.Context, conn driver.Conn, table string) (int, error) {
	var days uint32
	err := conn.QueryRow(ctx, `SELECT toUInt32OrZero(extract(engine_full, 'toIntervalDay\\((\\d+)\\)'))
		FROM system.tables WHERE database = currentDatabase() AND name = ?`, table).Scan(&days)
	if err != nil {
		return 0, fmt.Errorf("read TTL of %s: %w", table, err)
	}
	return int(days), nil
}

func firstEpoch(ctx context.Context, conn driver.Conn, epoch uint32, now time.Time) error {
	var n uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM epochs").Scan(&n); err != nil {
		return fmt.Errorf("read epochs: %w", err)
	}
	if n > 0 {
		return nil
	}
	err := conn.Exec(ctx, "INSERT INTO epochs (sequence, epoch, activated_at, note) VALUES (1, ?, fromUnixTimestamp64Milli(?), 'first')", epoch, now.UnixMilli())
	if err != nil {
		return fmt.Errorf("record the first epoch: %w", err)
	}
	return nil
}
