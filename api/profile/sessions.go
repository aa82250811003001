package profile

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// Session is a grant, or a browser that is logged in, as its user sees it.
type Session struct {
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

// Sessions makes the list of a user's sessions.
type Sessions struct {
	Grants      userstore.Grants
	Browsers    userstore.BrowserSessions
	RefreshIdle time.Duration // of the issuer
	SessionIdle time.Duration // likewise
	Now         func() time.Time
}

// Write answers with a user's live sessions; current is the grant that asks.
func (s Sessions) Write(w http.ResponseWriter, r *http.Request, userID string, current userstore.Grant) error {
	list, err := s.List(r.Context(), userID, current)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, struct {
		Sessions []Session `json:"sessions"`
	}{list})
}

// List is a user's live sessions, newest first. Current are the grant that asks and the browser session
// that it came of; a browser that asks is a grant that has no more than that.
func (s Sessions) List(ctx context.Context, userID string, current userstore.Grant) ([]Session, error) {
	now := s.Now()
	grants, err := s.Grants.ListGrants(ctx, userID, now, now.Add(-s.RefreshIdle))
	if err != nil {
		return nil, err
	}
	list := make([]Session, 0, len(grants))
	for _, g := range grants {
		list = append(list, s.sessionOf(g, current.SessionID))
	}
	browsers, err := s.Browsers.ListBrowserSessions(ctx, userID, now, now.Add(-s.SessionIdle))
	if err != nil {
		return nil, err
	}
	for _, b := range browsers {
		list = append(list, s.browserSessionOf(b, current.BrowserSession))
	}
	slices.SortStableFunc(list, func(a, b Session) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return list, nil
}

func (s Sessions) sessionOf(g userstore.Grant, current string) Session {
	used, expires := g.Seen(s.RefreshIdle)
	return Session{
		ID: g.SessionID, Kind: "grant", ClientID: g.ClientID, Current: g.SessionID == current,
		UserAgent: g.UserAgent, Address: g.Address, Scope: strings.Join(g.Scopes, " "),
		CreatedAt: g.CreatedAt.UTC(), LastUsedAt: used.UTC(), ExpiresAt: expires.UTC(),
	}
}

func (s Sessions) browserSessionOf(b userstore.BrowserSession, current string) Session {
	used, expires := b.Seen(s.SessionIdle)
	return Session{
		ID: b.ID, Kind: "browser", Current: b.ID == current, UserAgent: b.UserAgent, Address: b.Address,
		CreatedAt: b.CreatedAt.UTC(), LastUsedAt: used.UTC(), ExpiresAt: expires.UTC(),
	}
}
