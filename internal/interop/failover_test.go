//go:build interop && linux

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/internal/testport"
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

// site is a set of replicas on one cluster.
type site struct {
	cluster *patroni.Cluster
	ways    []way3
	client  *http.Client
}

// way3 is a way to the database, with the base URLs of the three replicas that take it.
type way3 struct {
	name     string
	replicas []string
}

func startSite(t *testing.T, cluster *patroni.Cluster) *site {
	t.Helper()
	s := &site{cluster: cluster, client: &http.Client{Timeout: 10 * time.Second}}
	t.Cleanup(s.client.CloseIdleConnections)
	kek := newKEK(t)
	issuer := "http://" + testport.Address(t)
	environment := func(database string) []string {
		return append(os.Environ(), "SIGNET_ISSUER="+issuer, "SIGNET_DATABASE_URL="+database, "SIGNET_DATA_DIR="+t.TempDir(),
			"SIGNET_KEYS_ENCRYPTION_KEY_FILE="+kek, "SIGNET_HTTP_DRAIN_NOTICE=0s", "SIGNET_METRICS_LISTEN=",
			"SIGNET_THROTTLE_SIGNUPS_PER_NETWORK=100000")
	}
	migrate := exec.Command(binaries.signet, "migrate", "up")
	migrate.Env = environment(cluster.Hosts())
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("signet migrate up: %v\n%s", err, out)
	}
	for _, way := range []way3{{name: "HAProxy"}, {name: "several hosts"}} {
		database := cluster.URL()
		if way.name != "HAProxy" {
			database = cluster.Hosts()
		}
		for range 3 {
			listen := testport.Address(t)
			runReplica(t, append(environment(database), "SIGNET_LISTEN="+listen))
			way.replicas = append(way.replicas, "http://"+listen)
		}
		s.ways = append(s.ways, way)
	}
	for _, way := range s.ways {
		for _, replica := range way.replicas {
			eventually(t, "a replica is ready", func() bool { return s.ready(replica) })
		}
	}
	return s
}

