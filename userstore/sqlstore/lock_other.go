//go:build !unix

package sqlstore

import "errors"

// lockFile returns an error where there is no flock: two servers could share a file.
func lockFile(string) (func(), error) {
	return nil, errors.New("a server on SQLite needs a Unix system: use PostgreSQL here (SIGNET_DATABASE_URL)")
}
