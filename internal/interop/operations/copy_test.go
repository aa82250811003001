//go:build interop

package operations

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/internal/faultproxy"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// `signet migrate copy` is killed at random moments and run again until it is done. Then every
// row is there once, and everybody goes on at PostgreSQL.
func TestACopyWhoseProcessIsKilled(t *testing.T) {
	t.Parallel()
	s := newService(t, "")
	s.env = append(s.env, "SIGNET_KEYS_ENCRYPTION_KEY_FILE="+s.newKEK(t, "kek"))
	c := &copied{upgrade: &upgrade{service: s, programs: [2]string{"", programs.signet}, began: time.Now()},
		file: filepath.Join(s.dir, "data", "signet.db")}
	seed := rand.Uint64()
	c.random = rand.New(rand.NewPCG(seed, 0))
	t.Logf("the moments are drawn from seed %d", seed)
	c.replicas[1] = s.start(t, "SQLite", programs.signet, nil, "--migrate")
	c.settle(t)
	c.crowd = len(s.importPeople(t, programs.signet, "crowd", 3000))
	s.end(t, c.replicas[1])
	noErrors(t, c.replicas[1])
	keys := s.run(t, programs.signet, nil, "keys", "export")

	// Once undisturbed, to learn how long it takes and what it says.
	begins := time.Now()
	want := c.finish(t, pgtest.URL(t))
	took := time.Since(begins)

	database := pgtest.URL(t)
	watch, err := pgx.Connect(t.Context(), database)
	must(t, err)
	t.Cleanup(func() { watch.Close(context.Background()) })
	c.watch = watch
	slow, half := c.slowly(t, database), 0
	for range 3 { // while the schema is made, or with the first batch at the latest
		limit := time.Duration(c.random.Float64() * float64(took))
		c.killed(t, slow, func(ended <-chan struct{}) { c.until(t, ended, want, 100, limit) })
	}
	const parts = 8
	for n := range parts { // while rows are copied
		rows := int64((float64(n) + 0.1 + 0.9*c.random.Float64()) * float64(want.Rows) / parts)
		if !c.killed(t, slow, func(ended <-chan struct{}) { c.until(t, ended, want, rows, time.Minute) }) {
			break // it was faster than this test
		}
		if there := c.rows(t, want); there > 100 && there < want.Rows {
			half++
			if _, said, err := s.try(programs.signet, []string{"SIGNET_DATABASE_URL=" + database}, "serve"); err == nil ||
				!strings.Contains(said, "unfinished copy") {
				t.Fatalf("a server starts on a part of a copy: %v %s", err, said)
			}
		}
	}
	late := 0
	for range 3 { // while it compares
		if c.killed(t, slow, func(ended <-chan struct{}) {
			c.until(t, ended, want, want.Rows, time.Minute)
			time.Sleep(time.Duration(c.random.IntN(100)) * time.Millisecond)
		}) {
			late++
		}
	}
	t.Logf("killed 3 times early, %d times with a part of %d rows there, %d times with all; undisturbed it takes %s",
		half, want.Rows, late, took)
	if half < 4 {
		t.Error("that proves nothing")
	}
	got := c.finish(t, database)
	if !slices.Equal(got.Tables, want.Tables) || got.Rows != want.Rows || got.Rows < int64(2*c.crowd) {
		t.Errorf("the copy holds %+v, and the undisturbed one %+v", got, want)
	}
	if again := c.finish(t, database); !again.Already || !slices.Equal(again.Tables, want.Tables) {
		t.Errorf("once more: %+v", again)
	}
	c.sameRows(t, database, want.Tables)

	s.env = append(s.env, "SIGNET_DATABASE_URL="+database)
	if now := s.run(t, programs.signet, nil, "keys", "export"); now != keys {
		t.Errorf("the key set was %s and is %s", keys, now)
	}
	c.replicas[1] = s.start(t, "PostgreSQL", programs.signet, nil)
	c.must(t, c.issuer, request{path: "/oauth2/userinfo", get: true, bearer: c.firstAccess, want: http.StatusOK})
	c.goOn(t, c.replicas[1])
	noErrors(t, c.replicas[1])
}

// copied is a service that moves.
type copied struct {
	*upgrade
	file   string // of the SQLite database
	crowd  int
	random *rand.Rand
	watch  *pgx.Conn // to the target
}

