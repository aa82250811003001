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

// The one server of a test process, made when it is first asked for. It needs
// no clean-up of ours: it ends with the process.
var (
	shared    = sync.OnceValues(func() (*Server, error) { return start(Options{}) })
	templates sync.Map // name → func() (database, error)
)

// URL returns the address of a fresh, empty database. The server is the one
// named by SIGNET_TEST_POSTGRES_URL, or is started for this test process from the programs
// that Programs finds or fetches, and ends with it. Without either the test fails.
func URL(tb testing.TB) string {
	tb.Helper()
	if os.Getenv(variable) != "" {
		return external(tb)
	}
	return server(tb).URL(tb)
}

// Clone returns the address of a fresh copy of a database that prepare, which
// is called once per process and name, has filled: copying files is many times
// faster than migrating. prepare must leave no connection open.
func Clone(tb testing.TB, name string, prepare func(url string) error) string {
	tb.Helper()
	if os.Getenv(variable) != "" { // a template would stay behind there
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

// Log is what the server has logged so far, failed statements included. A
// server named by SIGNET_TEST_POSTGRES_URL must collect its log into a file.
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
