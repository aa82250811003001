package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// startRing makes the first keys of a store, as `signet serve` does.
func startRing(t *testing.T, env []string, db *sqlstore.DB) {
	t.Helper()
	c, _, err := configs.Load(configs.Input{Env: env})
	if err != nil {
		t.Fatal(err)
	}
	kek, err := jose.ParseKEK(c.Keys.EncryptionKey.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	m := &keys.Manager{Store: db, Policy: c.KeyPolicy(), KEKs: []jose.KEK{kek}, Now: time.Now, DatabaseNow: db.Now,
		Generate: keystest.Generator(), TypesToSign: issuer.TokenTypes}
	if err := m.Start(audit.WithOrigin(context.Background(), system)); err != nil {
		t.Fatal(err)
	}
}

// O-10: every command that writes has exactly one audit entry, with its operator as the actor. A
// command that fails or only reads has none. No entry has the password that the command got.
func TestO10EveryCommandThatWritesIsRecorded(t *testing.T) {
	const secret = "planted passphrase of the test"
	folder := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	pw, weak := file("pw", secret+"\n"), file("weak", "password\n")
	users := file("users.jsonl",
		`{"email":"a@example.com"}`+"\n"+`{"email":"b@example.com"}`+"\n"+`{"email":"a@example.com"}`+"\n")
	guarded := file("guarded.csv", "email,key,step,t0,digits,drift,last_t,confirmed\n"+
		"grace@example.com,3132333435363738393031323334353637383930,30,0,6,0,-1,t\n")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}

	eachURL(t, func(t *testing.T, env []string, db *sqlstore.DB) {
		startRing(t, env, db)
		seen := map[string]bool{}
		next := func() (fresh []audit.Event) {
			t.Helper()
			events, err := db.ListEvents(context.Background(), userstore.EventQuery{Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if !seen[e.ID] {
					seen[e.ID] = true
					fresh = append(fresh, e)
				}
			}
			return fresh
		}
		for _, e := range next() {
			if e.Actor != system.Actor {
				t.Errorf("the server's own work is recorded as %+v", e)
			}
		}
		out := filepath.Join(t.TempDir(), "export")
		for _, row := range []struct {
			args string
			want string // names of events
		}{
			{"users create --email root@example.com --admin --password-file " + pw, "user_created"},
			{"users create --email root@example.com --password-file " + pw, ""},
			{"users create --email weak@example.com --password-file " + weak, ""},
			{"users create --email ada@example.com --password-file " + pw, "user_created"},
			{"users update ada@example.com --given-name Ada --staff", "user_updated"},
			{"users update ada@example.com --given-name Ada", ""},
			{"users disable ada@example.com", "user_updated"},
			{"users disable ada@example.com", ""},
			{"users enable ada@example.com", "user_updated"},
			{"users grant-role ada@example.com editor", "user_updated"},
			{"users grant-role ada@example.com editor", ""},
			{"users revoke-role ada@example.com editor", "user_updated"},
			{"users set-password ada@example.com --password-file " + pw, "password_set"},
			{"users set-password ada@example.com --password-file " + weak, ""},
			{"users revoke-sessions ada@example.com", "sessions_revoked"},
			{"users revoke-sessions ada@example.com --session nosuchsession", ""},
			{"users import --dry-run " + users, ""},
			{"users import " + users, "user_imported user_imported"},
			{"users import " + users, ""},
			{"users list", ""}, {"users show ada@example.com", ""}, {"users sessions ada@example.com", ""}, {"audit", ""},
			{"keys list", ""},
			{"clients create --client-id web --name Web --redirect-uri https://web.example.com/", "client_created"},
			{"clients create --client-id web --name Web --redirect-uri https://web.example.com/", ""},
			{"clients create --client-id bad --name Bad", ""},
			{"clients update web --name Shop", "client_updated"},
			{"clients update web --name Shop", ""},
			{"clients update web --secret-file " + pw, "client_secret_rotated"},
			{"clients rotate-secret web", "client_secret_rotated"},
			{"clients rotate-secret web --secret-file " + pw, "client_secret_rotated"},
			{"clients rotate-secret signet", ""},
			{"clients disable web", "client_updated"},
			{"clients disable web", ""},
			{"clients enable web", "client_updated"},
			{"clients list", ""}, {"clients show web", ""},
			{"clients delete signet --yes", ""},
			{"clients delete web --yes", "client_deleted"},
			{"clients delete web --yes", ""},
			{"users export --output " + out, "users_exported users_exported"},
			{"users export --output " + out, ""}, // the file is there
			{"users export", "users_exported users_exported"},
			{"users import --dry-run " + guarded, ""},
			{"users import " + guarded, "user_imported"},
			{"users factors grace@example.com", ""},
			{"users remove-factors grace@example.com --factor nosuchfactor --yes", ""},
			{"users remove-factors grace@example.com", ""}, // nobody said yes
			{"users remove-factors grace@example.com --yes", "factor_removed"},
			{"users remove-factors grace@example.com --yes", ""},
			{"users delete ada@example.com --yes", "user_deleted"},
			{"users delete ada@example.com --yes", ""},
			{"users delete root@example.com --yes", "admin_refused"}, // the last admin
			{"users disable root@example.com", "admin_refused"},
			{"users revoke-role root@example.com admin", "admin_refused"},
			{"keys rotate --dry-run", ""},
			{"keys rotate", "keys_rotated keys_rotated"},
			{"keys rewrap", ""},
			{"keys revoke --all",
				"keys_changed keys_changed keys_changed keys_changed keys_revoked keys_revoked keys_revoked keys_revoked"},
		} {
			code, _, errOut := cli(t, env, strings.Fields(row.args)...)
			var got []string
			for _, e := range next() {
				got = append(got, string(e.Name))
				if e.Actor != (audit.Actor{Type: audit.ByOperator, ID: me.Username}) ||
					(e.Outcome == audit.Success) != (e.Name != audit.AdminRefused) || e.Address != "" || e.RequestID != "" {
					t.Errorf("%s is recorded as %+v", row.args, e)
				}
				if text, err := json.Marshal(e); err != nil || strings.Contains(string(text), secret) ||
					strings.Contains(string(text), "argon2") {
					t.Errorf("%s: the event holds a secret: %s, %v", row.args, text, err)
				}
				if e.Name == audit.UsersExported && e.Reason != "begun" &&
					!slices.Equal(e.Changes, []audit.Change{{Field: "accounts", After: "4"}}) {
					t.Errorf("%s: %+v", row.args, e.Changes)
				}
			}
			slices.Sort(got)
			if strings.Join(got, " ") != row.want {
				t.Errorf("signet %s (exit %d): recorded %q, want %q\n%s", row.args, code, strings.Join(got, " "), row.want, errOut)
			}
		}
	})
}

// cutOff is an output that fails at the first write, after it has called check.
type cutOff struct{ check func() }

func (w cutOff) Write([]byte) (int, error) {
	w.check()
	return 0, io.ErrClosedPipe
}

// An export is recorded before it is written, so that an export which is killed has an audit entry.
func TestO10AnExportIsRecordedBeforeItIsWritten(t *testing.T) {
	eachURL(t, func(t *testing.T, env []string, db *sqlstore.DB) {
		entries := func() string {
			events, err := db.ListEvents(t.Context(), userstore.EventQuery{Limit: 10, Name: audit.UsersExported})
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, e := range events {
				out = append(out, string(e.Outcome)+" "+e.Reason)
			}
			return strings.Join(out, ", ")
		}
		now := time.Now().UTC().Truncate(time.Microsecond)
		for n := range 400 { // more than a buffer holds
			name := fmt.Sprintf("ada%d", n)
			u := userstore.User{ID: server.NewID(), Email: name + "@example.com", EmailKey: name + "@example.com",
				Username: name, UsernameKey: name, IsActive: true,
				Claims: userstore.Claims{Name: strings.Repeat("a", 200)}, CreatedAt: now, UpdatedAt: now, Version: 1}
			if err := db.CreateUser(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
		writes := 0
		out := cutOff{func() {
			writes++
			if got := entries(); got != "success begun" {
				t.Errorf("at the first byte the audit log has %q", got)
			}
		}}
		var errOut bytes.Buffer
		if code := run(context.Background(), []string{"users", "export"}, env, strings.NewReader(""), out,
			&errOut); code == exitOK || writes != 1 {
			t.Errorf("code %d, %d writes: %s", code, writes, &errOut)
		}
		if got := entries(); got != "failure interrupted, success begun" {
			t.Errorf("in the end the audit log has %q", got)
		}
	})
}
