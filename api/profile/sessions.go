package profile

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/api/wire"
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

// Sessions writes the list of a user's sessions.
type Sessions struct {
	Grants      userstore.Grants
	Browsers    userstore.BrowserSessions
	RefreshIdle time.Duration // of the issuer
	SessionIdle time.Duration // likewise
	Now         func() time.Time
}

// Write answers with a user's live sessions; current is the grant that asks.
func (s Sessions) Write(w http.ResponseWriter, r *http.Request, userID string, current userstore.Grant) error {
	now := s.Now()
	grants, err := s.Grants.ListGrants(r.Context(), userID, now, now.Add(-s.RefreshIdle))
	if err != nil {
		return err
	}
	out := struct {
		Sessions []sessionDoc `json:"sessions"`
	}{Sessions: make([]sessionDoc, 0, len(grants))}
	for _, g := range grants {
		out.Sessions = append(out.Sessions, s.sessionOf(g, current.SessionID))
	}
	browsers, err := s.Browsers.ListBrowserSessions(r.Context(), userID, now, now.Add(-s.SessionIdle))
	if err != nil {
		return err
	}
	for _, b := range browsers {
		out.Sessions = append(out.Sessions, s.browserSessionOf(b, current.BrowserSession))
	}
	slices.SortStableFunc(out.Sessions, func(a, b sessionDoc) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return wire.WriteJSON(w, http.StatusOK, out)
}

func (s Sessions) sessionOf(g userstore.Grant, current string) sessionDoc {
	used, expires := g.Seen(s.RefreshIdle)
	return sessionDoc{
		ID: g.SessionID, Kind: "grant", ClientID: g.ClientID, Current: g.SessionID == current,
		UserAgent: g.UserAgent, Address: g.Address, Scope: strings.Join(g.Scopes, " "),
		CreatedAt: g.CreatedAt.UTC(), LastUsedAt: used.UTC(), ExpiresAt: expires.UTC(),
	}
}

func (s Sessions) browserSessionOf(b userstore.BrowserSession, current string) sessionDoc {
	used, expires := b.Seen(s.SessionIdle)
	return sessionDoc{
		ID: b.ID, Kind: "browser", Current: b.ID == current, UserAgent: b.UserAgent, Address: b.Address,
		CreatedAt: b.CreatedAt.UTC(), LastUsedAt: used.UTC(), ExpiresAt: expires.UTC(),
	}
}
