package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// eachURL runs fn with a fresh database of each engine, and the environment that names it.
func eachURL(t *testing.T, fn func(t *testing.T, env []string, db *sqlstore.DB)) {
	sqltest.EachURL(t, func(t *testing.T, url string) {
		db, err := sqlstore.Open(context.Background(), url, sqlstore.Options{MustExist: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		fn(t, []string{"SIGNET_DATABASE_URL=" + url,
			"SIGNET_KEYS_ENCRYPTION_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}, db)
	})
}

// cli runs a command in this process.
func cli(t *testing.T, env []string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(context.Background(), args, env, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestAudit(t *testing.T) {
	eachURL(t, func(t *testing.T, env []string, db *sqlstore.DB) {
		ctx, now := context.Background(), time.Now().UTC().Truncate(time.Microsecond)
		ada := userstore.User{ID: server.NewID(), Email: "ada@example.com", EmailKey: "ada@example.com", Username: "ada",
			UsernameKey: "ada", IsActive: true, CreatedAt: now, UpdatedAt: now, Version: 1}
		if err := db.CreateUser(ctx, ada); err != nil {
			t.Fatal(err)
		}
		const hostile = "\x1b[2J\r\nroot\u009b31m \u202eevil\u2028\x7f"
		event := func(id string, ago time.Duration, name audit.Name, actor audit.Actor, target audit.Target) audit.Event {
			return audit.Event{ID: id, At: now.Add(-ago), Name: name, Outcome: audit.Success, Actor: actor, Target: target}
		}
		byAda, byRoot := audit.Actor{Type: audit.ByUser, ID: ada.ID}, audit.Actor{Type: audit.ByOperator, ID: "root"}
		failed := event("e4", 2*time.Hour, audit.LoginFailed, audit.Actor{Type: audit.ByNobody},
			audit.User(ada.ID)).Failed("wrong_password")
		failed.Address, failed.UserAgent, failed.RequestID = "2001:db8::1", hostile, "r4"
		renamed := event("e5", time.Hour, audit.UserUpdated, byAda, audit.User(ada.ID))
		renamed.Changes = []audit.Change{{Field: "name", Before: "", After: hostile}}
		strange := event("e6", time.Minute, audit.KeysRotated, audit.Actor{Type: audit.ByOperator, ID: hostile},
			audit.Target{Type: audit.OnKey, ID: hostile})
		strange.Reason = hostile
		err := db.Record(ctx,
			event("e1", 50*24*time.Hour, audit.UserCreated, byRoot, audit.User(ada.ID)),
			event("e2", 3*24*time.Hour, audit.UserDeleted, byRoot, audit.User("gone-for-good")),
			event("e3", 26*time.Hour, audit.LoginSucceeded, byAda, audit.User(ada.ID)),
			failed, renamed, strange)
		if err != nil {
			t.Fatal(err)
		}

		for _, row := range []struct {
			name string
			args string
			want string // ids, newest first
		}{
			{"everything", "", "e6 e5 e4 e3 e2 e1"},
			{"the newest", "--limit 2", "e6 e5"},
			{"by name of the event", "--event login_failed", "e4"},
			{"of a user, by whoever, each once", "--user ada", "e5 e4 e3 e1"},
			{"of a user, cut", "--user ada@example.com --limit 3", "e5 e4 e3"},
			{"of a user and a name", "--user ada --event login_succeeded", "e3"},
			{"by an actor", "--actor ada", "e5 e3"},
			{"by an actor that is no user", "--actor root", "e2 e1"},
			{"to a user who is gone", "--target gone-for-good", "e2"},
			{"by one and to another", "--actor root --target ADA@example.com", "e1"},
			{"of the last day", "--since 24h", "e6 e5 e4"},
			{"of the last week", "--since 7d", "e6 e5 e4 e3 e2"},
			{"before then", "--until 7d", "e1"},
			{"between two instants", "--since " + now.Add(-27*time.Hour).Format(time.RFC3339Nano) + " --until " +
				now.Add(-2*time.Hour).Format(time.RFC3339Nano), "e3"},
			{"the first instant belongs to it",
				"--since " + now.Add(-2*time.Hour).Format(time.RFC3339Nano) + " --until " +
					now.Add(-time.Hour).Format(time.RFC3339Nano), "e4"},
			{"nothing", "--event users_exported", ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				args := append([]string{"audit", "--json"}, strings.Fields(row.args)...)
				code, out, errOut := cli(t, env, args...)
				if code != exitOK {
					t.Fatalf("code %d: %s", code, errOut)
				}
				var got []string
				for line := range strings.Lines(out) {
					var e struct{ ID string }
					if err := json.Unmarshal([]byte(line), &e); err != nil {
						t.Fatalf("%v: %q", err, line)
					}
					got = append(got, e.ID)
				}
				if strings.Join(got, " ") != row.want {
					t.Errorf("%q, not %q", got, row.want)
				}
			})
		}

		t.Run("nobody hides what others did by taking their name", func(t *testing.T) {
			impostor := userstore.User{ID: server.NewID(), Email: "x@example.com", EmailKey: "x@example.com", Username: "root",
				UsernameKey: "root", IsActive: true, CreatedAt: now, UpdatedAt: now, Version: 1}
			if err := db.CreateUser(ctx, impostor); err != nil {
				t.Fatal(err)
			}
			for _, flag := range []string{"--actor", "--user"} {
				if _, out, errOut := cli(t, env, "audit", flag, "root"); strings.Count(out, "operator root") != 2 {
					t.Errorf("%s root: %s%s", flag, out, errOut)
				}
			}
			if _, out, _ := cli(t, env, "audit", "--json", "--actor", "root", "--target", "ada"); strings.Count(out, "\n") != 1 {
				t.Errorf("what root did to ada: %s", out)
			}
			if err := db.DeleteUser(ctx, impostor.ID); err != nil {
				t.Fatal(err)
			}
		})
		t.Run("nothing of a stranger's moves a cursor", func(t *testing.T) {
			for _, args := range [][]string{{"audit"}, {"audit", "--json"}} {
				_, out, _ := cli(t, env, args...)
				if strings.ContainsAny(out, "\x1b\r\u009b\u202e\u2028\x7f") {
					t.Errorf("%q: %q", args, out)
				}
				want := 6
				if len(args) == 1 {
					want++ // the header
				}
				if got := strings.Count(out, "\n"); got != want {
					t.Errorf("%q: %d lines:\n%s", args, got, out)
				}
			}
			_, out, _ := cli(t, env, "audit", "--json", "--event", "login_failed")
			var e struct {
				UserAgent string `json:"user_agent"`
			}
			if err := json.Unmarshal([]byte(out), &e); err != nil || e.UserAgent != hostile {
				t.Errorf("an export changes what was said: %q %v", e.UserAgent, err)
			}
		})
		t.Run("people read names and reasons", func(t *testing.T) {
			_, out, _ := cli(t, env, "audit", "--wide", "--user", ada.ID)
			for _, want := range []string{"TIME", "login_failed", "failure", "anonymous", "user ada@example.com", "2001:db8::1",
				"wrong_password", "operator root"} {
				if !strings.Contains(out, want) {
					t.Errorf("no %q:\n%s", want, out)
				}
			}
			_, out, _ = cli(t, env, "audit", "--user", ada.ID)
			for line := range strings.Lines(out) {
				if utf8.RuneCountInString(line) > 81 || strings.Contains(line, "success") {
					t.Errorf("too wide, or it says what goes without saying: %q", line)
				}
			}
			if _, out, _ := cli(t, env, "audit", "--event", "users_exported"); out != "The audit log has no such event.\n" {
				t.Errorf("%q", out)
			}
		})
		t.Run("people see what changed", func(t *testing.T) {
			change := func(id string, ago time.Duration, changes ...audit.Change) audit.Event {
				e := event(id, ago, audit.UserUpdated, byRoot, audit.User("somebody"))
				e.Changes = changes
				return e
			}
			long := strings.Repeat("role-of-many-words ", 40)
			exported := event("c6", 6*time.Second, audit.UsersExported, byRoot, audit.Target{Type: audit.OnUser, ID: "somebody"})
			exported.Changes = []audit.Change{{Field: "accounts", After: "4"}}
			must := db.Record(ctx,
				change("c1", 1*time.Second, audit.Change{Field: "is_active", Before: "true", After: "false"}),
				change("c2", 2*time.Second, audit.Change{Field: "is_active", Before: "false", After: "true"}),
				change("c3", 3*time.Second, audit.Change{Field: "roles", Before: "", After: "admin editor"},
					audit.Change{Field: "given_name", After: "Ada"},
					audit.Change{Field: "email", Before: "a@x.test", After: "b@x.test"}),
				change("c4", 4*time.Second, audit.Change{Field: "roles", Before: long, After: "a\x1b[2J"},
					audit.Change{Field: "name"}),
				change("c5", 5*time.Second, func() (many []audit.Change) {
					for _, name := range strings.Fields(strings.Repeat("phone_number ", 30)) {
						many = append(many, audit.Change{Field: name})
					}
					return many
				}()...),
				exported)
			if must != nil {
				t.Fatal(must)
			}
			_, out, _ := cli(t, env, "audit", "--wide", "--target", "somebody")
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if len(lines) != 7 {
				t.Fatalf("%d lines:\n%s", len(lines), out)
			}
			for i, want := range []string{
				"is_active: true → false", "is_active: false → true", "roles: - → admin editor; given_name, email",
				"roles: role-of-many-words role-of-many-words r… → a\ufffd[2J; name",
			} {
				if !strings.HasSuffix(lines[i+1], "  -        "+want) &&
					!strings.HasSuffix(strings.Join(strings.Fields(lines[i+1]), " "), " - "+want) {
					t.Errorf("%q does not end with %q", lines[i+1], want)
				}
			}
			if !strings.HasSuffix(lines[5], "…") || strings.ContainsRune(lines[5], '\x1b') || len([]rune(lines[5])) > 300 {
				t.Errorf("%q", lines[5])
			}
			if !strings.HasSuffix(lines[6], " accounts: 4") {
				t.Errorf("%q", lines[6])
			}
		})
		t.Run("what makes no sense is misused", func(t *testing.T) {
			for args, want := range map[string]string{
				"--event login":                "--event is none of user_created, ",
				"--since yesterday":            "--since is not an instant",
				"--since -3h":                  "--since is not an instant",
				"--until 1h --since 1h":        "--until is not later than --since",
				"--limit=-1":                   "--limit is a number",
				"--user ada --actor root":      "--user stands for actor and target",
				"ada":                          "takes no argument",
				"--until 2026-13-01T00:00:00Z": "--until is not an instant",
			} {
				code, out, errOut := cli(t, env, append([]string{"audit"}, strings.Fields(args)...)...)
				if code != exitMisused || out != "" || !strings.Contains(errOut, want) {
					t.Errorf("%q: code %d: %s%s", args, code, out, errOut)
				}
			}
			if code, _, errOut := cli(t, env, "audit", "--user", "nobody@example.com"); code != exitFailed ||
				!strings.Contains(errOut, `there is no user "nobody@example.com"; of a deleted account the log knows the id only`) {
				t.Errorf("code %d: %s", code, errOut)
			}
		})
	})
}

// An export of more than one page has every event once and in order, even with events of the same
// instant and with two queries at once.
func TestAuditPages(t *testing.T) {
	eachURL(t, func(t *testing.T, env []string, db *sqlstore.DB) {
		ctx, now := context.Background(), time.Now().UTC().Truncate(time.Second)
		const n = 2*pageSize + 7
		var want []string
		events := make([]audit.Event, n)
		for i := range events {
			e := audit.Event{ID: fmt.Sprintf("e%05d", n-i), At: now.Add(-time.Duration(i/3) * time.Second),
				Name: audit.LoginFailed, Outcome: audit.Failure}
			switch i % 3 {
			case 0:
				e.Actor, e.Target = audit.Actor{Type: audit.ByUser, ID: "u"}, audit.User("u")
			case 1:
				e.Actor, e.Target = audit.Actor{Type: audit.ByUser, ID: "u"}, audit.User("v")
			case 2:
				e.Actor, e.Target = audit.Actor{Type: audit.ByUser, ID: "v"}, audit.User("u")
			}
			events[i] = e
			want = append(want, e.ID)
		}
		for chunk := range slices.Chunk(events, 100) {
			if err := db.Record(ctx, chunk...); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{{"audit", "--json"}, {"audit", "--json", "--user", "u"}} {
			_, out, errOut := cli(t, env, args...)
			var got []string
			for line := range strings.Lines(out) {
				var e struct{ ID string }
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatal(err)
				}
				got = append(got, e.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q: %d events, not %d in order: %s", args, len(got), n, errOut)
			}
		}
		if _, out, _ := cli(t, env, "audit", "--limit", "0"); strings.Count(out, "\n") != n+1 {
			t.Errorf("the table has %d lines", strings.Count(out, "\n"))
		}
		if _, out, _ := cli(t, env, "audit"); strings.Count(out, "\n") != 51 {
			t.Errorf("the short table has %d lines", strings.Count(out, "\n"))
		}
	})
}
