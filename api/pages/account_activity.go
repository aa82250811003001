package pages

import (
	"net/http"
	"time"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const (
	// activityAge is how far back the page of security events goes.
	activityAge = 90 * 24 * time.Hour
	// mostActivity is how many events the page shows.
	mostActivity = 200
)

// AccountActivityPage shows what the audit log has about the account.
func (h *Handlers) AccountActivityPage(w http.ResponseWriter, r *http.Request, o owner) error {
	events, all, err := h.Export.Events(r.Context(), o.User.ID, h.Now().Add(-activityAge), mostActivity)
	if err != nil {
		return err
	}
	name := h.appNames(r.Context())
	shown := make([]web.AccountEvent, 0, len(events))
	for _, e := range events {
		event := web.AccountEvent{
			Name: string(e.Name), At: e.At, Address: e.Address, UserAgent: e.UserAgent,
			ByAdmin: e.Actor.Type == audit.ByOperator || e.Actor.Type == audit.ByUser && e.Actor.ID != o.User.ID,
		}
		client := e.ClientID
		if e.Target.Type == audit.OnClient {
			client = e.Target.ID
		}
		if client != "" && client != userstore.FirstPartyClientID {
			if event.App, err = name(client); err != nil {
				return err
			}
		}
		for _, c := range e.Changes {
			if e.Name == audit.EmailVerified { // its name says all
				break
			}
			event.Fields = append(event.Fields, c.Field)
		}
		shown = append(shown, event)
	}
	return h.showAccount(w, r, o, web.AccountActivity, http.StatusOK, func(p *web.AccountPage) { p.Events, p.More = shown, !all })
}
