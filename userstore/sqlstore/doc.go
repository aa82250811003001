// Package sqlstore is the store on SQLite and PostgreSQL: all the SQL there is.
//
// It speaks in whole acts. An act is one conditional statement, one batch that
// runs as one implicit transaction, or one transaction that looks at what its
// first statement changed; none is left open across calls. db.go holds the seam
// that every act goes through: it bounds the call's time, refuses values that no
// engine can hold, repeats what is safe to repeat and turns driver errors into
// ours (errors.go). Each table has one file, with its SQL beside the method that
// uses it.
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
// before, or at the same moment, does not carry; codes carry it, too. A code is
// void without the browser session and the consent that stand behind it, at which
// its redemption looks under the same lock that ends these. What counts rows before
// it adds one (throttle.go) or takes one away (admins.go) takes its turn by an advisory
// lock first. SQLite has one writer at a time, and every batch is BEGIN
// IMMEDIATE.
//
// # Events
//
// An act and the events that tell of it are one transaction. Acts of every login
// stay one batch, whose last statement adds the event if it finds what the act
// wrote (audit.go); the others count the rows that their deciding statement
// changed before they add it (told.go). An event's row is made before the first
// try, with its id, and added unless it is there.
//
// # An answer lost after COMMIT
//
// When a connection breaks, the act may or may not have happened. Reads, and
// acts that lead to the same end when done twice, are done again; so is every act
// of one transaction that has an event, which is then there if it had happened.
// Each of the others says in a comment what its caller sees. The rest is
// ErrUnavailable.
//
// # Poolers
//
// Nothing here needs a session: locks are those of transactions, also Migrate's, which
// needs two connections of the pooler at once. Named statements do need one, unless the
// pooler keeps them apart by itself, so a store that finds a pooler before the server
// sends its statements without names (pooler.go), and the session's time limits only
// if the pooler takes them: each call is bounded on our side, too.
package sqlstore
