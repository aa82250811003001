//go:build interop && linux

package interop

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/testport"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest/patroni"
)

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
