package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/docs/examples/webapp/login"
	"github.com/signet-id/signet/keys"
)

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{"clock": clock, "long": long, "short": short}).
	ParseFS(files, "page.html"))

// view is what the page shows.
type view struct {
	Issuer, App, API, Folder string
	Settings                 Settings
	Problem                  string

	LoggedIn    bool
	Name, Email string
	Session     string // its id
	Access, ID  *token // nil: nobody is logged in
	Steps       map[string]result
	Calls       calls
	Keys        []key
	KeysProblem string
	Events      []event // newest first
	LastEvent   int
	SigningKey  string // of the access token
}

// token is a token that the page takes apart.
type token struct {
	Header, Payload string
	Raw             string // without its signature
}

// result is what a step came to; empty: it was not taken.
type result struct {
	Done, Bad bool
	Text      string
	Said      string // by the command that the button stands for
}

// calls are the counters, and a drawing of the last calls.
type calls struct {
	On                        bool
	Accepted, Refused, Broken int
	Bars                      []bar
	Summary                   string // of the drawing, for who does not see it
}

// bar is one call of the drawing, in its units.
type bar struct {
	X, Y, Height int
	Class        string
}

// key is a line of the timeline.
type key struct {
	KID, Algorithm string
	Stage          int // 0 published, 1 signing, 2 verifying only, 3 gone
	Revoked, Mine  bool
	Next           string
}

func (t *tour) page(w http.ResponseWriter, r *http.Request) {
	t.show(w, r, http.StatusOK, "")
}

