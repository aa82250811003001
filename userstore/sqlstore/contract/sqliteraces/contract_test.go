// Package sqliteraces_test runs the races of the contract of a store on SQLite: see package sqlite.
package sqliteraces_test

import (
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/userstore/storetest"
)

func TestRacesSQLite(t *testing.T) {
	storetest.RunRaces(t, func(tb testing.TB) storetest.Store { return sqltest.SQLite(tb) })
}
