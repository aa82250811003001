//go:build interop && linux

package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/internal/testport"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// PostgreSQL is restored to an instant by the commands of docs/operators.md, "Point-in-time
// recovery". What ended after that instant does not come back.
func TestF35PointInTimeRecovery(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/operators.md")
	noFault(t, err)
	block := func(kind string) string {
		t.Helper()
		m := regexp.MustCompile("(?s)```" + kind + "\n(.*?)```").FindSubmatch(document)
		if m == nil {
			t.Fatalf("docs/operators.md has no block %q", kind)
		}
		return string(m[1])
	}
	dir, owner, err := pgtest.Folder()
	noFault(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	bins, err := pgtest.Programs()
	noFault(t, err)
	restored := filepath.Join(dir, "restored")
	shell := func(script string, environment ...string) {
		t.Helper()
		script = strings.NewReplacer("\n   ", "\n", "/backups", dir, "/var/lib/postgresql/15/restored", restored).Replace("\n" + script)
		cmd := exec.Command("bash", "-e", "-u", "-c", script)
		cmd.Dir, cmd.SysProcAttr = dir, owner
		cmd.Env = append(append(os.Environ(), "PATH="+bins+":"+os.Getenv("PATH")), environment...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s\n%v\n%s", script, err, out)
		}
	}
	var settings []string
	for line := range strings.Lines(block("ini archive")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			settings = append(settings, name+"="+strings.ReplaceAll(strings.Trim(value, "'"), "/backups", dir))
		}
	}
	shell("mkdir /backups/wal")

	main := pgtest.Start(t, pgtest.Options{Settings: settings})
	database := main.URL(t)
	r := newRestored(t)
	stop := r.serve(t, database)
	ada, eve := r.account(t, "ada@example.com"), r.account(t, "eve@example.com")
	kids := r.published(t)
	u, err := pgx.ParseConfig(database)
	noFault(t, err)
	shell(block("sh base"), "PGHOST="+u.Host, "PGUSER=postgres")
	before := r.refresh(t, ada, http.StatusOK)

	// This is the instant to go back to.
	conn, err := pgx.Connect(t.Context(), database)
	noFault(t, err)
	defer conn.Close(t.Context())
	var instant time.Time
	noFault(t, conn.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&instant))

	after := r.refresh(t, before, http.StatusOK)
	r.signet(t, database, "users", "revoke-sessions", "eve@example.com")
	r.refresh(t, eve, http.StatusUnauthorized)
	r.account(t, "bob@example.com")
	r.signet(t, database, "keys", "revoke", "--all")
	eventually(t, "the revoked keys are not published", func() bool {
		for kid := range r.published(t) {
			if kids[kid] {
				return false
			}
		}
		return true
	})
	for kid := range r.published(t) {
		kids[kid] = true
	}
	var segment string
	noFault(t, conn.QueryRow(t.Context(), `SELECT pg_walfile_name(pg_switch_wal())`).Scan(&segment))
	eventually(t, "the log is archived", func() bool {
		_, err := os.Stat(filepath.Join(dir, "wal", segment))
		return err == nil
	})
	stop()
	noFault(t, main.Stop())

	restore := block("sh restore")
	const example = "2026-11-26 12:00:00+00"
	if !strings.Contains(restore, example) {
		t.Fatalf("the instant %s does not stand in\n%s", example, restore)
	}
	shell(strings.ReplaceAll(restore, example, instant.UTC().Format("2006-01-02 15:04:05.000000+00")))
	back := pgtest.Start(t, pgtest.Options{Data: restored})
	database = back.Address(u.Database)
	conn, err = pgx.Connect(t.Context(), database)
	noFault(t, err)
	defer conn.Close(t.Context())
	eventually(t, "the recovery ends", func() bool {
		var recovering bool
		noFault(t, conn.QueryRow(t.Context(), `SELECT pg_is_in_recovery()`).Scan(&recovering))
		return !recovering
	})
	var users int
	noFault(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM users`).Scan(&users))
	if users != 2 {
		t.Errorf("%d users were restored, want ada and eve", users)
	}
	r.signet(t, database, "recover", "--restored", "--yes")
	r.serve(t, database)

	for name, old := range map[string]tokens{"the first token": ada, "the token of that instant": before, "the token after it": after,
		"the token of the session that was ended": eve} {
		r.refresh(t, old, http.StatusUnauthorized)
		eventually(t, name+" is judged", func() bool {
			status := r.profile(t, old)
			if status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
				t.Fatalf("%s: its access token is answered %d", name, status)
			}
			return status == http.StatusUnauthorized
		})
	}
	for kid := range r.published(t) {
		if kids[kid] {
			t.Errorf("the key %s is published again", kid)
		}
	}
	r.logIn(t, "bob@example.com", http.StatusUnauthorized)
	r.refresh(t, r.logIn(t, "ada@example.com", http.StatusOK), http.StatusOK)
}

// restoredSite is a replica on one database after the other.
type restoredSite struct {
	site
	listen, issuer, kek string
}

func newRestored(t *testing.T) *restoredSite {
	t.Helper()
	r := &restoredSite{site: site{client: &http.Client{Timeout: 20 * time.Second}}, listen: testport.Address(t), kek: newKEK(t)}
	t.Cleanup(r.client.CloseIdleConnections)
	r.issuer = "http://" + r.listen
	return r
}

func (r *restoredSite) environment(t *testing.T, database string) []string {
	return append(os.Environ(), "SIGNET_ISSUER="+r.issuer, "SIGNET_LISTEN="+r.listen, "SIGNET_DATABASE_URL="+database,
		"SIGNET_DATA_DIR="+t.TempDir(), "SIGNET_KEYS_ENCRYPTION_KEY_FILE="+r.kek, "SIGNET_HTTP_DRAIN_NOTICE=0s", "SIGNET_METRICS_LISTEN=")
}

// serve runs the replica until the test ends, or stop is called.
func (r *restoredSite) serve(t *testing.T, database string) (stop func()) {
	t.Helper()
	stop = runReplica(t, r.environment(t, database), "--migrate")
	eventually(t, "the replica is ready", func() bool { return r.ready(r.issuer) })
	return stop
}

func (r *restoredSite) signet(t *testing.T, database string, args ...string) {
	t.Helper()
	cmd := exec.Command(binaries.signet, args...)
	cmd.Env = r.environment(t, database)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("signet %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (r *restoredSite) account(t *testing.T, email string) tokens {
	t.Helper()
	r.signUp(t, r.issuer, email)
	return r.logIn(t, email, http.StatusOK)
}

func (r *restoredSite) logIn(t *testing.T, email string, status int) tokens {
	t.Helper()
	return r.tokens(t, "/v1/login", map[string]string{"email": email, "password": passphrase}, status)
}

func (r *restoredSite) refresh(t *testing.T, old tokens, status int) tokens {
	t.Helper()
	return r.tokens(t, "/v1/refresh", map[string]string{"refresh_token": old.Refresh}, status)
}

func (r *restoredSite) tokens(t *testing.T, path string, request any, status int) (got tokens) {
	t.Helper()
	a, _ := r.insist(t, r.issuer, path, request)
	if a.status != status {
		t.Fatalf("%s: %d %s, want %d", path, a.status, a.body, status)
	}
	if status == http.StatusOK {
		noFault(t, json.Unmarshal(a.body, &got))
	}
	return got
}

// profile returns how a request with an access token is answered.
func (r *restoredSite) profile(t *testing.T, old tokens) int {
	t.Helper()
	req, err := http.NewRequest("GET", r.issuer+"/v1/profile", nil)
	noFault(t, err)
	req.Header.Set("Authorization", "Bearer "+old.Access)
	resp, err := r.client.Do(req)
	noFault(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

func (r *restoredSite) published(t *testing.T) map[string]bool {
	t.Helper()
	resp, err := r.client.Get(r.issuer + "/.well-known/jwks.json")
	noFault(t, err)
	defer resp.Body.Close()
	var set struct{ Keys []struct{ Kid string } }
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("the key set: %+v, %v", set, err)
	}
	kids := make(map[string]bool)
	for _, k := range set.Keys {
		kids[k.Kid] = true
	}
	return kids
}

// newKEK writes a new key-encryption key to a file.
func newKEK(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kek")
	out, err := exec.Command(binaries.signet, "keys", "new-kek").Output()
	if err != nil {
		t.Fatal(fmt.Errorf("signet keys new-kek: %w", err))
	}
	noFault(t, os.WriteFile(file, out, 0o600))
	return file
}
