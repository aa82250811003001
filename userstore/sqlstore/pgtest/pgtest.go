//go:build unix

package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

const variable = "SIGNET_TEST_POSTGRES_URL"

// shared is the one server of a test process, started by the first caller. It needs no clean-up: it
// ends with the process.
var (
	shared    = sync.OnceValues(func() (*Server, error) { return start(Options{}) })
	templates sync.Map // name → func() (database, error)
)

// URL returns the address of a fresh, empty database. The server is the one that
// SIGNET_TEST_POSTGRES_URL names. Without that variable, the first caller starts a server for this
// test process from the programs that Programs returns. Without either the test fails.
func URL(tb testing.TB) string {
	tb.Helper()
	if os.Getenv(variable) != "" {
		return external(tb)
	}
	return server(tb).URL(tb)
}

// Clone returns the address of a fresh copy of a database that prepare has filled. prepare is
// called once per process and name, because copying files is many times faster than migrating; it
// must leave no connection open.
func Clone(tb testing.TB, name string, prepare func(url string) error) string {
	tb.Helper()
	if os.Getenv(variable) != "" { // a template would be left over there
		u := external(tb)
		if err := prepare(u); err != nil {
			tb.Fatalf("pgtest: prepare %s: %v", name, err)
		}
		return u
	}
	s := server(tb)
	once, _ := templates.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		database, err := s.create("")
		if err == nil {
			err = prepare(address(s.dir, database))
		}
		return database, err
	}))
	template, err := once.(func() (string, error))()
	if err != nil {
		tb.Fatalf("pgtest: prepare %s: %v", name, err)
	}
	database, err := s.create(template)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() { _ = execute(s.admin, `DROP DATABASE IF EXISTS `+database+` WITH (FORCE)`) })
	return address(s.dir, database)
}

// Log returns what the server has logged so far, failed statements included. A server that
// SIGNET_TEST_POSTGRES_URL names must collect its log into a file.
func Log(tb testing.TB) string {
	tb.Helper()
	admin := os.Getenv(variable)
	if admin == "" {
		return string(server(tb).Log())
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		tb.Fatalf("pgtest: %s: %v", variable, err)
	}
	defer conn.Close(ctx)
	var log *string
	if err := conn.QueryRow(ctx, `SELECT pg_read_file(pg_current_logfile())`).Scan(&log); err != nil || log == nil {
		tb.Fatalf("pgtest: the server of %s shows no log (it needs logging_collector=on, and the user to be a superuser): %v", variable, err)
	}
	return *log
}

func server(tb testing.TB) *Server {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	return s
}

// external makes a database on the server that the environment names.
func external(tb testing.TB) string {
	tb.Helper()
	admin, err := url.Parse(os.Getenv(variable))
	if err != nil || !strings.HasPrefix(admin.Scheme, "postgres") {
		tb.Fatalf("pgtest: %s must be a postgres:// address", variable)
	}
	name := "signet_test_" + strings.ToLower(rand.Text())
	if err := execute(admin.String(), `CREATE DATABASE `+name+` ENCODING 'UTF8' TEMPLATE template0`); err != nil {
		tb.Fatalf("pgtest: make a database on the server of %s: %v", variable, err)
	}
	tb.Cleanup(func() {
		if err := execute(admin.String(), fmt.Sprintf(`DROP DATABASE IF EXISTS %s WITH (FORCE)`, name)); err != nil {
			tb.Errorf("pgtest: drop %s: %v", name, err)
		}
	})
	u := *admin
	u.Path = "/" + name
	return u.String()
}
