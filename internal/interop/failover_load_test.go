//go:build interop && linux

package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

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
