package sqlstore_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// The use of a browser session or of a code is updated in place, as a refresh is.
func TestUsesAreUpdatedInPlace(t *testing.T) {
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{})
	admin := session(t, url)
	const rows = 30
	for range rows {
		u, s, c := inBrowser(t, db)
		for n := range 20 {
			if err := db.TouchSession(t.Context(), s.Hash, now.Add(time.Duration(n+1)*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.RedeemCode(t.Context(), redemption(u, c)); err != nil {
			t.Fatal(err)
		}
	}
	db.Close() // flushes the statistics
	for table, want := range map[string]int64{"browser_sessions": rows * 20, "codes": rows} {
		deadline := time.Now().Add(time.Minute)
		for {
			psql(t, admin, `SELECT pg_stat_clear_snapshot()`)
			updates := one[int64](t, admin, `SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = '`+table+`'`)
			if updates >= want {
				if hot := one[int64](t, admin,
					`SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = '`+table+`'`); hot < updates*95/100 {
					t.Errorf("%s: only %d of %d updates were in place", table, hot, updates)
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d updates are known", table, updates)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func TestSQLitePlansOfTheProvider(t *testing.T) {
	t.Parallel()
	db := sqltest.SQLite(t)
	id := []byte("0123456789abcdef")
	for name, test := range map[string]struct {
		sql   string
		args  []any
		index []string
	}{
		"a code": {sqlstore.CodeSQL, []any{id}, []string{"sqlite_autoindex_codes_1", "browser_sessions_id"}},
		"use a code": {sqlstore.UseCodeSQL, []any{1, id, id, "u", "c", 1, "s", id},
			[]string{"sqlite_autoindex_codes_1"}},
		"use a code of a grant": {sqlstore.UseCodeOfGrantSQL, []any{1, id, id, "u", "c", 1, "s", id, 1},
			[]string{"sqlite_autoindex_codes_1", "sqlite_autoindex_grants_1"}},
		"the grant of a code goes on": {sqlstore.GoOnSQL, []any{1, 1, 1, "", id, id, 1}, []string{"sqlite_autoindex_grants_1"}},
		"a browser session":           {sqlstore.SessionSQL, []any{id, 1, 1}, []string{"sqlite_autoindex_browser_sessions_1"}},
		"a user's sessions":           {sqlstore.ListSessionsSQL, []any{"u", 1, 1}, []string{"browser_sessions_user"}},
		"grants of the replaced": {sqlstore.RevokeReplacedSQL, []any{1, id, "u", "b", "u", "m"},
			[]string{"grants_browser_session"}},
		"idle sessions": {sqlstore.DeleteIdleSQL, []any{"u", 1, id, "u", 50, id}, []string{"browser_sessions_user"}},
		"told sessions": {sqlstore.RecordSurplusSQL, []any{1, "", "", "", "", "", "", "", "", "", "", "", "u", id, 1,
			49, id}, []string{"browser_sessions_user", "browser_sessions_id"}},
		"surplus sessions": {sqlstore.EndSurplusSQL, []any{1, "u", "session_revoked", "too_many", id},
			[]string{"browser_sessions_id"}},
		"push a request": {sqlstore.SavePushedSQL, []any{id, "", id, 1, 1, "c", "c", 1, 1, 1, 1},
			[]string{"pushed_requests_client", "pushed_requests_expires"}},
		"a pushed request": {sqlstore.ReadPushedSQL, []any{id, "c"}, []string{"sqlite_autoindex_pushed_requests_1"}},
		"a device that asks": {sqlstore.SaveDeviceSQL,
			[]any{"d", id, id, "", "", "", "", 1, 1, 1, 1, 1, 0, "c", "c", 1, 1, 1, 1},
			[]string{"device_authorizations_client", "device_authorizations_expires"}},
		"a device by its code":      {sqlstore.DeviceByCodeSQL, []any{id}, []string{"device_authorizations_code"}},
		"a device by its user code": {sqlstore.DeviceByUserCodeSQL, []any{id}, []string{"device_authorizations_user_code"}},
		"a device by its id":        {sqlstore.DeviceByIDSQL, []any{"d"}, []string{"sqlite_autoindex_device_authorizations_1"}},
		"a poll":                    {sqlstore.PollDeviceSQL, []any{1, 1, 1, 1, 1, 1, id, 1, 1, 1, 1}, []string{"device_authorizations_code"}},
		"a user's consents":         {sqlstore.ListConsentsSQL, []any{"u", "u"}, []string{"USING PRIMARY KEY"}},
		"a subject":                 {sqlstore.ReadSubjectSQL, []any{"u", "s"}, []string{"sqlite_autoindex_subjects_1"}},
		"by subject":                {sqlstore.UserBySubjectSQL, []any{"p"}, []string{"subjects_subject"}},
		"a user's subjects":         {sqlstore.ListSubjectsSQL, []any{"u"}, []string{"sqlite_autoindex_subjects_1"}},
		"a page of clients":         {sqlstore.NextClientsSQL, []any{1, "c", 1}, []string{"clients_created"}},
	} {
		plan, err := sqlstore.SQLitePlan(t.Context(), db, test.sql, test.args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, index := range test.index {
			if !strings.Contains(plan, index) {
				t.Errorf("%s goes without %s:\n%s", name, index, plan)
			}
		}
		lines := slices.Collect(strings.Lines(plan))
		if slices.ContainsFunc(lines, func(l string) bool {
			return strings.HasPrefix(l, "SCAN ") && !strings.Contains(l, "USING") && !strings.Contains(l, "SCAN o\n")
		}) {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}
