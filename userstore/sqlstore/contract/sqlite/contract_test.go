// Package sqlite_test runs the contract of a store on SQLite, but for its races and bounds, which
// the packages sqliteraces and sqlitebounds run. They stand apart from sqlstore's own tests, so
// that no package takes too long. What the contract asks of the database, both engines must find
// without reading a whole table.
package sqlite_test

import (
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/userstore/storetest"
)

// The contract calls every method of a store, and so its statements are all that there are.
func TestContractSQLite(t *testing.T) {
	ran := statements{first: map[string][]any{}}
	t.Run("contract", func(t *testing.T) {
		storetest.RunRest(t, func(tb testing.TB) storetest.Store {
			db := sqltest.SQLite(tb)
			sqlstore.Observe(db, ran.add)
			return db
		})
	})
	t.Run("no statement scans a table", ran.noneScans)
}
