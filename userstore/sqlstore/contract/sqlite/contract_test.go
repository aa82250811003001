// Package sqlite_test runs the contract of a store on SQLite, but for its races and bounds, which
// the packages sqliteraces and sqlitebounds run. They stand apart from sqlstore's own tests, so
// that no package takes too long.
package sqlite_test

import (
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/userstore/storetest"
)

func TestContractSQLite(t *testing.T) {
	storetest.RunRest(t, func(tb testing.TB) storetest.Store { return sqltest.SQLite(tb) })
}
