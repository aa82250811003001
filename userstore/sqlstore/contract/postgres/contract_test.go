// Package postgres_test runs the contract of a store on PostgreSQL. It stands apart from sqlstore's
// own tests, so that no package of tests takes too long.
package postgres_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/userstore/storetest"
)

func TestContractPostgres(t *testing.T) {
	before := len(pgtest.Log(t))
	storetest.Run(t, func(tb testing.TB) storetest.Store { return sqltest.Postgres(tb) })

	// S-01: whatever strings the tests sent, the server reported no errors except those that the
	// statements expect.
	expected := regexp.MustCompile(
		`duplicate key value|could not serialize access|deadlock detected|violates foreign key constraint "(codes|consents)_`)
	for line := range strings.Lines(pgtest.Log(t)[before:]) {
		if strings.Contains(line, " ERROR: ") && !expected.MatchString(line) {
			t.Errorf("S-01 in the server's log: %s", line)
		}
	}
}
