package sqlstore

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/signet-id/signet/userstore"
)

// dialect holds every difference between the SQL texts of the engines.
type dialect struct {
	name string
	// now reads the database's clock, in microseconds. Beside the probe, no other SQL reads a clock.
	now string
	// probe is what Ping writes in one transaction. Its last statement updates a row. PostgreSQL
	// updates the row in place and therefore also on a full disk, where every write that needs a new
	// page fails. So a statement before it spills a little more than work_mem to the disk of the
	// data, which leaves nothing behind.
	probe []string
	// hasTable selects 1 if a table of that name exists, and 0 otherwise.
	hasTable string
	// lock makes operations that name the same number wait for each other until each is committed.
	// It is empty where all writers wait for each other anyway.
	lock     string
	advances advances // the statement of a refresh: see advance
	// search reads searchIndexes.
	search string
	// byTrigrams finds the users one of whose names holds a text, by an index; it works for the
	// texts that hasTrigrams is true of. notYet are the users u, with two places for the text, who
	// have such a name and whom it does not find yet; empty: it finds all.
	byTrigrams  func(ctx context.Context, db named, s *userSearch) (found, error)
	hasTrigrams func(text string, has searchIndexes) bool
	notYet      string
	// hits is how the engine has to run what byTrigrams returns as a WITH clause, to read no more
	// of it than is taken.
	hits   string
	bounds searchBounds
}

// locked returns the statements that take the locks of these numbers; none where all writers wait
// for each other anyway. All callers name several numbers in the same order.
func (d *dialect) locked(numbers ...int64) (s []stmt) {
	if d.lock == "" {
		return nil
	}
	for _, n := range numbers {
		s = append(s, bind(d.lock, n))
	}
	return s
}

// lockNumber returns the number by which the requests of one budget take turns.
func lockNumber(budget userstore.BudgetKey) int64 { return int64(binary.BigEndian.Uint64(budget[:])) }

const (
	advancedJoin    = `u.roles, c.resources, c.id_token_alg, c.id_token_claims, c.first_party, c.scopes, c.kind`
	advancedLookups = `(SELECT roles FROM users WHERE users.id = grants.user_id),
	(SELECT resources FROM clients WHERE clients.id = grants.client_id),
	(SELECT id_token_alg FROM clients WHERE clients.id = grants.client_id),
	(SELECT id_token_claims FROM clients WHERE clients.id = grants.client_id),
	(SELECT first_party FROM clients WHERE clients.id = grants.client_id),
	(SELECT scopes FROM clients WHERE clients.id = grants.client_id),
	(SELECT kind FROM clients WHERE clients.id = grants.client_id)`
)

const (
	postgresNow = `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`
	sqliteNow   = `SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)`
)

var postgresDialect = dialect{
	advances: newAdvances(advancedJoin),

	name: "postgres",
	now:  postgresNow,
	probe: []string{
		`SELECT set_config('work_mem', '64kB', true), set_config('temp_tablespaces', '', true)`,
		`SELECT COUNT(*) FROM generate_series(1, 6000)`,
		`UPDATE write_probe SET at = (` + postgresNow + `)
		 WHERE id = (SELECT p.id FROM write_probe p ORDER BY p.id LIMIT 1 FOR UPDATE SKIP LOCKED)`,
	},
	hasTable: `SELECT CASE WHEN to_regclass($1) IS NULL THEN 0 ELSE 1 END`,
	lock:     `SELECT pg_advisory_xact_lock($1)`,

	search: postgresSearch, byTrigrams: byTrigramsPostgres, hasTrigrams: hasTrigramsPostgres,
	hits: `MATERIALIZED`,
	bounds: searchBounds{
		first: 1000, names: 20_000, walk: 50_000, patience: time.Second, dearName: 2, sampled: 100_000,
	},
}

var sqliteDialect = dialect{
	advances: newAdvances(advancedLookups),

	name:     "sqlite",
	now:      sqliteNow,
	probe:    []string{`UPDATE write_probe SET at = (` + sqliteNow + `) WHERE id = 1`},
	hasTable: `SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = $1`,

	search: sqliteSearch, byTrigrams: byTrigramsSQLite, hasTrigrams: hasTrigramsSQLite,
	hits:   `NOT MATERIALIZED`,
	bounds: searchBounds{first: 1000, names: 20_000, walk: 50_000, patience: time.Second, dearName: 4},
	notYet: `search_todo t CROSS JOIN users u WHERE u.id = t.user_id AND (` + namesHold + `)`,
}
