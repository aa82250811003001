package sqlstore_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/counts"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// Calls are counted by the method that was called, wherever it was called from; entries of the audit
// log when they are stored, and not when their operation is refused.
func TestCallsAndEntriesAreCounted(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		create := func(id string) error {
			u := userstore.User{ID: id, EmailKey: "a@example.com", PasswordHash: "$", IsActive: true, CreatedAt: now}
			return db.CreateUser(t.Context(), u, audit.New(t.Context(), now, audit.UserCreated, audit.User(id)))
		}
		if err := create("one"); err != nil {
			t.Fatal(err)
		}
		if err := create("two"); err == nil {
			t.Fatal("two accounts with one address")
		}
		for range 2 {
			if _, err := db.UserByID(t.Context(), "one"); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Record(t.Context(), audit.New(t.Context(), now, audit.UsersExported, audit.Target{})); err != nil {
			t.Fatal(err)
		}
		got := map[string]uint64{}
		db.Calls(func(method string, calls counts.Durations) { got[method] = calls.Count })
		for method, want := range map[string]uint64{"CreateUser": 2, "UserByID": 2, "Record": 1} {
			if got[method] != want {
				t.Errorf("%s: %d calls, want %d of %v", method, got[method], want, got)
			}
		}
		entries := map[string]uint64{}
		db.Entries(func(event string, n uint64) { entries[event] = n })
		if entries["user_created"] != 1 || entries["users_exported"] != 1 || len(entries) != len(audit.Names) {
			t.Errorf("%v", entries)
		}
		if db.FailedEntries() != 0 || db.Failures() != 0 {
			t.Errorf("an address that is taken counts as %d and %d failures", db.FailedEntries(), db.Failures())
		}
	})
}
