package clickhouse

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	// maxMemoryBytes caps the default memory limit: an installation that needs more is not small any more.
	maxMemoryBytes = 2 << 30
	// assumedMemoryBytes is what we assume of a machine whose memory cannot be found out.
	assumedMemoryBytes = 4 << 30
	// minMemoryBytes is the least with which merges and a small query still work at the same time.
	minMemoryBytes = 256 << 20
	// keepFree is what inserts and merges leave free on the disk: below it they are refused (NOT_ENOUGH_SPACE), so
	// that a write never finds the disk full, which the library would not notice.
	keepFree = 32 << 20
)

// defaultMemoryBytes leaves three quarters of the machine to everything else.
func defaultMemoryBytes(machine int64) int64 {
	return max(minMemoryBytes, min(maxMemoryBytes, machine/4))
}

// The mark cache default of a server (5 GB) is more than our whole limit.
const serverConfig = `<clickhouse>
    <max_server_memory_usage>%d</max_server_memory_usage>
    <mark_cache_size>%d</mark_cache_size>
    <background_pool_size>2</background_pool_size>
    <background_schedule_pool_size>8</background_schedule_pool_size>
    <storage_configuration><disks><default><keep_free_space_bytes>%d</keep_free_space_bytes></default></disks></storage_configuration>
    <users_config>%s</users_config>
</clickhouse>
`

// The engine knows one user. It gets everything but SOURCES (files, URLs, other servers) and access management:
// bluetick needs neither, and what nobody has, nobody can abuse. implicit_select is off because with it a
// misspelt statement is a SELECT of a column.
const usersConfig = `<clickhouse>
    <profiles><default><implicit_select>0</implicit_select></default></profiles>
    <quotas><default/></quotas>
    <users><default>
        <password></password>
        <networks><ip>::/0</ip></networks>
        <profile>default</profile>
        <quota>default</quota>
        <grants>
            <query>GRANT SHOW, SELECT, INSERT, ALTER, CREATE, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, BACKUP, KILL QUERY, MOVE PARTITION BETWEEN SHARDS, SYSTEM, dictGet, TABLE ENGINE ON *.*</query>
        </grants>
    </default></users>
</clickhouse>
`

// writeConfig puts the generated configuration into dir, anew at every start, and returns the path of config.xml.
// The folder metadata must be there before the first connection: on a fresh path some engines hang in DROP … SYNC.
func writeConfig(dir string, memory int64) (string, error) {
	if err := os.MkdirAll(filepath.Join(dir, "metadata"), 0o750); err != nil {
		return "", err
	}
	users := filepath.Join(dir, "users.xml")
	var escaped strings.Builder
	if err := xml.EscapeText(&escaped, []byte(users)); err != nil {
		return "", err
	}
	server := fmt.Sprintf(serverConfig, memory, memory/8, keepFree, escaped.String())
	if err := os.WriteFile(users, []byte(usersConfig), 0o600); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "config.xml")
	return path, os.WriteFile(path, []byte(server), 0o600)
}