// runReplica runs a replica until the test ends, or stop is called.
func runReplica(t *testing.T, environment []string, flags ...string) (stop func()) {
	t.Helper()
	var output lines
	cmd := exec.Command(binaries.signet, append([]string{"serve"}, flags...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment, &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	stop = sync.OnceFunc(func() {
		select {
		case err := <-exited:
			t.Errorf("a replica ended by itself: %v\n%s", err, output.text())
			return
		default:
		}
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case err := <-exited:
			if err != nil {
				t.Errorf("a replica ended with %v", err)
			}
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			<-exited
			t.Error("a replica did not end")
		}
		if t.Failed() {
			text := output.text()
			t.Logf("the end of a replica's log:\n%s", text[max(0, len(text)-3000):])
		}
	})
	t.Cleanup(stop)
	return stop
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func noFault(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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

func (s *site) ready(replica string) bool {
	resp, err := s.client.Get(replica + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (s *site) leader(t *testing.T) string {
	t.Helper()
	leader, err := s.cluster.Leader()
	noFault(t, err)
	return leader
}

// unready waits until every replica says that it is not ready. The key set is served all the same.
func (s *site) unready(t *testing.T) {
	t.Helper()
	for _, way := range s.ways {
		for _, replica := range way.replicas {
			eventually(t, "a replica is not ready", func() bool { return !s.ready(replica) })
			resp, err := s.client.Get(replica + "/.well-known/jwks.json")
			noFault(t, err)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: the key set is answered %s", way.name, resp.Status)
			}
		}
	}
}

// failsOver waits until another node is the leader.
func (s *site) failsOver(t *testing.T, from string) {
	t.Helper()
	eventually(t, "another node is the leader", func() bool {
		leader, err := s.cluster.Leader()
		return err == nil && leader != from
	})
}

// answer is what a replica answers. An unknown one is a lost connection, 503 or 429: the request may
// have been done or not.
type answer struct {
	status int
	body   []byte
}

func (a answer) unknown() bool { return a.status == 0 || a.status == 503 || a.status == 429 }

func (s *site) ask(replica, path string, request any) answer {
	body, _ := json.Marshal(request)
	resp, err := s.client.Post(replica+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		return answer{}
	}
	if resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "" {
		return answer{status: 599, body: []byte("503 without Retry-After: " + b.String())}
	}
	return answer{resp.StatusCode, b.Bytes()}
}

// insist repeats a request until its answer is known. again tells that an earlier try may have been
// done.
func (s *site) insist(t *testing.T, replica, path string, request any) (a answer, again bool) {
	t.Helper()
	tries := 0
	eventually(t, path+" is answered", func() bool {
		a = s.ask(replica, path, request)
		tries++
		return !a.unknown()
	})
	return a, tries > 1
}

// signUp makes an account.
func (s *site) signUp(t *testing.T, replica, email string) {
	t.Helper()
	a, again := s.insist(t, replica, "/v1/signup", map[string]string{"email": email, "password": passphrase})
	if a.status != http.StatusCreated && !(again && a.status == http.StatusConflict) {
		t.Fatalf("a sign-up: %d %s", a.status, a.body)
	}
}

// load is what the clients did.
type load struct {
	s    *site
	stop chan struct{}
	all  sync.WaitGroup

	mu        sync.Mutex
	users     []string // whose sign-up was acknowledged
	sessions  []tokens // the last tokens of each session
	refreshes int
	retries   int
	success   map[string]time.Time // the last one of each way
}

const passphrase = "correct horse battery"

// begin starts two clients for each way.
func (s *site) begin(t *testing.T) *load {
	t.Helper()
	l := &load{s: s, stop: make(chan struct{}), success: make(map[string]time.Time)}
	for _, way := range s.ways {
		for i := range 2 {
			l.all.Go(func() { l.work(t, way, i) })
		}
	}
	return l
}

// patiently repeats a request, at the next replica each time, until its answer is known. again tells
// that an earlier try may have been done. ok is false when the load ends.
func (l *load) patiently(way way3, n *int, path string, request any) (a answer, again, ok bool) {
	for ; ; again = true {
		a = l.s.ask(way.replicas[*n%len(way.replicas)], path, request)
		if *n++; !a.unknown() {
			l.mu.Lock()
			l.success[way.name] = time.Now()
			l.mu.Unlock()
			return a, again, true
		}
		l.mu.Lock()
		l.retries++
		l.mu.Unlock()
		select {
		case <-l.stop:
			return a, again, false
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// work signs a user up, logs in, refreshes, and begins again.
func (l *load) work(t *testing.T, way way3, client int) {
	n := client
	for user := 0; ; user++ {
		email := fmt.Sprintf("%s.%d.%d@example.com", strings.ReplaceAll(way.name, " ", "-"), client, user)
		a, again, ok := l.patiently(way, &n, "/v1/signup", map[string]string{"email": email, "password": passphrase})
		if !ok {
			return
		}
		if a.status != http.StatusCreated && !(again && a.status == http.StatusConflict) {
			t.Errorf("%s: a sign-up: %d %s", way.name, a.status, a.body)
			return
		}
		l.mu.Lock()
		l.users = append(l.users, strings.ToLower(email))
		l.mu.Unlock()
		a, _, ok = l.patiently(way, &n, "/v1/login", map[string]string{"email": email, "password": passphrase})
		if !ok {
			return
		}
		var last tokens
		if err := json.Unmarshal(a.body, &last); err != nil || a.status != http.StatusOK {
			t.Errorf("%s: a login: %d %s", way.name, a.status, a.body)
			return
		}
		l.mu.Lock()
		l.sessions = append(l.sessions, last)
		mine := len(l.sessions) - 1
		l.mu.Unlock()
		for range 30 {
			a, _, ok := l.patiently(way, &n, "/v1/refresh", map[string]string{"refresh_token": last.Refresh})
			if !ok {
				return
			}
			if err := json.Unmarshal(a.body, &last); err != nil || a.status != http.StatusOK {
				t.Errorf("%s: a session was lost: %d %s", way.name, a.status, a.body)
				return
			}
			l.mu.Lock()
			l.sessions[mine] = last
			l.refreshes++
			l.mu.Unlock()
			select {
			case <-l.stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// recovers waits until requests succeed and all replicas are ready again, and says how long each
// way took since the fault began.
func (l *load) recovers(t *testing.T, fault string, began time.Time) {
	t.Helper()
	leads := time.Now() // there is a leader
	for _, way := range l.s.ways {
		var first time.Time
		eventually(t, "requests succeed again through "+way.name, func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			first = l.success[way.name]
			return first.After(leads)
		})
		t.Logf("%s, %s: %.1f s after the fault a client was answered, %.1f s after there was a leader", fault, way.name,
			first.Sub(began).Seconds(), first.Sub(leads).Seconds())
	}
	for _, way := range l.s.ways {
		for _, replica := range way.replicas {
			eventually(t, "a replica is ready again", func() bool { return l.s.ready(replica) })
		}
	}
	t.Logf("%s: %.1f s after there was a leader all replicas were ready", fault, time.Since(leads).Seconds())
}

// goesOn waits until every way has made some refreshes.
func (l *load) goesOn(t *testing.T) {
	t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.refreshes
	}
	before := count()
	eventually(t, "the clients go on", func() bool { return count() >= before+20 })
}

// end stops the clients and checks that everything that was acknowledged is there.
func (l *load) end(t *testing.T, database string) {
	t.Helper()
	close(l.stop)
	l.all.Wait()
	conn, err := pgx.Connect(t.Context(), database)
	noFault(t, err)
	defer conn.Close(t.Context())
	for _, user := range l.users {
		var n int
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM users WHERE email_key = $1`, user).Scan(&n); err != nil || n != 1 {
			t.Errorf("the sign-up of %s was acknowledged, and there are %d such users (%v)", user, n, err)
		}
	}
	var replicas []string
	for _, way := range l.s.ways {
		replicas = append(replicas, way.replicas...)
	}
	for i, session := range l.sessions {
		a, _ := l.s.insist(t, replicas[i%len(replicas)], "/v1/refresh", map[string]string{"refresh_token": session.Refresh})
		if a.status != http.StatusOK {
			t.Errorf("a session was lost: %d %s", a.status, a.body)
		}
	}
	t.Logf("%d sign-ups, %d sessions, %d refreshes, %d requests repeated", len(l.users), len(l.sessions), l.refreshes, l.retries)
	if len(l.users) == 0 || l.refreshes == 0 || l.retries == 0 {
		t.Error("the clients did nothing, or no fault reached them")
	}
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
