//go:build interop

package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/storetest"
)

// few gives the pooler so few connections that each transaction gets another one.
var few = []string{"default_pool_size = 3", "server_round_robin = 1"}

// lines collects a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

const poolerLine = "connection pooler"

// The store keeps its guarantees through a transaction pooler, in races as well.
func TestContractThroughPgBouncer(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(tb testing.TB) storetest.Store {
		var log lines
		db, err := sqlstore.Open(context.Background(), pgtest.PgBouncer(tb, pgtest.URL(tb), few...),
			sqlstore.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(db.Close)
		if err := db.Migrate(context.Background()); err != nil {
			tb.Fatal(err)
		}
		if n := log.count(poolerLine); n != 1 {
			tb.Errorf("the pooler was told of %d times, want once", n)
		}
		return db
	})
}

// These poolers were used by other clients before, or do not refuse unknown parameters, or were
// declared by the operator to keep statements apart.
func TestEveryKindOfPgBouncer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ setting, query string }{
		"refuses our limits": {"default_pool_size = 3", ""},
		"swallows our limits": {"ignore_startup_parameters = statement_timeout, lock_timeout, idle_in_transaction_session_timeout, default_transaction_isolation",
			""},
		"a pool of two":          {"default_pool_size = 2", ""},
		"session mode":           {"pool_mode = session", "&pool_max_conns=4"},
		"named, for 1.21":        {"default_pool_size = 3", "&default_query_exec_mode=cache_statement"},
		"described each time":    {"default_pool_size = 3", "&default_query_exec_mode=describe_exec"},
		"types by the arguments": {"default_pool_size = 3", "&default_query_exec_mode=exec"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := pgtest.PgBouncer(t, pgtest.URL(t), test.setting, "server_round_robin = 1") + test.query
			for range 2 { // the second store finds the statements that the first one left
				db, err := sqlstore.Open(t.Context(), address, sqlstore.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if err := db.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
				work(t, db, 0)
				db.Close()
			}
		})
	}
}

