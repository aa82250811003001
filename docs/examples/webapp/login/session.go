package login

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

// How long a session lasts, and how many there may be. A session here ends no later than this; the
// provider can end it sooner, by refusing a refresh.
const (
	sessionLifetime = 12 * time.Hour
	mostSessions    = 10_000
	sessionCookie   = "session"
)

// sessions are the sessions of this process, by the SHA-256 of their id: whoever reads the memory of
// the app cannot use them as a browser. Several processes need a database in this place.
type sessions struct {
	mu   sync.Mutex
	byID map[[sha256.Size]byte]*Session
}

// Session returns the session of the request's browser; nil: nobody is logged in.
func (a *App) Session(r *http.Request) *Session {
	c, err := r.Cookie(a.cookieName(sessionCookie))
	if err != nil {
		return nil
	}
	return a.sessions.get(sha256.Sum256([]byte(c.Value)), a.c.Now())
}

// Require answers requests of browsers without a session by a login, which leads back.
func (a *App) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.Session(r) == nil {
			http.Redirect(w, r, "/login?"+queryNext(r), http.StatusSeeOther)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// begun makes s the session of the browser. Its id is always a new one: an id from before the login
// may be known to somebody else.
func (a *App) begun(w http.ResponseWriter, r *http.Request, s *Session) {
	a.forget(w, r)
	id := rand.Text()
	s.begunAt = a.c.Now()
	a.sessions.add(sha256.Sum256([]byte(id)), s)
	http.SetCookie(w, a.cookie(sessionCookie, id, sessionLifetime))
}

// forget ends the session of the browser, if there is one.
func (a *App) forget(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(a.cookieName(sessionCookie)); err == nil {
		a.sessions.remove(sha256.Sum256([]byte(c.Value)))
		http.SetCookie(w, a.cookie(sessionCookie, "", -1))
	}
}

func (l *sessions) get(id [sha256.Size]byte, now time.Time) *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.byID[id]
	if s != nil && s.over(now) {
		delete(l.byID, id)
		return nil
	}
	return s
}

// add adds a session. Those that are over go first; if that makes no room, the oldest goes.
func (l *sessions) add(id [sha256.Size]byte, s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = make(map[[sha256.Size]byte]*Session)
	}
	if len(l.byID) >= mostSessions {
		oldest := id
		for other, o := range l.byID {
			if o.over(s.begunAt) {
				delete(l.byID, other)
			} else if oldest == id || o.begunAt.Before(l.byID[oldest].begunAt) {
				oldest = other
			}
		}
		if len(l.byID) >= mostSessions {
			delete(l.byID, oldest)
		}
	}
	l.byID[id] = s
}

func (l *sessions) remove(id [sha256.Size]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, id)
}
