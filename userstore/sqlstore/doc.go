// Package sqlstore is the store on SQLite and PostgreSQL: all the SQL there is.
//
// It speaks in whole acts. An act is one conditional statement, one batch that
// runs as one implicit transaction, or (the key ring) one transaction; none is
// left open across calls. db.go holds the seam that every act goes through:
// it bounds the call's time, refuses values that no engine can hold, repeats
// what is safe to repeat and turns driver errors into ours (errors.go). Each
// table has one file, with its SQL beside the method that uses it.
//
// # One text for both engines
//
// The SQL is the subset that both understand: $1, $2, … in order of appearance,
// RETURNING, ON CONFLICT, row values, partial indexes; no FOR UPDATE, no casts
// with ::, no now(), no ANY, no data-modifying CTE. Instants are BIGINT
// microseconds, 0 for none; lists are JSON text (values.go). The few texts that
// differ stand in dialect.go.
//
// # Isolation
//
// PostgreSQL runs these acts at READ COMMITTED: each statement of a batch sees
// what was committed before it began, and an UPDATE that waited for a row looks
// at that row again. The acts are written for that. Whatever ends grants of a
// user changes the user's row first, and so does a login; so the two wait for
// each other, and a grant is either seen and ended, or refused. Whatever ends
// grants of a client starts a new epoch in the client's row, which a grant made
// before, or at the same moment, does not carry; nor does a code. A code is void
// without the browser session and the consent that stand behind it: its
// redemption takes the user's row, too, before it looks at them, and whatever ends
// either has taken it before. What counts rows before it adds one (throttle.go)
// takes its turn by an advisory lock first. SQLite has one writer at a time, and
// every batch is BEGIN IMMEDIATE.
//
// # An answer lost after COMMIT
//
// When a connection breaks, the act may or may not have happened. Reads, and
// acts that lead to the same end when done twice, are done again; each of the
// others says in a comment what its caller sees. The rest is ErrUnavailable.
//
// # Poolers
//
// Through a transaction pooler (PgBouncer 1.21 or later keeps prepared
// statements apart by itself) nothing here needs a session, except Migrate,
// which takes a session lock and wants a direct connection. For an older
// pooler, add default_query_exec_mode=cache_describe to the URL. A pooler that
// refuses our time limits in the startup message is spoken to without them:
// each call is bounded on our side, too.
package sqlstore
