package sqlstore

import "github.com/signet-id/signet/userstore"

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
// admin. s returns the statement with one more condition at its end. The result is 0 when no row
// changed, which is also the case when the user is the last admin.
//
// Nearly always the user is no admin, which the first try of the statement finds out by itself.
// Otherwise, on PostgreSQL, operations that remove an admin wait for each other before they look
// for another admin: at READ COMMITTED, two that remove each other would both see the other one. No
// other operation removes an admin.
func (db *DB) keepingAnAdmin(run exec, s func(condition string) stmt) (int64, error) {
	n, err := run(s(unlessAdmin))
	if err != nil || n[0] > 0 {
		return 1, err
	}
	n, err = run(append(db.dialect.locked(adminLock), s(unlessLastAdmin))...)
	if err != nil {
		return 0, err
	}
	return n[len(n)-1], nil
}