// A pooler is added while the store is in use: from one moment to the next, the server's address
// leads to a pooler. Work goes on; the few transactions that are affected are begun again.
func TestAPoolerIsPutInLater(t *testing.T) {
	t.Parallel()
	direct := pgtest.URL(t)
	pooled := pgtest.PgBouncer(t, direct, few...)
	way := newWay(t, socketOf(t, direct))
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	u.Host, u.RawQuery = way.address(), "sslmode=disable"
	var log lines
	db, err := sqlstore.Open(t.Context(), u.String(), sqlstore.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	work(t, db, 0)
	if n := log.count(poolerLine); n != 0 {
		t.Errorf("a pooler was told of %d times without one", n)
	}
	way.lead(socketOf(t, pooled))
	work(t, db, 2) // only operations that lost their connection may fail
	work(t, db, 0)
	if n := log.count(poolerLine); n != 1 {
		t.Errorf("the pooler was told of %d times, want once", n)
	}
	way.lead(socketOf(t, direct))
	work(t, db, 2)
	work(t, db, 0)
}

// Migrations run one at a time through a pooler, and release their lock at the end.
func TestManyMigrateThroughPgBouncer(t *testing.T) {
	t.Parallel()
	direct := pgtest.URL(t)
	address := pgtest.PgBouncer(t, direct, "default_pool_size = 12")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			db, err := sqlstore.Open(context.Background(), address, sqlstore.Options{MaxConns: 2})
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			if err := db.Migrate(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	conn, err := pgx.Connect(t.Context(), direct)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var locks int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
		WHERE locktype = 'advisory' AND datname = current_database()`).Scan(&locks); err != nil || locks != 0 {
		t.Errorf("%d advisory locks are left behind (%v)", locks, err)
	}
}

// work runs operations of every kind at once: reads, single statements, batches and transactions.
// At most mayFail of them may fail because the store is not available.
func work(t *testing.T, db *sqlstore.DB, mayFail int) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	for i := range 8 {
		all.Go(func() {
			for range 5 {
				if err := act(t.Context(), db); err != nil {
					mu.Lock()
					if failed++; failed > mayFail || !errors.Is(err, userstore.ErrUnavailable) {
						t.Errorf("worker %d: %v", i, err)
					}
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
}

func act(ctx context.Context, db *sqlstore.DB) error {
	now := time.Now()
	id := strings.ToLower(randomText())
	u := userstore.User{ID: id, Email: id + "@x.test", EmailKey: id + "@x.test", PasswordHash: "hash", IsActive: true,
		CreatedAt: now, UpdatedAt: now}
	if err := db.CreateUser(ctx, u); err != nil {
		return err
	}
	g := userstore.Grant{SessionID: randomText(), UserID: id, ClientID: userstore.FirstPartyClientID,
		Scopes: []string{"profile"},
		AMR:    []string{"pwd"}, Generation: 1, CreatedAt: now, AuthTime: now, RotatedAt: now, ExpiresAt: now.Add(time.Hour)}
	copy(g.ID[:], randomText())
	if err := db.StartGrant(ctx, userstore.StartGrant{Grant: g, PasswordHash: "hash"}); err != nil {
		return err
	}
	if _, err := db.AdvanceGrant(ctx, userstore.Advance{ID: g.ID, Generation: 1, ClientID: g.ClientID, FirstParty: true,
		Now: now.Add(time.Second), IdleSince: now.Add(-time.Hour)}); err != nil {
		return err
	}
	if list, err := db.ListGrants(ctx, id, now, time.Time{}); err != nil || len(list) != 1 {
		return errors.Join(err, errors.New("not one grant"))
	}
	if n, err := db.RevokeUserGrants(ctx, id, "", now); err != nil || n != 1 {
		return errors.Join(err, errors.New("not one grant revoked"))
	}
	return db.SetActive(ctx, id, false, now)
}

// The real binary does the whole job on a transaction pooler. It migrates, and people sign up, log
// in and refresh while keys are rotated and sessions are revoked.
func TestTheJobThroughPgBouncer(t *testing.T) {
	t.Parallel()
	s := startOn(t, pooled, "keys: {propagation: 10s, jwks_max_age: 1s}\nclock_skew: 4s\n")
	alice := s.signUp(t)
	before := keyID(t, alice.Access)
	t.Log(s.signet(t, "keys", "rotate"))
	eventually(t, "tokens are signed with the new key", func() bool {
		alice = s.refresh(t, alice)
		return keyID(t, alice.Access) != before
	})

	const root, passphrase = "root@example.com", "a passphrase of the administrator"
	file := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(file, []byte(passphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	s.signet(t, "users", "create", "--email", root, "--admin", "--password-file", file)
	var admin tokens
	s.post(t, "/v1/login", http.StatusOK,
		fmt.Sprintf(`{"email":%q,"password":%q,"scope":"profile admin"}`, root, passphrase), &admin)
	ask := func(path string) string {
		t.Helper()
		req, err := http.NewRequest("GET", s.issuer+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+admin.Access)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", path, resp.StatusCode, body)
		}
		return string(body)
	}
	if list := ask("/v1/admin/users"); !strings.Contains(list, root) {
		t.Errorf("the admin is not in the list: %s", list)
	}
	if log := ask("/v1/admin/audit"); !strings.Contains(log, "user_created") || !strings.Contains(log, "keys_rotated") {
		t.Errorf("the audit log lacks what was done: %s", log)
	}

	s.post(t, "/v1/login", http.StatusUnauthorized, fmt.Sprintf(`{"email":%q,"password":"not her passphrase"}`, root), nil)
	s.signet(t, "users", "revoke-sessions", root)
	s.post(t, "/v1/refresh", http.StatusUnauthorized, fmt.Sprintf(`{"refresh_token":%q}`, admin.Refresh), nil)
	s.refresh(t, alice)

	// Many at once, on a pooler with three connections.
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			resp, err := http.Post(s.issuer+"/v1/login", "application/json",
				strings.NewReader(fmt.Sprintf(`{"email":%q,"password":%q}`, root, passphrase)))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				body, _ := io.ReadAll(resp.Body)
				t.Errorf("a login: %d %s", resp.StatusCode, body)
			}
		})
	}
	all.Wait()
}
