// Package pgtest runs a real PostgreSQL for tests.
//
// Tests never mock the database and never skip because there is none: the
// first call in a test process finds the machine's server programs, makes a cluster
// in a temporary folder and starts it on a Unix socket that only its user can
// reach. The server ends with the test process, even one that was killed,
// because a small shell supervises it and reads a pipe whose other end the
// test process holds: no process, no pipe, no server, no folder.
//
// A machine without these programs gets them: pinned binaries from Maven Central, checked against sums that stand here,
// in the user's cache folder. One process fetches, however many start at once, and says so on standard error.
// SIGNET_TEST_MAVEN_URL names another repository that has the same files.
//
// With SIGNET_TEST_POSTGRES_URL (an address with superuser rights) databases
// are made there instead, and dropped again.
package pgtest
