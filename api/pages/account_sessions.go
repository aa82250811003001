package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/userstore"
)

// AccountSessionsPage shows where the user is signed in.
func (h *Handlers) AccountSessionsPage(w http.ResponseWriter, r *http.Request, o owner) error {
	list, err := h.Export.Sessions.List(r.Context(), o.User.ID, userstore.Grant{BrowserSession: o.Session.ID})
	if err != nil {
		return err
	}
	name := h.appNames(r.Context())
	shown := make([]web.AccountSession, 0, len(list))
	for _, s := range list {
		app := ""
		if s.ClientID != "" {
			if app, err = name(s.ClientID); err != nil {
				return err
			}
		}
		shown = append(shown, web.AccountSession{
			ID: s.ID, App: app, Current: s.Current, UserAgent: s.UserAgent, Address: s.Address, SignedIn: s.CreatedAt, LastUse: s.LastUsedAt,
		})
	}
	return h.showAccount(w, r, o, web.AccountSessions, http.StatusOK, func(p *web.AccountPage) { p.Sessions = shown })
}

// others is the word for all sessions but this one. No session has such an id.
const others = "others"

// AccountSessionsForm ends one session of the user, or all but this browser's.
func (h *Handlers) AccountSessionsForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountSessions, "session")
	if err != nil {
		return err
	}
	if f.Get("session") == others {
		if _, err := h.Accounts.RevokeSessions(r.Context(), o.User.ID, o.Session.ID); err != nil {
			return err
		}
		return h.accountDone(w, web.AccountSessions, web.DoneOthers)
	}
	// A session that ended meanwhile is what the person wants. Another user's is treated alike.
	if err := h.Accounts.RevokeSession(r.Context(), o.User.ID, f.Get("session")); err != nil && problem.From(err).Code != problem.NotFound {
		return err
	}
	return h.accountDone(w, web.AccountSessions, web.DoneEnded)
}
