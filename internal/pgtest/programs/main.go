//go:build unix

// Programs says on which PostgreSQL the tests run, and fetches one if the machine has none. `make test` runs it first,
// because `go test` shows nothing of what a package prints whose tests pass, and because a download then takes none of
// a package's time.
package main

import (
	"fmt"
	"os"

	"github.com/signet-id/signet/internal/pgtest"
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
