package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lanes is how many sessions the prober has at each replica. A request that hangs keeps its own
	// session waiting, and the others go on.
	lanes = 5
	// laneEvery is how often each session is refreshed. Sessions take turns, so that each replica gets
	// ten requests a second.
	laneEvery = 500 * time.Millisecond
	// laneLimit is how long a request is waited for. After it, the session may ask again.
	laneLimit = time.Second
)

// Prober measures how soon replicas answer after their database came back. The clients of the load
// cannot: they meet faults of their own, and wait in them.
//
// It sends to each replica by itself, past the proxy before it. A request is a refresh: the replica
// reads and writes a row, and signs. What it measures is therefore the replica's own time, if the
// replica and its way to the database are under no fault; and what is under one is left out.
type Prober struct {
	events *log.Logger
	host   string
	user   map[string]string // who logs in
	http   *http.Client
	probed []*probed

	mu         sync.Mutex
	recoveries []recovery
	refused    []string // sessions that ended
}

// probed is a replica with the time of its last success.
type probed struct {
	*Replica
	succeeded atomic.Int64 // microseconds since 1970
}

// newProber returns a prober of replicas, whose events it writes down, for a user who has an account.
func newProber(replicas []*Replica, events *log.Logger, email string) *Prober {
	p := &Prober{events: events, host: strings.TrimPrefix(issuerURL, "http://"),
		user: map[string]string{"email": email, "password": passwordOf(email, 1)},
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: lanes}}}
	for _, r := range replicas {
		p.probed = append(p.probed, &probed{Replica: r})
	}
	return p
}

// prober makes a prober and its account.
func (s *System) prober(ctx context.Context) (*Prober, error) {
	email := fmt.Sprintf("prober-%d@example.com", s.Seed)
	p := newProber(s.Replicas, s.log, email)
	status, text, err := p.send(ctx, clientTimeout, s.Replicas[0], "/v1/signup", map[string]string{"email": email,
		"password": passwordOf(email, 1), "given_name": "Kay", "family_name": "Oss"})
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("the prober's sign-up was answered with %d: %s", status, text)
	}
	return p, err
}

// Run sends requests until ctx ends.
func (p *Prober) Run(ctx context.Context) {
	defer p.http.CloseIdleConnections()
	var all sync.WaitGroup
	for n, q := range p.probed {
		for i := range lanes {
			begin := laneEvery * time.Duration(i*len(p.probed)+n) / time.Duration(lanes*len(p.probed))
			all.Go(func() {
				pause(ctx, begin)
				p.lane(ctx, q)
			})
		}
	}
	all.Wait()
}

// lane refreshes one session at one replica. It does what a client must: it sends the same token
// again until it gets the next one.
func (p *Prober) lane(ctx context.Context, q *probed) {
	every := time.NewTicker(laneEvery)
	defer every.Stop()
	token := ""
	for ctx.Err() == nil {
		path, body := "/v1/refresh", map[string]string{"refresh_token": token}
		if token == "" {
			path, body = "/v1/login", p.user
		}
		status, text, err := p.send(ctx, laneLimit, q.Replica, path, body)
		switch next := (answer{body: text}).fields().Refresh; {
		case err != nil || status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		case status == http.StatusOK && next != "":
			if token != "" {
				q.succeeded.Store(time.Now().UnixMicro())
			}
			token = next
		default:
			p.mu.Lock()
			p.refused = append(p.refused, fmt.Sprintf("%s answered %d to the prober's %s: %s", q.Name, status, path, text))
			p.mu.Unlock()
			token = ""
		}
		select {
		case <-ctx.Done():
		case <-every.C:
		}
	}
}

// send waits for an answer until limit.
func (p *Prober) send(ctx context.Context, limit time.Duration, r *Replica, path string, body map[string]string) (
	status int, text []byte, err error,
) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if text, err = json.Marshal(body); err != nil {
		return 0, nil, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.Listen+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	q.GetBody = nil // the lane decides what is sent again
	q.Host = p.host
	q.Header.Set("Content-Type", "application/json")
	resp, err := p.http.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, text, err
}

// Recovered waits until every replica has succeeded after since, when the database accepted
// connections again, but for replicas that are under a fault. It keeps how long that took.
func (p *Prober) Recovered(ctx context.Context, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r := recovery{since: since, waiting: map[int]int{}}
	for n, q := range p.probed {
		if faults, sound := q.sound(); sound {
			r.waiting[n] = faults
		}
	}
	for !r.over() {
		if ctx.Err() != nil {
			return fmt.Errorf("a minute after the database came back %d replicas have not succeeded: %w", len(r.waiting),
				ctx.Err())
		}
		pause(ctx, 5*time.Millisecond)
		for n, q := range p.probed {
			faults, _ := q.sound()
			r.see(n, time.UnixMicro(q.succeeded.Load()), faults)
		}
	}
	p.events.Printf("the database accepts: first success after %s, at all of %d replicas under no fault after %s",
		r.first, r.answered, r.last)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recoveries = append(p.recoveries, r)
	return nil
}

// recovery is the time after the database accepted connections again.
type recovery struct {
	since    time.Time
	waiting  map[int]int // replicas under no fault that have not answered, with the faults that they have had
	first    time.Duration
	last     time.Duration // of the replicas that were under no fault
	answered int           // how many these were
}

// see takes what is known of a replica at this moment. A replica that met a fault before it answered
// is waited for no more.
func (r *recovery) see(n int, succeeded time.Time, faults int) {
	after := succeeded.Sub(r.since)
	if after > 0 && (r.first == 0 || after < r.first) {
		r.first = after
	}
	before, waited := r.waiting[n]
	switch {
	case !waited:
	case faults != before:
		delete(r.waiting, n)
	case after > 0:
		delete(r.waiting, n)
		r.answered++
		r.last = max(r.last, after)
	}
}

func (r *recovery) over() bool { return r.first > 0 && len(r.waiting) == 0 }

// Recoveries returns how long it took after the database accepted connections until a replica
// succeeded, and until all did that were under no fault, both in ascending order; and how many
// recoveries are left out because each replica was under a fault.
func (p *Prober) Recoveries() (first, last []time.Duration, without int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.recoveries {
		if r.answered == 0 {
			without++
			continue
		}
		first, last = append(first, r.first), append(last, r.last)
	}
	slices.Sort(first)
	slices.Sort(last)
	return first, last, without
}

// Refused returns the answers that neither granted nor asked the prober to come again.
func (p *Prober) Refused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.refused)
}
