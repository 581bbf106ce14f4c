package sink

import "fmt"

// revision names how this build makes rows of records. Raise it whenever the
// same records become other rows: another column, another reading of a field,
// another reason of a dead letter. TestRevision fails until that is done.
//
// A batch that was inserted just before a crash is read again after it. If a
// newer build reads it, its rows are other rows, and under the same
// deduplication token ClickHouse would take them for the old ones and drop them.
const revision = 8

// tokenOf is the deduplication token of the rows of one batch in one table:
// equal tokens mean equal rows, so it names the build's revision too.
func tokenOf(revision int, topic, topicID, batch, table string) string {
	return fmt.Sprintf("r%d/%s/%s/%s/%s", revision, topic, topicID, batch, table)
}
