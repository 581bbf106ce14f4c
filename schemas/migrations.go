package schemas

import "embed"

//go:embed clickhouse/*.sql
var migrations embed.FS

// Migrations returns the ClickHouse migrations, templates named
// clickhouse/NNNN_name.sql whose order is that of their names.
func Migrations() embed.FS { return migrations }
