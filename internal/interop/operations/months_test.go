//go:build interop

package operations

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// months checks that the audit log consists of months, with all that was written before, and that
// v0.1.0 removes old entries there as it did. Its sweeper comes every five minutes only, so that its
// statement is taken from its sources.
func (u *upgrade) months(t *testing.T, database string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `SELECT inhrelid::regclass::text FROM pg_inherits
		WHERE inhparent = 'audit_events'::regclass`)
	must(t, err)
	parts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	if !slices.Contains(parts, "audit_events_before") || !slices.Contains(parts, "audit_events_other") {
		t.Errorf("the audit log has the parts %q", parts)
	}
	count := func() (n int) {
		must(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM audit_events WHERE name = 'user_created'`).Scan(&n))
		return n
	}
	before := count()
	if before == 0 {
		t.Error("the entries of before are gone")
	}
	_, err = conn.Exec(t.Context(), `INSERT INTO audit_events SELECT at - $1, id || 'old', name, outcome, reason,
		actor_type, actor_id, target_type, target_id, client_id, session_id, address, user_agent, request_id, changes
		FROM audit_events`, threeYears)
	must(t, err)
	source, err := os.ReadFile(filepath.Join(programs.dir, "previous", "userstore", "sqlstore", "audit.go"))
	must(t, err)
	statement := regexp.MustCompile("(?s)const removeEvents = `(.*?)`").FindSubmatch(source)
	if statement == nil {
		t.Fatal("v0.1.0 removes old entries by another statement")
	}
	for removed := int64(200); removed == 200; {
		tag, err := conn.Exec(t.Context(), string(statement[1]), time.Now().UnixMicro()-threeYears/2, 200)
		must(t, err)
		removed = tag.RowsAffected()
	}
	if after := count(); after < before || after >= 2*before {
		t.Errorf("of %d entries and their copies of three years ago %d are left", before, after)
	}
}

const threeYears = int64(3 * 365 * 24 * time.Hour / time.Microsecond)
