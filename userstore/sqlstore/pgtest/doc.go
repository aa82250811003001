// Package pgtest runs a real PostgreSQL for tests.
//
// Tests never mock the database and are never skipped for lack of one. The first call in a test
// process finds the machine's server programs, makes a cluster in a temporary folder and starts it
// on a Unix socket that only its user can reach. The server ends with the test process, even with
// one that was killed: a small shell supervises the server and reads a pipe whose other end the
// test process holds. When the pipe closes, the shell stops the server and removes the folder.
//
// A machine without these programs gets pinned binaries from Maven Central, checked against sums in
// this package, in the user's cache folder. However many processes start at once, one of them
// fetches and says so on standard error. SIGNET_TEST_MAVEN_URL names another repository with the
// same files.
//
// With SIGNET_TEST_POSTGRES_URL (an address with superuser rights) databases are made on that
// server instead, and dropped again.
package pgtest
