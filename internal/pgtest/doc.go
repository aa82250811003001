// Package pgtest runs a real PostgreSQL for tests.
//
// Tests never mock the database and never skip because there is none: the
// first call in a test process finds Debian's server programs, makes a cluster
// in a temporary folder and starts it on a Unix socket that only its user can
// reach. The server ends with the test process, even one that was killed,
// because a small shell supervises it and reads a pipe whose other end the
// test process holds: no process, no pipe, no server, no folder.
//
// With SIGNET_TEST_POSTGRES_URL (an address with superuser rights) databases
// are made there instead, and dropped again.
package pgtest
