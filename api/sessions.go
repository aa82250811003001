package api

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signet-id/signet/userstore"
)

// sessionDoc is one grant as its user sees it.
type sessionDoc struct {
	ID         string    `json:"id"` // the sid of its tokens
	ClientID   string    `json:"client_id"`
	Current    bool      `json:"current"`
	UserAgent  string    `json:"user_agent,omitempty"`
	Address    string    `json:"address,omitempty"`
	Scope      string    `json:"scope"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"` // last refresh, to the hour
	ExpiresAt  time.Time `json:"expires_at"`   // unless it is refreshed before
}

// seen is as exactly as a session's use is told. By the second it would tell a thief
// of one token pair when the owner has just refreshed, and so when a stolen refresh
// token falls into the reuse window.
const seen = time.Hour

// listSessions shows what is signed in where, newest first.
func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) error {
	session, err := s.bearer(r)
	if err != nil {
		return err
	}
	now := s.Now()
	grants, err := s.Store.ListGrants(r.Context(), session.View.User.ID, now, now.Add(-s.Issuer.RefreshIdle))
	if err != nil {
		return err
	}
	out := struct {
		Sessions []sessionDoc `json:"sessions"`
	}{Sessions: make([]sessionDoc, 0, len(grants))}
	for _, g := range grants {
		out.Sessions = append(out.Sessions, s.sessionOf(g, session.View.Grant.SessionID))
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) sessionOf(g userstore.Grant, current string) sessionDoc {
	used := g.RotatedAt.Truncate(seen)
	if used.Before(g.CreatedAt) {
		used = g.CreatedAt
	}
	expires := used.Add(s.Issuer.RefreshIdle)
	if g.ExpiresAt.Before(expires) {
		expires = g.ExpiresAt
	}
	return sessionDoc{
		ID: g.SessionID, ClientID: g.ClientID, Current: g.SessionID == current,
		UserAgent: g.UserAgent, Address: g.Address, Scope: strings.Join(g.Scopes, " "),
		CreatedAt: g.CreatedAt.UTC(), LastUsedAt: used.UTC(), ExpiresAt: expires.UTC(),
	}
}

// deleteSession revokes one of the caller's own sessions. Somebody else's and one that
// never was are the same 404: the store looks for both user and id in one statement.
func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) error {
	session, err := s.writer(r)
	if err != nil {
		return err
	}
	if err := s.Store.RevokeSession(r.Context(), session.View.User.ID, r.PathValue("id"), s.Now()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// userAgent is kept for the user's own list; a stranger wrote it, so it is bounded and
// must be text that every store can hold.
func userAgent(r *http.Request) string {
	const most = 256
	ua := strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == utf8.RuneError {
			return -1
		}
		return c
	}, r.UserAgent())
	if len(ua) > most {
		ua = strings.ToValidUTF8(ua[:most], "")
	}
	return ua
}
