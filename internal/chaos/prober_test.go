package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signet-id/signet/internal/faultproxy"
)

// twoReplicas answers the prober of two replicas, without a network.
type twoReplicas struct {
	t        *testing.T
	mu       sync.Mutex
	away     bool            // the database
	silent   map[string]bool // replicas that do not answer, by address
	lost     bool            // replicas do what they are asked, and the answers are lost
	ends     bool            // the next refresh finds that its session has ended
	sessions int
	current  map[string]string // the latest token of each session, by session
	before   map[string]string // the one before it
	asked    map[string]int    // requests by address
}

func newTwoReplicas(t *testing.T) (*twoReplicas, *Prober) {
	answers := &twoReplicas{t: t, silent: map[string]bool{}, current: map[string]string{}, before: map[string]string{},
		asked: map[string]int{}}
	var replicas []*Replica
	for _, name := range []string{"a", "b"} {
		replicas = append(replicas, &Replica{Name: name, Listen: name, process: &os.Process{}, served: true,
			Clients: &faultproxy.Proxy{}, Database: &faultproxy.Proxy{}, events: log.New(io.Discard, "", 0)})
	}
	p := newProber(replicas, log.New(io.Discard, "", 0), "ada@example.com")
	p.http.Transport = answers
	return answers, p
}

// running runs the prober until end is called.
func running(t *testing.T, p *Prober) (end func()) {
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { p.Run(ctx) })
	return func() {
		stop()
		run.Wait()
	}
}

func (s *twoReplicas) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// RoundTrip implements http.RoundTripper.
func (s *twoReplicas) RoundTrip(r *http.Request) (*http.Response, error) {
	var body map[string]string
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.asked[r.URL.Host]++
	silent, lost := s.silent[r.URL.Host], s.lost
	status, text := s.answer(r.URL.Path, body)
	s.mu.Unlock()
	if silent || lost {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

func (s *twoReplicas) answer(path string, body map[string]string) (int, string) {
	session, _, _ := strings.Cut(body["refresh_token"], ".")
	switch {
	case s.away:
		return http.StatusServiceUnavailable, `{}`
	case path == "/v1/login" && body["email"] == "ada@example.com" && body["password"] != "":
		s.sessions++
		session = fmt.Sprint(s.sessions)
		s.current[session] = session + ".0"
	case path != "/v1/refresh":
		s.t.Errorf("%s was asked for", path)
	case s.ends:
		s.ends = false
		return http.StatusBadRequest, `{"code":"invalid_grant"}`
	case body["refresh_token"] == s.before[session]: // its answer was lost
	case body["refresh_token"] != s.current[session]:
		s.t.Errorf("%q was sent after %q", body["refresh_token"], s.current[session])
	default:
		s.before[session] = s.current[session]
		s.current[session] += "0"
	}
	return http.StatusOK, fmt.Sprintf(`{"refresh_token":%q}`, s.current[session])
}

// recover takes the database away, and returns what the prober measures when it comes back. During is
// run when it is back.
func (s *twoReplicas) recover(p *Prober, during func()) recovery {
	s.t.Helper()
	s.set(func() { s.away = true })
	time.Sleep(3 * time.Second)
	s.set(func() { s.away = false })
	since := time.Now()
	go during()
	if err := p.Recovered(s.t.Context(), since); err != nil {
		s.t.Fatal(err)
	}
	return p.recoveries[len(p.recoveries)-1]
}

// The prober tells when the first replica succeeds and when all do, whatever hangs; replicas under a
// fault are left out.
func TestTheProberMeasuresRecoveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newTwoReplicas(t)
		defer running(t, p)()
		b := p.probed[1].Replica
		time.Sleep(10 * time.Second)
		asked := map[string]int{}
		s.set(func() { asked = maps.Clone(s.asked) })
		if asked["a"] < 95 || asked["b"] < 95 {
			t.Errorf("%v requests in ten seconds, want ten a second", asked)
		}

		want := func(name string, r recovery, first, last time.Duration, answered int) {
			t.Helper()
			const turn = 100*time.Millisecond + 10*time.Millisecond // until a lane's turn comes, and Recovered looks
			if r.first <= 0 || r.first < first || r.first > first+turn || r.last < last || r.last > last+turn ||
				r.answered != answered {
				t.Errorf("%s: the first of %d after %s, the last one after %s; want %s and %s, of %d",
					name, r.answered, r.first, r.last, first, last, answered)
			}
		}
		want("both answer", s.recover(p, func() {}), 0, 0, 2)

		s.set(func() { s.silent["b"] = true })
		slow := s.recover(p, func() {
			time.Sleep(3 * time.Second)
			s.set(func() { s.silent["b"] = false })
		})
		want("one answers three seconds later", slow, 0, 3*time.Second, 2)

		over := b.met(b.Database)
		s.set(func() { s.silent["b"] = true })
		want("the way of one to the database is under a fault", s.recover(p, func() {}), 0, 0, 1)
		over()
		met := s.recover(p, func() {
			time.Sleep(time.Second)
			b.met(b.Database)()
		})
		want("the connections of one are reset before it answers", met, 0, 0, 1)
		killed := s.recover(p, func() {
			time.Sleep(time.Second)
			b.signal(syscall.SIGKILL)
		})
		want("one is killed before it answers", killed, 0, 0, 1)
		b.meant = false

		s.set(func() { s.silent["b"] = false })
		for _, q := range p.probed {
			defer q.met(q.Database)()
		}
		want("both are under a fault", s.recover(p, func() {}), 0, 0, 0)

		first, last, without := p.Recoveries()
		if len(first) != 5 || len(last) != 5 || last[4] < 3*time.Second || without != 1 {
			t.Errorf("%v, %v, %d without", first, last, without)
		}
		if refused := p.Refused(); len(refused) != 0 {
			t.Errorf("%q", refused)
		}
	})
}

