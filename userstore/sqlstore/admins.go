package sqlstore

import "github.com/signet-id/signet/userstore"

// A role stands in the list right after [ or a comma, and a quote inside a role
// is escaped: no other text looks like one. So the text tells who has a role, on
// either engine, and an index holds those who are enabled admins.
const (
	// A CASE, since PostgreSQL takes an equation for rare and then looks into the
	// index; and counted, not just looked for, since it expects to meet a row early.
	isAdmin = `CASE WHEN is_active AND replace(replace(roles, '["` + userstore.RoleAdmin + `"', ''), ',"` + userstore.RoleAdmin + `"', '') <> roles
		THEN 1 ELSE 0 END = 1`
	unlessAdmin     = ` AND NOT (` + isAdmin + `)`
	unlessLastAdmin = ` AND (NOT (` + isAdmin + `) OR (SELECT COUNT(*) FROM (SELECT id AS other FROM users WHERE ` + isAdmin + `) AS o
		WHERE o.other <> users.id) > 0)`

	// adminLock is the number by which acts that take an admin away wait for each other.
	adminLock int64 = 0x61646d696e // "admin"
)

// keepingAnAdmin runs a statement on one user's row after which that user may not
// be an enabled admin. s ends it with one more condition. It counts no row, among
// other reasons, when the user is the last one.
//
// Nearly always the row is no admin's, which the first try of the statement tells
// by itself. Otherwise, on PostgreSQL, acts that take an admin away take turns
// before they look for another: at READ COMMITTED two that take each other away
// would both see the other one. Nothing else takes an admin away.
func (db *DB) keepingAnAdmin(run exec, s func(condition string) stmt) (int64, error) {
	n, err := run(s(unlessAdmin))
	if err != nil || n[0] > 0 {
		return 1, err
	}
	var steps []stmt
	if db.dialect.lock != "" {
		steps = append(steps, bind(db.dialect.lock, adminLock))
	}
	n, err = run(append(steps, s(unlessLastAdmin))...)
	if err != nil {
		return 0, err
	}
	return n[len(n)-1], nil
}