// show shows the page, with a sentence about what went wrong, if anything did.
func (t *tour) show(w http.ResponseWriter, r *http.Request, status int, problem string) {
	t.stream.looked()
	s := t.app.Session(r)
	if s != nil {
		t.follow(s)
	}
	v := t.view(r, s)
	v.Problem = problem
	var text bytes.Buffer
	if err := page.Execute(&text, v); err != nil {
		t.c.Log.Error("the page cannot be drawn", "error", err)
		http.Error(w, "The page cannot be drawn.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // the browser may be gone
}

func (t *tour) view(r *http.Request, s *login.Session) view {
	v := view{Issuer: t.c.Issuer, App: PageURL(t.c.Page), API: APIURL(t.c.API), Folder: t.c.Folder, Settings: t.c.Settings}
	if s != nil {
		t.describe(r, s, &v)
	}
	v.Calls = t.stream.draw()
	v.Steps = t.results()
	report, err := t.c.Operator.Timeline(r.Context())
	if err != nil {
		t.c.Log.Warn("the keys cannot be read", "error", err)
		v.KeysProblem = "The keys cannot be read at the moment."
	}
	v.Keys = timeline(report, v.SigningKey)
	t.mu.Lock()
	v.Events, v.LastEvent = slices.Clone(t.events), t.said
	t.mu.Unlock()
	slices.Reverse(v.Events)
	return v
}

// describe fills in who is logged in, and the tokens of the session.
func (t *tour) describe(r *http.Request, s *login.Session, v *view) {
	access, err := s.AccessToken(r.Context())
	if err != nil {
		return
	}
	v.LoggedIn = true
	var claims struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	if s.Claims(&claims) == nil {
		v.Name, v.Email = claims.Name, claims.Email
	}
	if v.Email == "" {
		v.Email = s.Subject()
	}
	v.Access, v.ID, v.Session, v.SigningKey = apart(access), apart(s.IDToken()), sidOf(access), kidOf(access)
}

// apart takes a token apart. Nobody else can use what the page shows, because the signature is cut.
func apart(raw string) *token {
	signed := raw[:max(strings.LastIndexByte(raw, '.'), 0)]
	return &token{Header: pretty(part(raw, 0)), Payload: pretty(part(raw, 1)), Raw: signed}
}

func pretty(text []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return string(text)
	}
	return out.String()
}

// results says what each step came to.
func (t *tour) results() map[string]result {
	all := map[string]result{}
	for step, say := range map[string]func(*act) result{
		"login": func(*act) result { return result{Done: true} },
		"calls": func(*act) result { return result{Done: true} },
		"rotate": func(a *act) result {
			n := t.since(a)
			return result{Done: true, Bad: n.refused+n.broken > 0, Said: a.text, Text: fmt.Sprintf(
				"Since the rotation the API has accepted %s. %s refused.", plural(n.accepted, "call"), were(n.refused+n.broken))}
		},
		"revoke-session": t.sessionRevoked,
		"revoke-key": func(a *act) result {
			n := t.since(a)
			return result{Done: true, Said: a.text, Text: fmt.Sprintf(
				"Key %s is gone. Since then the API has refused %s with its tokens, and accepted %s with those of the next key.",
				short(a.kid), plural(n.refused, "call"), plural(n.accepted, "call"))}
		},
		"refresh": func(a *act) result {
			return result{Done: true, Text: "There are new tokens, signed by key " + short(a.kid) + ". Nobody was asked for a password."}
		},
		"logout": func(*act) result { return result{Done: true, Text: "The session has ended, here and at the issuer."} },
	} {
		if a := t.act(step); a != nil {
			all[step] = say(a)
		}
	}
	return all
}

// sessionRevoked says when the API noticed that the session was revoked.
func (t *tour) sessionRevoked(a *act) result {
	n := t.since(a)
	switch {
	case n.refused > 0 && n.refusedAt.After(a.before.at):
		return result{Done: true, Text: fmt.Sprintf("The API refused the access token %.1f s after the session was revoked, although it had not expired.",
			n.refusedAt.Sub(a.before.at).Seconds())}
	case a.after != nil:
		return result{Done: true, Text: "The session was revoked."}
	}
	return result{Done: true, Text: fmt.Sprintf("The session is revoked. The API has accepted %s since then.", plural(n.accepted, "call"))}
}

// were begins a sentence about refusals.
func were(n int) string {
	switch n {
	case 0:
		return "None was"
	case 1:
		return "1 was"
	}
	return fmt.Sprintf("%d were", n)
}

// The drawing of the calls: its height, and how wide a call is with the space beside it.
const (
	drawnHeight = 40
	drawnWidth  = 5
)

func (c *stream) draw() calls {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := calls{On: c.on, Accepted: c.accepted, Refused: c.refused, Broken: c.broken}
	ok, kid, odd := 0, "", false
	for i, one := range c.calls {
		if i > 0 && one.KID != kid {
			odd = !odd
		}
		kid = one.KID
		b := bar{X: (remembered - len(c.calls) + i) * drawnWidth, Y: 12, Height: drawnHeight - 12, Class: "ok"}
		if odd {
			b.Class = "ok other"
		}
		if one.OK {
			ok++
		} else {
			b.Y, b.Height, b.Class = 0, drawnHeight, "no"
		}
		out.Bars = append(out.Bars, b)
	}
	out.Summary = fmt.Sprintf("The last %s: %d accepted, %d not", plural(len(c.calls), "call"), ok, len(c.calls)-ok)
	return out
}

// mostKeys is how many keys of an algorithm the page shows; older ones have nothing more to tell.
const mostKeys = 4

// timeline returns the keys as the page draws them, newest first. mine is the key of the access token.
func timeline(r keys.Report, mine string) (lines []key) {
	shown := map[string]int{}
	for _, k := range slices.Backward(r.Keys) {
		if shown[k.Algorithm]++; shown[k.Algorithm] > mostKeys {
			continue
		}
		line := key{KID: k.KeyID, Algorithm: k.Algorithm, Revoked: !k.RevokedAt.IsZero(), Mine: k.KeyID == mine}
		switch k.State {
		case keys.Active:
			line.Stage = 1
		case keys.Retiring:
			line.Stage = 2
		case keys.Removed:
			line.Stage = 3
		}
		for _, e := range r.Events {
			if e.KeyID == k.KeyID && !line.Revoked {
				line.Next = until(e, r.Now)
				break
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// until says what happens to a key next, and when.
func until(e keys.Event, now time.Time) string {
	what := map[keys.EventKind]string{
		keys.EventActivate: "signs", keys.EventRetire: "stops signing", keys.EventWipe: "its private half is wiped",
		keys.EventRemove: "leaves the key set", keys.EventForget: "is forgotten",
	}[e.What]
	return what + " in " + long(e.At.Sub(now))
}

// clock returns a time of the day.
func clock(t time.Time) string { return t.Format("15:04:05") }

// long returns a duration in words.
func long(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return plural(int(d.Round(time.Second)/time.Second), "second")
	case d < 90*time.Minute:
		return plural(int(d.Round(time.Minute)/time.Minute), "minute")
	case d < 48*time.Hour:
		return plural(int(d.Round(time.Hour)/time.Hour), "hour")
	}
	return plural(int(d.Round(24*time.Hour)/(24*time.Hour)), "day")
}
