//go:build !unix

package sqlstore

import "errors"

// ErrLocked: another server works on the same file.
var ErrLocked = errors.New("another server uses this database")

// Lock is refused where there is no flock: two servers could share a file.
func Lock(string) (func(), error) {
	return nil, errors.New("a server on SQLite needs a Unix system: use PostgreSQL here (SIGNET_DATABASE_URL)")
}