// copyResult is what the command prints.
type copyResult struct {
	Tables  []copiedTable
	Rows    int64
	Resumed bool
	Already bool `json:"already_complete"`
}

type copiedTable struct {
	Table, SHA256 string
	Rows          int64
}

// finish runs the command to its end.
func (c *copied) finish(t *testing.T, to string) (result copyResult) {
	t.Helper()
	must(t, json.Unmarshal([]byte(c.run(t, programs.signet, nil, "migrate", "copy", "--json", "--to", to)), &result))
	return result
}

// slowly returns the address of a database behind a slow line, so that there is time to kill.
func (c *copied) slowly(t *testing.T, database string) string {
	t.Helper()
	proxy, address, err := faultproxy.BeforePostgres(database)
	must(t, err)
	t.Cleanup(func() { proxy.Close() })
	proxy.Set(faultproxy.Faults{Latency: 3 * time.Millisecond})
	return address
}

// killed starts the command and kills it after wait, whose argument is closed when the command ends by
// itself. It reports whether the command still ran.
func (c *copied) killed(t *testing.T, to string, wait func(ended <-chan struct{})) bool {
	t.Helper()
	cmd := c.command(programs.signet, nil, "migrate", "copy", "--to", to)
	var said bytes.Buffer
	cmd.Stderr = &said
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	wait(ended)
	_ = cmd.Process.Kill()
	<-ended
	if cmd.ProcessState.Exited() && !cmd.ProcessState.Success() {
		t.Fatalf("signet migrate copy: %s %s", cmd.ProcessState, &said)
	}
	return !cmd.ProcessState.Exited()
}

// until waits until so many rows have arrived, but no longer than limit.
func (c *copied) until(t *testing.T, ended <-chan struct{}, all copyResult, rows int64, limit time.Duration) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end) && c.rows(t, all) < rows; {
		select {
		case <-ended:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// rows returns how many rows there are of an unfinished copy. Before it is begun no table is read: a
// reader of all tables would be in the way of the migrations all the time.
func (c *copied) rows(t *testing.T, all copyResult) (n int64) {
	t.Helper()
	var begun bool
	must(t, c.watch.QueryRow(t.Context(), `SELECT to_regclass('signet_copy') IS NOT NULL`).Scan(&begun))
	if !begun {
		return 0
	}
	var counts []string
	for _, table := range all.Tables {
		counts = append(counts, `(SELECT count(*) FROM `+table.Table+`)`)
	}
	must(t, c.watch.QueryRow(t.Context(), `SELECT `+strings.Join(counts, " + ")).Scan(&n))
	return n
}

// sameRows reads all rows of both databases, by their drivers alone.
func (c *copied) sameRows(t *testing.T, database string, tables []copiedTable) {
	t.Helper()
	lite, err := sql.Open("sqlite", "file:"+c.file+"?mode=ro")
	must(t, err)
	defer lite.Close()
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer conn.Close(t.Context())
	for _, table := range tables {
		rows, err := conn.Query(t.Context(), `SELECT * FROM `+table.Table)
		must(t, err)
		var names []string
		for _, f := range rows.FieldDescriptions() {
			names = append(names, f.Name)
		}
		got, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
			values, err := row.Values()
			return cells(values), err
		})
		must(t, err)

		source, err := lite.QueryContext(t.Context(), `SELECT `+strings.Join(names, ", ")+` FROM `+table.Table)
		must(t, err)
		var want []string
		for source.Next() {
			values, targets := make([]any, len(names)), make([]any, len(names))
			for i := range values {
				targets[i] = &values[i]
			}
			must(t, source.Scan(targets...))
			want = append(want, cells(values))
		}
		must(t, source.Err())
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || int64(len(got)) != table.Rows {
			t.Errorf("%s: %d rows, of %d in the source; the command says %d", table.Table, len(got), len(want), table.Rows)
		}
	}
}

// cells is a row as text. SQLite has numbers for truth.
func cells(values []any) string {
	var row strings.Builder
	for _, v := range values {
		switch v {
		case true:
			v = 1
		case false:
			v = 0
		}
		fmt.Fprintf(&row, "%v\x00", v)
	}
	return row.String()
}
