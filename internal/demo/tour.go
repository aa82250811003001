package demo

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/signet-id/signet/docs/examples/webapp/login"
)

// tour is what has happened so far.
type tour struct {
	c      Config
	app    *login.App
	stream *stream

	mu      sync.Mutex
	session *login.Session // of whoever logged in last
	events  []event
	said    int // events ever
	done    map[string]*act
	last    *act
}

// event is a line of the log.
type event struct {
	N    int // from 1
	At   time.Time
	Text string
}

// act is something that a button did. The calls between it and the next act show what it came to.
type act struct {
	before counted
	after  *counted // at the next act; nil: there was none
	kid    string   // of the key that was revoked
	text   string   // what the issuer said
}

// rememberedEvents is how many lines of the log are kept.
const rememberedEvents = 60

func newTour(c Config) *tour {
	t := &tour{c: c, done: map[string]*act{}}
	t.stream = newStream(APIURL(c.API)+"/whoami", t.say)
	return t
}

// say adds a line to the log of events.
func (t *tour) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said++
	t.events = append(t.events, event{t.said, time.Now(), fmt.Sprintf(format, args...)})
	if len(t.events) > rememberedEvents {
		t.events = t.events[len(t.events)-rememberedEvents:]
	}
}

// did notes that a button did its work.
func (t *tour) did(step string, a act) {
	a.before = t.stream.count()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last != nil {
		t.last.after = &a.before
	}
	t.last, t.done[step] = &a, &a
}

// follow makes the session of a browser the tour's.
func (t *tour) follow(s *login.Session) {
	t.mu.Lock()
	same := t.session == s
	t.session = s
	t.mu.Unlock()
	if same || s == nil {
		return
	}
	t.did("login", act{})
	t.stream.use(s)
	t.say("Somebody logged in. The app has an ID token, an access token and a refresh token.")
}

// since returns what the calls came to after an act: until the next one, or until now.
func (t *tour) since(a *act) counted {
	now := t.stream.count()
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.after != nil {
		now = *a.after
	}
	now.accepted -= a.before.accepted
	now.refused -= a.before.refused
	now.broken -= a.before.broken
	return now
}

func (t *tour) act(step string) *act {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done[step]
}

// part returns the JSON of the header (0) or the payload (1) of a token, without checking anything: the
// page only shows it. A text that is no token gives nothing.
func part(token string, n int) []byte {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		return nil
	}
	return text
}

// kidOf returns the id of the key that signed a token.
func kidOf(token string) string {
	var header struct {
		KID string `json:"kid"`
	}
	_ = json.Unmarshal(part(token, 0), &header) // without one it stays empty
	return header.KID
}

// sidOf returns the id of the session that an access token belongs to.
func sidOf(token string) string {
	var claims struct {
		SID string `json:"sid"`
	}
	_ = json.Unmarshal(part(token, 1), &claims)
	return claims.SID
}
