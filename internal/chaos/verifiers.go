package chaos

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/verifier"
)

// Verifiers are resource servers with caches of different ages. Each access token meets two of them
// when it was issued and two shortly before it expires; one of allEvery meets all of them at both
// times. What is no access token, or none any more, meets some of them, too.
type Verifiers struct {
	allEvery uint64
	all      []*verifier.Verifier
	skew     time.Duration
	queue    chan job
	next     atomic.Uint64
	checked  atomic.Int64
	waiting  sync.WaitGroup // for jobs

	mu       sync.Mutex
	later    []job // by due
	failures []Failure
	accepted []string             // what should have been refused
	lastUse  map[string]time.Time // kid → when one of its tokens was last accepted
	stopped  bool
}

// job is one token for one verifier.
type job struct {
	due      time.Time
	token    string
	issued   time.Time
	expires  time.Time
	verifier int // -1: all
	refuse   string
}

// NewVerifiers makes n verifiers that fetch the key set from any of the targets, and starts workers.
func NewVerifiers(n, workers int, issuer string, skew time.Duration, targets []Target) (*Verifiers, error) {
	v := &Verifiers{allEvery: 100, skew: skew, queue: make(chan job, 1<<14), lastUse: map[string]time.Time{}}
	for i := range n {
		one, err := verifier.New(verifier.Config{
			Issuer: issuer, Audience: []string{issuer, RS256Resource}, JWKSURL: issuer + "/.well-known/jwks.json", ClockSkew: skew,
			Cooldown: time.Second, MaxAge: time.Duration(1000+20*i) * time.Millisecond, StaleLimit: time.Hour,
			FetchTimeout: time.Duration(1+i%5) * time.Second, Logger: slog.New(slog.DiscardHandler),
			HTTPClient: &http.Client{Transport: &balanced{targets: targets, next: &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 10 * time.Second}}},
		})
		if err != nil {
			return nil, err
		}
		v.all = append(v.all, one)
	}
	for range workers {
		go v.work()
	}
	go v.release()
	return v, nil
}

// RS256Resource is a resource whose access tokens are signed with RS256.
const RS256Resource = "https://rs256.example.com"

// balanced sends a request to a replica that is ready, and to another when it fails, as a balancer does.
type balanced struct {
	targets []Target
	next    http.RoundTripper
}

func (b *balanced) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	start := rand.IntN(len(b.targets))
	for _, wantReady := range []bool{true, false} {
		for i := range b.targets {
			t := b.targets[(start+i)%len(b.targets)]
			if t.Ready() != wantReady {
				continue
			}
			if resp != nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			q := r.Clone(r.Context())
			q.URL.Host, q.Host = t.Address, r.URL.Host
			if resp, err = b.next.RoundTrip(q); err == nil && resp.StatusCode < 500 {
				return resp, nil
			}
		}
	}
	return resp, err
}

// claimsOf are the times of an access token.
type claimsOf struct {
	Issued  int64 `json:"iat"`
	Expires int64 `json:"exp"`
}

func expiryOf(token string) time.Time {
	var c claimsOf
	readClaims(token, &c)
	return time.Unix(c.Expires, 0)
}

// Check takes the tokens of an answer.
func (v *Verifiers) Check(access, refresh, id string) {
	var c claimsOf
	readClaims(access, &c)
	n := v.next.Add(1)
	j := job{token: access, issued: time.Unix(c.Issued, 0), expires: time.Unix(c.Expires, 0)}
	late := j
	late.due = j.expires.Add(-3 * time.Second)
	if n%v.allEvery == 0 {
		j.verifier, late.verifier = -1, -1
		v.add(j)
		v.after(late)
	} else {
		for k := range uint64(2) {
			j.verifier, late.verifier = int((2*n+k)%uint64(len(v.all))), int((2*n+k+7)%uint64(len(v.all)))
			v.add(j)
			v.after(late)
		}
	}
	if n%64 > 0 {
		return
	}
	for what, token := range map[string]string{"a refresh token": refresh, "an ID token": id, "a changed token": changed(access)} {
		if token != "" {
			v.add(job{token: token, verifier: int(n) % len(v.all), refuse: what, expires: j.expires})
		}
	}
	v.after(job{token: access, verifier: int(n) % len(v.all), refuse: "an expired token", due: j.expires.Add(v.skew + 2*time.Second),
		expires: j.expires.Add(time.Minute)})
}

// changed is a token with another signature.
func changed(token string) string {
	at := strings.LastIndexByte(token, '.') + 10
	if at >= len(token) {
		return ""
	}
	letter := "A"
	if token[at] == 'A' {
		letter = "B"
	}
	return token[:at] + letter + token[at+1:]
}

func (v *Verifiers) add(j job) {
	v.waiting.Add(1)
	v.queue <- j
}

// after adds a job when it is due. Tokens live equally long, so the list stays almost in order.
func (v *Verifiers) after(j job) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stopped {
		return
	}
	v.waiting.Add(1)
	v.later = append(v.later, j)
}

func (v *Verifiers) release() {
	for {
		v.mu.Lock()
		var due []job
		now := time.Now()
		rest := v.later[:0]
		for n, j := range v.later {
			if len(due) >= 2000 || j.due.Sub(now) > time.Minute {
				rest = append(rest, v.later[n:]...)
				break
			}
			if j.due.After(now) {
				rest = append(rest, j)
			} else {
				due = append(due, j)
			}
		}
		v.later = rest
		over := v.stopped && len(v.later) == 0
		v.mu.Unlock()
		for _, j := range due {
			v.queue <- j
		}
		if over && len(due) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (v *Verifiers) work() {
	for j := range v.queue {
		if j.verifier >= 0 {
			v.one(j, j.verifier)
		} else {
			for n := range v.all {
				v.one(j, n)
			}
		}
		v.waiting.Done()
	}
}

func (v *Verifiers) one(j job, n int) {
	for {
		token, err := v.all[n].Verify(context.Background(), j.token)
		now := time.Now()
		if errors.Is(err, verifier.ErrKeysUnavailable) && now.Before(j.expires.Add(-time.Second)) {
			time.Sleep(100 * time.Millisecond) // it says: try again later
			continue
		}
		v.checked.Add(1)
		if j.refuse == "" && !now.Before(j.expires) {
			return // this program was too slow to ask in time
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		switch {
		case j.refuse != "" && err == nil:
			v.accepted = append(v.accepted, j.refuse)
		case j.refuse == "" && err != nil:
			v.failures = append(v.failures, Failure{Key: kidOf(j.token), Issued: j.issued, Expires: j.expires, At: now, Verifier: n, Reason: err.Error()})
		case err == nil:
			v.lastUse[token.KeyID] = now
		}
		return
	}
}

// Counts returns how many verifications there were, and how many failed or are to be explained.
func (v *Verifiers) Counts() (checked int64, failed int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.checked.Load(), len(v.failures) + len(v.accepted)
}

// Finish waits for every check that is due, and returns what failed.
func (v *Verifiers) Finish() (failures []Failure, accepted []string, lastUse map[string]time.Time) {
	v.mu.Lock()
	v.stopped = true
	v.mu.Unlock()
	v.waiting.Wait()
	return v.failures, v.accepted, v.lastUse
}
