//go:build unix

package sqlstore_test

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/userstore/storetest"
)

// child returns a command that runs one test of this binary in a process that may be killed.
func child(t *testing.T, test, role, path string) *exec.Cmd {
	c := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.v=false")
	c.Env = append(os.Environ(), "SIGNET_CHILD="+role, "SIGNET_CHILD_PATH="+path)
	return c
}

// F-30 in small: a writing process is killed again and again. Every acknowledged write is stored,
// and nothing is stored by half: no row without its audit entry, and no entry without its row.
func TestF30KilledSQLiteServer(t *testing.T) {
	if os.Getenv("SIGNET_CHILD") == "writer" {
		writeUntilKilled(t)
		return
	}
	t.Parallel()
	path := sqltest.SQLitePath(t)
	users, grants := map[string]bool{}, map[string]int64{}
	for range 15 {
		c := child(t, "TestF30KilledSQLiteServer", "writer", path)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		after := 5 + rand.IntN(60) // the kill follows so many acknowledgements, at any moment
		for n := 0; lines.Scan(); n++ {
			if n == after {
				time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { _ = c.Process.Kill() })
			}
			var id string
			var generation int64
			switch kind, rest, _ := strings.Cut(lines.Text(), " "); kind {
			case "user":
				users[rest] = true
			case "grant":
				if _, err := fmt.Sscan(rest, &id, &generation); err != nil {
					t.Fatal(err)
				}
				grants[id] = generation
			default:
				t.Fatalf("the child says %q", lines.Text())
			}
		}
		_ = c.Wait()

		db := open(t, path, sqlstore.Options{})
		for id := range users {
			if _, err := db.UserByID(t.Context(), id); err != nil {
				t.Fatalf("an acknowledged user: %v", err)
			}
		}
		for id, generation := range grants {
			v, err := db.GrantBySession(t.Context(), id)
			if err != nil || v.Grant.Generation < generation || v.Grant.Generation > generation+1 {
				t.Fatalf("an acknowledged refresh to %d: now %d, %v", generation, v.Grant.Generation, err)
			}
			if v.User.LastLoginAt.IsZero() {
				t.Fatal("a grant without the login that started it")
			}
		}
		checkAuditLog(t, db)
		db.Close()
		integrity(t, path)
	}
	if len(users) < 50 || len(grants) < 50 {
		t.Fatalf("only %d users and %d grants were written", len(users), len(grants))
	}
}

// checkAuditLog compares the audit entries with the rows.
func checkAuditLog(t *testing.T, db *sqlstore.DB) {
	t.Helper()
	want := map[string]int{}
	users, err := userstore.FullPage(t.Context(), db, userstore.UserQuery{Limit: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		want[u.ID+string(audit.UserCreated)]++
		if !u.LastLoginAt.IsZero() {
			want[u.ID+string(audit.LoginSucceeded)]++
		}
		if u.Version > 1 {
			want[u.ID+string(audit.UserUpdated)]++
		}
	}
	got := map[string]int{}
	for _, e := range storetest.Events(t, db) {
		got[e.Target.ID+string(e.Name)]++
	}
	if !maps.Equal(got, want) {
		t.Fatalf("the log has entries of %d operations, there are %d", len(got), len(want))
	}
}

func writeUntilKilled(t *testing.T) {
	db := open(t, os.Getenv("SIGNET_CHILD_PATH"), sqlstore.Options{})
	// One write for each line, so that no half line is sent, and before the next act, so that one
	// act at most has happened that the parent was not told of.
	say := func(format string, args ...any) {
		if _, err := os.Stdout.WriteString(fmt.Sprintf(format, args...) + "\n"); err != nil {
			panic(err)
		}
	}
	var writers sync.WaitGroup
	for range 3 {
		writers.Go(func() {
			for {
				u := newUser()
				g := newGrant(u)
				event := func(name audit.Name) audit.Event {
					return audit.Event{At: now, Name: name, Target: audit.User(u.ID)}
				}
				if err := db.CreateUser(t.Context(), u, event(audit.UserCreated)); err != nil {
					panic(err)
				}
				say("user %s", u.ID)
				if err := db.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash,
					Events: []audit.Event{event(audit.LoginSucceeded)}}); err != nil {
					panic(err)
				}
				u.Version = 1
				if err := db.UpdateUser(t.Context(), u, event(audit.UserUpdated)); err != nil {
					panic(err)
				}
				say("grant %s 1", g.SessionID)
				for generation := range int64(3) {
					if _, err := db.AdvanceGrant(t.Context(), advance(g, generation+1)); err != nil {
						panic(err)
					}
					say("grant %s %d", g.SessionID, generation+2)
				}
			}
		})
	}
	writers.Wait()
}
