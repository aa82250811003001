package login

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// attempt is a login that has begun. The browser keeps it in a cookie until it comes back, so a
// response that another browser asked for is not accepted here, and a stranger who begins a million
// logins takes no memory. Tabs do not disturb each other: each login has a cookie of its own.
type attempt struct {
	State    string `json:"s"` // comes back in the authorization response
	Nonce    string `json:"n"` // comes back in the ID token
	Verifier string `json:"v"` // proves to the provider that whoever redeems the code has begun the login (PKCE)
	Next     string `json:"t"` // the path to show afterwards
}

const attemptLifetime = 10 * time.Minute

func newAttempt(next string) attempt {
	return attempt{oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), localPath(next)}
}

// localPath returns next if it is a path of this app, and otherwise "/": a login must not end at a
// site that somebody else chose. Browsers read a backslash as a slash and drop control characters.
func localPath(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsFunc(next, func(r rune) bool {
		return r == '\\' || r <= ' ' || r == 0x7f
	}) {
		return "/"
	}
	return next
}

// remember sets the cookie of a login.
func (a *App) remember(w http.ResponseWriter, l attempt) {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err) // four strings can always be encoded
	}
	http.SetCookie(w, a.cookie(attemptCookie(l.State), base64.RawURLEncoding.EncodeToString(text), attemptLifetime))
}

// recall returns the login that state belongs to, once: its cookie is deleted.
func (a *App) recall(w http.ResponseWriter, r *http.Request, state string) (l attempt, ok bool) {
	c, err := r.Cookie(a.cookieName(attemptCookie(state)))
	if err != nil {
		return attempt{}, false
	}
	http.SetCookie(w, a.cookie(attemptCookie(state), "", -1))
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || json.Unmarshal(text, &l) != nil {
		return attempt{}, false
	}
	l.Next = localPath(l.Next)
	return l, l.State != "" && subtle.ConstantTimeCompare([]byte(l.State), []byte(state)) == 1
}

// attemptCookie returns the name of the cookie of the login with this state.
func attemptCookie(state string) string {
	const length = 8
	if len(state) < length || strings.ContainsFunc(state, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		return "login"
	}
	return "login_" + state[:length]
}

// cookie returns a cookie that no script can read, and that other sites do not send along, but for
// links to this one: the provider's redirect is such a link. A negative lifetime deletes it.
func (a *App) cookie(name, value string, lifetime time.Duration) *http.Cookie {
	maxAge := int(lifetime / time.Second)
	if lifetime < 0 {
		maxAge = -1
	}
	return &http.Cookie{
		Name: a.cookieName(name), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: a.overTLS(),
	}
}

// cookieName returns name with the prefix by which browsers take the cookie from this host alone,
// over TLS. It is not there at http://localhost.
func (a *App) cookieName(name string) string {
	if a.overTLS() {
		return "__Host-" + name
	}
	return name
}

func (a *App) overTLS() bool { return strings.HasPrefix(a.c.URL, "https:") }
