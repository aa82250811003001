// Package patroni runs a highly available PostgreSQL for tests: three nodes with etcd, Patroni and
// PostgreSQL each, and HAProxy before them, with the configuration files of
// docs/high-availability.md. Only addresses, ports and folders are replaced.
//
// The nodes listen on loopback addresses of their own. The programs come from Debian's packages
// etcd-server and haproxy; Patroni comes from PyPI, because Debian 12 has one that loses writes. They
// end with the process that started them, even with one that was killed, as in package pgtest: a
// small shell supervises them and reads a pipe whose other end that process holds. When the pipe
// closes, the shell kills the programs and removes their folder.
package patroni
