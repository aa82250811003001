package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/signet-id/signet/docs/examples/webapp/login"
)

const (
	pace       = 200 * time.Millisecond // between two calls
	remembered = 120                    // calls that the page draws
	unwatched  = 2 * time.Minute        // after that time without a look at the page, no more calls are made
	afterEnd   = 6 * time.Second        // how long a session that has ended is still tried, to show the refusals
)

// call is one call of the API.
type call struct {
	OK  bool
	KID string // of the key that signed the token
}

// stream calls the API some times a second with the access token of a session, as an app with many
// visitors does, and counts what the API answers. It refreshes the token when the API refuses it,
// as login.Session.Do does; it is written out here because the page shows each part of that.
type stream struct {
	url    string
	client *http.Client
	say    func(format string, args ...any) // to the log of events
	now    func() time.Time

	mu                         sync.Mutex
	session                    *login.Session
	token                      string // the last one
	on                         bool
	calls                      []call // the last ones
	accepted, refused, broken  int
	refusedFrom                time.Time // the first refusal of those that are still going on
	renewAt, endedAt, lookedAt time.Time
}

func newStream(url string, say func(format string, args ...any)) *stream {
	return &stream{url: url, client: &http.Client{Timeout: 5 * time.Second}, say: say, now: time.Now}
}

// counted is how many calls there were at one time.
type counted struct {
	at                        time.Time
	accepted, refused, broken int
	refusedAt                 time.Time // the first refusal since the count before
}

// use makes s the session of the calls.
func (c *stream) use(s *login.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.on = s, false
	c.endedAt, c.renewAt, c.refusedFrom = time.Time{}, time.Time{}, time.Time{}
}

// set starts or stops the calls.
func (c *stream) set(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on && c.session != nil
}

// renewSoon gets another access token at a time, as an app does anyway when its token runs out.
func (c *stream) renewSoon(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renewAt = at
}

// looked keeps the calls going.
func (c *stream) looked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookedAt = c.now()
}

func (c *stream) count() counted {
	c.mu.Lock()
	defer c.mu.Unlock()
	return counted{at: c.now(), accepted: c.accepted, refused: c.refused, broken: c.broken, refusedAt: c.refusedFrom}
}

// run makes the calls until ctx ends.
func (c *stream) run(ctx context.Context) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s, renew, ok := c.due(); ok {
			c.step(ctx, s, renew)
		}
	}
}

// due returns the session to call for, and whether its tokens are to be renewed first.
func (c *stream) due() (s *login.Session, renew, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.on {
		return nil, false, false
	}
	if ended := !c.endedAt.IsZero() && now.Sub(c.endedAt) > afterEnd; ended || now.Sub(c.lookedAt) > unwatched {
		c.on = false
		return nil, false, false
	}
	if renew = !c.renewAt.IsZero() && !now.Before(c.renewAt); renew {
		c.renewAt = time.Time{}
	}
	return c.session, renew, true
}

// step makes one call.
func (c *stream) step(ctx context.Context, s *login.Session, renew bool) {
	token, err := s.AccessToken(ctx)
	if err == nil && renew {
		if token, err = s.Renew(ctx, token); err == nil {
			c.say("The app refreshed its tokens. The new access token is signed by key %s.", short(kidOf(token)))
		}
	}
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, login.ErrEnded):
		c.end()
		token = c.last()
	case err != nil:
		c.add(call{KID: kidOf(c.last())}, true)
		return
	}
	status, err := c.ask(ctx, token)
	switch {
	case ctx.Err() != nil:
	case err != nil || status >= 500:
		c.add(call{KID: kidOf(token)}, true)
	case status == http.StatusOK:
		c.took(token)
	default:
		c.refuse(ctx, s, token, status)
	}
}

// ask calls the API once.
func (c *stream) ask(ctx context.Context, token string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, err
}

// took counts an accepted call, and says so when a key is new.
func (c *stream) took(token string) {
	c.mu.Lock()
	kid, before := kidOf(token), kidOf(c.token)
	c.token, c.refusedFrom = token, time.Time{}
	c.mu.Unlock()
	c.add(call{OK: true, KID: kid}, false)
	if kid != before {
		c.say("The API accepted the first call with a token of key %s.", short(kid))
	}
}

// refuse counts a refused call. An app gets another token then, once.
func (c *stream) refuse(ctx context.Context, s *login.Session, token string, status int) {
	c.mu.Lock()
	first := c.refusedFrom.IsZero()
	if first {
		c.refusedFrom = c.now()
	}
	c.token = token
	over := !c.endedAt.IsZero()
	c.mu.Unlock()
	c.add(call{KID: kidOf(token)}, false)
	if first {
		c.say("The API refused the access token: %d %s.", status, http.StatusText(status))
	}
	if over {
		return
	}
	renewed, err := s.Renew(ctx, token)
	switch {
	case errors.Is(err, login.ErrEnded):
		c.end()
	case err == nil:
		c.say("The app refreshed its tokens, as apps do after a refusal. The new one is signed by key %s.", short(kidOf(renewed)))
	}
}

// end notes that the issuer has ended the session.
func (c *stream) end() {
	c.mu.Lock()
	first := c.endedAt.IsZero()
	if first {
		c.endedAt = c.now()
	}
	c.mu.Unlock()
	if first {
		c.say("The issuer refused to refresh the tokens: invalid_grant. The app has ended the session.")
	}
}

func (c *stream) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// add counts a call. One that is broken was not answered by a verdict on its token.
func (c *stream) add(one call, broken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case broken:
		c.broken++
	case one.OK:
		c.accepted++
	default:
		c.refused++
	}
	c.calls = append(c.calls, one)
	if len(c.calls) > remembered {
		c.calls = c.calls[len(c.calls)-remembered:]
	}
}

// short returns as much of a key id as people compare, as `signet keys list` does.
func short(kid string) string {
	if len(kid) > 8 {
		return kid[:8]
	}
	return kid
}

// plural returns a number of things.
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
