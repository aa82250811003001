package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signet-id/signet/userstore"
)

// sessionDoc is a grant, or a browser that is logged in, as its user sees it.
type sessionDoc struct {
	ID         string    `json:"id"`                  // of a grant: the sid of its tokens
	Kind       string    `json:"kind"`                // grant or browser
	ClientID   string    `json:"client_id,omitempty"` // of a grant
	Current    bool      `json:"current"`
	UserAgent  string    `json:"user_agent,omitempty"`
	Address    string    `json:"address,omitempty"`
	Scope      string    `json:"scope,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"` // last refresh or visit, to the hour
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
	browsers, err := s.Store.ListBrowserSessions(r.Context(), session.View.User.ID, now, now.Add(-s.Issuer.SessionIdle))
	if err != nil {
		return err
	}
	for _, b := range browsers {
		out.Sessions = append(out.Sessions, s.browserSessionOf(b, session.View.Grant.BrowserSession))
	}
	slices.SortStableFunc(out.Sessions, func(a, b sessionDoc) int { return b.CreatedAt.Compare(a.CreatedAt) })
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
		ID: g.SessionID, Kind: "grant", ClientID: g.ClientID, Current: g.SessionID == current,
		UserAgent: g.UserAgent, Address: g.Address, Scope: strings.Join(g.Scopes, " "),
		CreatedAt: g.CreatedAt.UTC(), LastUsedAt: used.UTC(), ExpiresAt: expires.UTC(),
	}
}

func (s *Server) browserSessionOf(b userstore.BrowserSession, current string) sessionDoc {
	used := b.LastUsedAt.Truncate(seen)
	if used.Before(b.CreatedAt) {
		used = b.CreatedAt
	}
	expires := used.Add(s.Issuer.SessionIdle)
	if b.ExpiresAt.Before(expires) {
		expires = b.ExpiresAt
	}
	return sessionDoc{
		ID: b.ID, Kind: "browser", Current: b.ID == current, UserAgent: b.UserAgent, Address: b.Address,
		CreatedAt: b.CreatedAt.UTC(), LastUsedAt: used.UTC(), ExpiresAt: expires.UTC(),
	}
}

// deleteSession revokes one of the caller's own sessions. Somebody else's and one that
// never was are the same 404: the store looks for both user and id in one statement.
func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) error {
	session, err := s.writer(r)
	if err != nil {
		return err
	}
	userID, id := session.View.User.ID, r.PathValue("id")
	err = s.Store.RevokeSession(r.Context(), userID, id, s.Now())
	if errors.Is(err, userstore.ErrNotFound) {
		err = s.Store.RevokeBrowserSession(r.Context(), userID, id, s.Now())
	}
	if err != nil {
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
