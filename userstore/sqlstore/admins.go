package sqlstore

import (
	"slices"

	"github.com/signet-id/signet/userstore"
)

// A role stands in the list right after [ or a comma, and a quote inside a role is escaped, so no
// other text looks like a role. The text therefore shows, on either engine, who has a role. An
// index holds the enabled admins.
const (
	// isAdmin is a CASE because PostgreSQL expects an equation to be rare and then does not use the
	// index. Admins are counted, not just searched, because PostgreSQL expects to meet a row early.
	isAdmin = `CASE WHEN is_active AND replace(replace(roles, '["` + userstore.RoleAdmin + `"', ''), ',"` + userstore.RoleAdmin + `"', '') <> roles
		THEN 1 ELSE 0 END = 1`
	unlessAdmin     = ` AND NOT (` + isAdmin + `)`
	unlessLastAdmin = ` AND (NOT (` + isAdmin + `) OR (SELECT COUNT(*) FROM (SELECT id AS other FROM users WHERE ` + isAdmin + `) AS o
		WHERE o.other <> users.id) > 0)`

	// adminLock is the advisory lock of operations that may remove an admin.
	adminLock int64 = 0x61646d696e // "admin"
)

// keepingAnAdmin runs a statement on one user's row after which that user may not be an enabled
// admin. s returns the statement with one more condition at its end. The statements in after run in
// the same round trip, once or twice, even if the row does not change. The results are the numbers
// of rows that each statement changed. The first is also 0 when the user is the last admin; then the
// caller rolls back.
//
// Nearly always the user is no admin, which the first try of the statement finds out by itself.
// Otherwise, on PostgreSQL, operations that remove an admin wait for each other before they look
// for another admin: at READ COMMITTED, two that remove each other would both see the other one. No
// other operation removes an admin.
func (db *DB) keepingAnAdmin(run exec, s func(condition string) stmt, after ...stmt) ([]int64, error) {
	n, err := run(append([]stmt{s(unlessAdmin)}, after...)...)
	if err != nil || n[0] > 0 {
		return n, err
	}
	locks := db.dialect.locked(adminLock)
	n, err = run(slices.Concat(locks, []stmt{s(unlessLastAdmin)}, after)...)
	if err != nil {
		return nil, err
	}
	return n[len(locks):], nil
}
