// Package sqlstore implements the store on SQLite and PostgreSQL. It holds all SQL of the product.
//
// Each method is one operation: one conditional statement, one batch that runs as one implicit
// transaction, or one transaction that reads what its first statement changed. No transaction stays
// open across calls. Every operation goes through db.go, which bounds the time of the call, refuses
// values that no engine can store, retries what is safe to retry and turns driver errors into the
// store's errors (errors.go). It counts and traces the call under the name that the method gives it,
// its own: db.as("UserByID"). Each table has one file, with its SQL beside the method that uses it.
//
// # One SQL text for both engines
//
// The SQL is the subset that both engines understand: $1, $2, … in order of appearance, RETURNING,
// ON CONFLICT, row values, partial indexes; no FOR UPDATE, no casts with ::, no now(), no ANY, no
// data-modifying CTE. Instants are BIGINT microseconds, 0 for none; lists are JSON text
// (values.go). dialect.go holds the few texts that differ.
//
// # Isolation
//
// PostgreSQL runs operations at READ COMMITTED: each statement of a batch sees what was committed
// before the statement began, and an UPDATE that waited for a row reads that row again. The
// operations are written for this level.
//
// Every operation that ends grants of a user changes the user's row first, and so does a login. The
// two therefore wait for each other, and a grant is either seen and ended, or refused. Every
// operation that ends grants of a client starts a new epoch in the client's row. A grant or code
// that was made before, or at the same moment, carries the old epoch. A code is void without the
// browser session and the consent behind it; its redemption checks both under the lock that the
// operations which end them take. An operation that counts rows before it adds one (throttle.go) or
// takes one away (admins.go) takes an advisory lock first. SQLite has one writer at a time, and
// every batch is BEGIN IMMEDIATE.
//
// # Audit entries
//
// An operation and its audit entries are one transaction. The operations of a login stay one batch,
// whose last statement adds the entry if it finds the row that the operation wrote (audit.go). The
// other operations count the rows that their deciding statement changed before they add the entry
// (withevents.go). The entry's row, with its id, is made before the first try, and is inserted only
// if it is not stored yet.
//
// # An answer lost after COMMIT
//
// When a connection breaks, the operation may or may not have been committed. Reads and idempotent
// operations are retried. So is every operation of one transaction that has an event: the stored
// entry then shows whether the first try was committed. Each of the other operations says in a
// comment what its caller sees. Everything else is ErrUnavailable.
//
// # Poolers
//
// No operation needs a database session: all locks are those of transactions. So is the lock of
// Migrate, which needs two connections of the pooler at once. Named statements do need a session,
// unless the pooler keeps them apart by itself. A store that detects a pooler therefore sends its
// statements without names (pooler.go), and sends the session's time limits only if the pooler
// takes them. Each call is bounded on our side, too.
package sqlstore
