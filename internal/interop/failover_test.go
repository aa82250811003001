//go:build interop && linux

package interop

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/sqlstore/pgtest/patroni"
)

// The real binary on a highly available PostgreSQL, as docs/high-availability.md sets it up: three
// replicas whose database_url leads through HAProxy, and three whose database_url names all nodes.
// While clients sign up and refresh, the leader is switched over, killed and frozen, and a standby
// is rebuilt. Nothing that was acknowledged is lost, and no client that repeats its request after a
// 503 loses its session. Then the cluster replicates asynchronously, and a failover loses the last
// writes: no refresh token is taken twice.
func TestF03Failovers(t *testing.T) {
	t.Parallel()
	cluster, err := patroni.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	s := startSite(t, cluster)

	load := s.begin(t)
	t.Run("a switchover", func(t *testing.T) {
		standby, err := cluster.Synchronous()
		if err != nil || standby == "" {
			t.Fatalf("no synchronous standby: %v", err)
		}
		leader, began := s.leader(t), time.Now()
		s.control(t, "switchover", "pg1", leader, "pg2", standby)
		s.failsOver(t, leader)
		load.recovers(t, "switchover", began)
		noFault(t, cluster.Whole())
		if list := s.control(t, "list"); s.leader(t) != standby || !strings.Contains(list, "Sync Standby") {
			t.Errorf("%s was to be the leader, with a synchronous standby:\n%s", standby, list)
		}
	})
	t.Run("the leader is killed", func(t *testing.T) {
		leader := s.leader(t)
		began := time.Now()
		noFault(t, cluster.Kill(leader))
		s.unready(t)
		s.failsOver(t, leader)
		load.recovers(t, "leader killed", began)
		noFault(t, cluster.Revive(leader))
		noFault(t, cluster.Whole())
	})
	t.Run("the leader is frozen", func(t *testing.T) {
		leader := s.leader(t)
		began := time.Now()
		noFault(t, cluster.Freeze(leader))
		s.unready(t)
		s.failsOver(t, leader)
		load.recovers(t, "leader frozen", began)
		noFault(t, cluster.Thaw(leader))
		noFault(t, cluster.Whole())
	})
	t.Run("a standby is rebuilt", func(t *testing.T) {
		standby, err := cluster.Synchronous()
		if err != nil || standby == "" {
			t.Fatalf("no synchronous standby: %v", err)
		}
		s.control(t, "reinit", "pg3", standby)
		noFault(t, cluster.Whole())
	})
	load.end(t, cluster.URL())
	t.Run("asynchronous replication", s.losesTheLastWrites)
}

// control runs a command of docs/high-availability.md, "Switching over, rebuilding, upgrading", by the
// text that it has there, but for the pairs of words that are replaced. It returns what was printed.
func (s *site) control(t *testing.T, command string, replace ...string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/high-availability.md")
	noFault(t, err)
	_, section, _ := strings.Cut(string(page), "\n## Switching over, rebuilding, upgrading\n")
	const program = "patronictl -c /etc/patroni/config.yml "
	for line := range strings.Lines(section) {
		words, found := strings.CutPrefix(line, program)
		if words = strings.TrimSpace(words); !found || strings.Fields(words)[0] != command {
			continue
		}
		for i := 0; i < len(replace); i += 2 {
			if !strings.Contains(words, replace[i]) {
				t.Fatalf("%q does not stand in %q", replace[i], words)
			}
		}
		printed, err := s.cluster.Control(strings.Fields(strings.NewReplacer(replace...).Replace(words))...)
		noFault(t, err)
		return printed
	}
	t.Fatalf("docs/high-availability.md does not say how to %s", command)
	return ""
}

// losesTheLastWrites makes a leader acknowledge what no standby gets, and kills it.
func (s *site) losesTheLastWrites(t *testing.T) {
	s.control(t, "edit-config", "=true", "=false")
	noFault(t, s.cluster.Whole())
	replica := s.ways[0].replicas[0]
	logIn := func(email string) tokens {
		t.Helper()
		s.signUp(t, replica, email)
		var got tokens
		a, _ := s.insist(t, replica, "/v1/login", map[string]string{"email": email, "password": passphrase})
		if err := json.Unmarshal(a.body, &got); err != nil || a.status != http.StatusOK {
			t.Fatalf("a login: %d %s", a.status, a.body)
		}
		return got
	}
	refresh := func(old tokens) (answer, tokens) {
		t.Helper()
		a, _ := s.insist(t, replica, "/v1/refresh", map[string]string{"refresh_token": old.Refresh})
		var got tokens
		if a.status == http.StatusOK {
			noFault(t, json.Unmarshal(a.body, &got))
		}
		return a, got
	}
	want := func(what string, a answer, status int) {
		t.Helper()
		if a.status != status {
			t.Errorf("%s: %d %s, want %d", what, a.status, a.body, status)
		}
	}

	before, quiet := logIn("before@example.com"), logIn("quiet@example.com")
	noFault(t, s.cluster.Whole()) // the standbys have these
	leader := s.leader(t)
	noFault(t, s.cluster.FreezeSenders(leader))
	a, successor := refresh(before)
	want("a refresh that will be lost", a, http.StatusOK)
	lost := logIn("lost@example.com")
	noFault(t, s.cluster.Kill(leader))
	s.unready(t)
	s.failsOver(t, leader)
	eventually(t, "the replica is ready again", func() bool { return s.ready(replica) })

	// The client has the successor, of which the new leader knows nothing. The grant is revoked, so
	// that the token before it is not taken a second time.
	a, _ = refresh(successor)
	want("the lost successor", a, http.StatusUnauthorized)
	a, _ = refresh(before)
	want("the token before it, a second time", a, http.StatusUnauthorized)
	a, _ = refresh(successor)
	want("the lost successor, again", a, http.StatusUnauthorized)
	a, _ = refresh(quiet)
	want("a session that lost nothing", a, http.StatusOK)

	// The last account is gone, and its tokens with it. Its owner can sign up again.
	a, _ = refresh(lost)
	want("a session of an account that was lost", a, http.StatusUnauthorized)
	logIn("lost@example.com")

	conn, err := pgx.Connect(t.Context(), s.cluster.URL())
	noFault(t, err)
	defer conn.Close(t.Context())
	var n int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM audit_events WHERE name = 'generation_ahead'`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d audit events generation_ahead, want 1 (%v)", n, err)
	}
}
