// Package sqlitebounds_test runs the part of the contract of a store that fills it up to its bounds
// on SQLite: see package sqlite.
package sqlitebounds_test

import (
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/userstore/storetest"
)

func TestBoundsSQLite(t *testing.T) {
	storetest.RunBounds(t, func(tb testing.TB) storetest.Store { return sqltest.SQLite(tb) })
}