// Lost answers end no session of the prober. A session that ends is told, and followed by another one.
func TestTheProbersSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newTwoReplicas(t)
		defer running(t, p)()
		for range 3 {
			time.Sleep(2 * time.Second)
			s.set(func() { s.lost = true })
			time.Sleep(5 * time.Second)
			s.set(func() { s.lost = false })
		}
		begun := func() (n int) {
			s.set(func() { n = s.sessions })
			return n
		}
		time.Sleep(2 * time.Second)
		if refused, n := p.Refused(), begun(); len(refused) != 0 || n != 2*lanes {
			t.Errorf("%d sessions, want %d, refused: %q", n, 2*lanes, refused)
		}
		s.set(func() { s.ends = true })
		time.Sleep(2 * time.Second)
		refused, n := p.Refused(), begun()
		if len(refused) != 1 || !strings.Contains(refused[0], "invalid_grant") || n != 2*lanes+1 {
			t.Errorf("%d sessions, refused: %q", n, refused)
		}
	})
}

// A replica is sound while its process serves and nothing is in the way to its database.
func TestFaultsOfAReplica(t *testing.T) {
	_, p := newTwoReplicas(t)
	r := p.probed[0].Replica
	had := 0
	want := func(what string, more int, sound bool) {
		t.Helper()
		faults, ok := r.sound()
		if ok != sound || faults != had+more {
			t.Errorf("%s: sound %t after %d faults, want %t after %d", what, ok, faults, sound, had+more)
		}
		had = faults
	}
	want("at first", 0, true)
	r.met(r.Clients)()
	want("something was between it and clients", 0, true)
	over := r.met(r.Database)
	want("something is before its database", 1, false)
	over()
	want("nothing is any more", 1, true)
	r.signal(syscall.SIGSTOP)
	want("frozen", 1, false)
	r.signal(syscall.SIGCONT)
	want("it goes on", 1, true)
	r.signal(syscall.SIGTERM)
	want("it stops", 1, false)
	r.meant, r.served = false, false
	want("it was started again", 0, false)
	r.served = true
	want("it is ready", 0, true)
	r.process = nil
	want("it does not run", 0, false)
}
