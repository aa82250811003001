//go:build unix

// Programs prints which PostgreSQL the tests use, and fetches one if the machine has none. `make
// test` runs it first, because `go test` shows no output of packages whose tests pass, and because
// the download then takes none of a package's time.
package main

import (
	"fmt"
	"os"

	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

func main() {
	if os.Getenv("SIGNET_TEST_POSTGRES_URL") != "" {
		fmt.Println("The tests use the PostgreSQL server of SIGNET_TEST_POSTGRES_URL.")
		return
	}
	dir, err := pgtest.Programs()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("The tests start PostgreSQL servers with the programs in", dir)
}
