package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// nextPage returns the page of the account that the parameter next names; ok is false if it names
// none. It takes only names from the list of pages, so that no redirect leads elsewhere.
func nextPage(r *http.Request) (k web.AccountKind, ok bool) {
	next := r.URL.Query().Get("next")
	n := slices.IndexFunc(web.AccountKinds, func(k web.AccountKind) bool { return k.Path() == next })
	if n < 0 {
		return "", false
	}
	return web.AccountKinds[n], true
}

// isAccountPage reports whether p is a page of the account.
func isAccountPage(p page) bool {
	return slices.ContainsFunc(web.AccountKinds, func(k web.AccountKind) bool { return page("/"+k.Path()) == p })
}

func (h *Handlers) accountPath(k web.AccountKind) string { return h.Issuer.Path() + "/" + k.Path() }

// toAccount leads a person who has just logged in, and not for an app, to the account.
func (h *Handlers) toAccount(w http.ResponseWriter, r *http.Request) error {
	k, ok := nextPage(r)
	if !ok {
		k = web.AccountHome
	}
	return wire.SeeOther(w, h.accountPath(k))
}

// owner is the person whose account a page is about: the user of this browser's session, and no other.
type owner struct {
	browser string // the browser cookie
	*issuer.Browser
}

// Account makes the handler of a page of the account. A person who is not logged in does so first, and is led
// back; what was sent is not done. The act is noted in the audit log as the user's, and a wrong password counts
// against the budget of this browser. Where a recent proof of a second factor is missing, the person is led to
// the page that takes one, and back.
func (h *Handlers) Account(k web.AccountKind, handle func(w http.ResponseWriter, r *http.Request, o owner) error) wire.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		b, err := h.browserOf(r)
		if err != nil {
			return err
		}
		if b == nil {
			return wire.SeeOther(w, h.pagePath(loginPage, "")+"?"+url.Values{"next": {k.Path()}}.Encode())
		}
		o := owner{h.cookie(r, browserCookie), b}
		switch to, second := h.leadElsewhere(r, o, k); {
		case second:
			return h.toSecond(w, to)
		case to != "":
			return wire.SeeOther(w, h.accountPath(to))
		}
		ctx := audit.As(r.Context(), audit.Actor{Type: audit.ByUser, ID: b.User.ID}, "", b.Session.ID)
		err = handle(w, r.WithContext(userstore.WithDevice(ctx, o.browser)), o)
		if errors.Is(err, errProveSecond) {
			return h.toSecond(w, k)
		}
		return err
	}
}

// form is a form of a page of the account, bound to browser and session.
func (o owner) form(k web.AccountKind) form {
	return form{browser: o.browser, name: string(k), subject: o.Session.ID}
}

// readAccount reads a form of the account and refuses one that was not shown to this user here.
func (h *Handlers) readAccount(w http.ResponseWriter, r *http.Request, o owner, k web.AccountKind, fields ...string) (url.Values, error) {
	f, err := wire.ReadFields(w, r, append([]string{"csrf"}, fields...)...)
	if err != nil {
		return nil, err
	}
	return f, h.checkForm(o.form(k), f.Get("csrf"))
}

// showAccount shows a page of the account; fill adds what this page has.
func (h *Handlers) showAccount(w http.ResponseWriter, r *http.Request, o owner, k web.AccountKind, status int, fill func(*web.AccountPage)) error {
	if o.browser == "" {
		o.browser = h.browserID(w, r)
	}
	p := web.AccountPage{
		Common: h.common(r, nil), Kind: k, User: o.User.Email, Verified: o.User.EmailVerified, Zone: zoneOf(o.User),
		MinLength: h.Accounts.MinPasswordLength(), ByMail: !h.Accounts.NoMail, SecondFactor: o.User.SecondFactor,
	}
	if r.Method != http.MethodPost {
		p.Done = web.Done(r.URL.Query().Get("done"))
	}
	sent := k
	if k == web.AccountPassword && p.Done == web.DoneNewKept {
		sent = web.AccountSessions // its form ends the other sessions
	}
	var err error
	if p.CSRF, err = h.formToken(o.form(sent)); err != nil {
		return err
	}
	if fill != nil {
		fill(&p)
	}
	page, err := h.Pages.Account(p)
	return h.show(w, status, page, err)
}

// zoneOf is the time zone of a user's profile, or UTC.
func zoneOf(u userstore.User) *time.Location {
	if u.Claims.Zoneinfo == "" || strings.EqualFold(u.Claims.Zoneinfo, "local") {
		return time.UTC
	}
	zone, err := time.LoadLocation(u.Claims.Zoneinfo)
	if err != nil {
		return time.UTC
	}
	return zone
}

// accountDone leads back to a page, which says what was done. Loading that page again does nothing.
func (h *Handlers) accountDone(w http.ResponseWriter, k web.AccountKind, done web.Done) error {
	return wire.SeeOther(w, h.accountPath(k)+"?"+url.Values{"done": {string(done)}}.Encode())
}

// besideAccount are the problems that only the forms of the account show.
var besideAccount = map[problem.Code]web.Problem{
	problem.WrongPassword:       {Field: "current_password", Code: string(problem.WrongPassword)},
	problem.RecentProofRequired: {Field: "current_password", Code: "required"},
	problem.LastAdmin:           {Code: string(problem.LastAdmin)},
	problem.Conflict:            {Code: string(problem.Conflict)},
}

// refuseAccount shows a form again with what is wrong in it; an error that no form can show is returned.
func (h *Handlers) refuseAccount(
	w http.ResponseWriter, r *http.Request, o owner, k web.AccountKind, err error, typed map[string]string,
) error {
	if o.User.SecondFactor && k != web.AccountPassword && problem.From(err).Code == problem.RecentProofRequired {
		return errProveSecond // the account changed meanwhile
	}
	status, list, err := formAgain(w, r, err, besideAccount)
	if err != nil {
		return err
	}
	return h.showAccount(w, r, o, k, status, func(page *web.AccountPage) { page.Values, page.Problems = typed, list })
}

// AccountPage shows a page that needs no more than the user.
func (h *Handlers) AccountPage(k web.AccountKind) wire.Handler {
	return h.Account(k, func(w http.ResponseWriter, r *http.Request, o owner) error {
		return h.showAccount(w, r, o, k, http.StatusOK, func(p *web.AccountPage) {
			p.Values = valuesOf(o.User)
			if k == web.AccountHome {
				p.Values["name"] = o.User.Claims.WithComposedName().Name
			}
		})
	})
}

// valuesOf are the fields of the forms as they are stored.
func valuesOf(u userstore.User) map[string]string {
	f := profile.FieldsOf(u)
	return map[string]string{
		"email": f.Email, "username": f.PreferredUsername,
		"name": f.Name, "given_name": f.GivenName, "family_name": f.FamilyName, "nickname": f.Nickname,
		"phone_number": f.PhoneNumber, "website": f.Website, "birthdate": f.Birthdate, "zoneinfo": f.Zoneinfo,
	}
}

func typedOf(f url.Values, names []string) map[string]string {
	typed := map[string]string{}
	for _, name := range names {
		typed[name] = f.Get(name)
	}
	return typed
}

// AccountProfileForm changes the name and the rest of the profile. What the form has no field for stays.
func (h *Handlers) AccountProfileForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountProfile, web.ProfileFields...)
	if err != nil {
		return err
	}
	_, err = h.Accounts.Edit(r.Context(), o.User.ID, func(u *userstore.User) error {
		next := profile.FieldsOf(*u)
		for name, field := range map[string]*string{
			"name": &next.Name, "given_name": &next.GivenName, "family_name": &next.FamilyName, "nickname": &next.Nickname,
			"phone_number": &next.PhoneNumber, "website": &next.Website, "birthdate": &next.Birthdate, "zoneinfo": &next.Zoneinfo,
		} {
			*field = strings.TrimSpace(f.Get(name))
		}
		return profile.Apply(next, u)
	})
	if err != nil {
		return h.refuseAccount(w, r, o, web.AccountProfile, err, typedOf(f, web.ProfileFields))
	}
	return h.accountDone(w, web.AccountProfile, web.DoneSaved)
}

// addressFields are the fields of the page of the address, without the password.
var addressFields = []string{"email", "username"}

// AccountPasswordForm changes the password and ends the other sessions, unless the person wants to keep
// them. The page that follows offers once more to end those that were kept.
func (h *Handlers) AccountPasswordForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountPassword, "current_password", "new_password", "others")
	if err != nil {
		return err
	}
	keep, done := o.Session.ID, web.DonePassword
	if f.Get("others") != "yes" {
		keep, done = userstore.KeepAll, web.DoneNewKept
	}
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	proof.Password = f.Get("current_password") // beside a second factor, too
	if err := h.Accounts.ChangePassword(r.Context(), o.User.ID, proof, f.Get("new_password"), keep); err != nil {
		return h.refuseAccount(w, r, o, web.AccountPassword, err, nil)
	}
	return h.accountDone(w, web.AccountPassword, done)
}

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

// appNames looks up how people know an app, each app once.
func (h *Handlers) appNames(ctx context.Context) func(clientID string) (string, error) {
	known := map[string]string{}
	return func(clientID string) (string, error) {
		if name, ok := known[clientID]; ok {
			return name, nil
		}
		client, err := h.Export.Consents.Clients.ClientByID(ctx, clientID)
		switch {
		case problem.From(err).Code == problem.NotFound:
			client.Name = ""
		case err != nil:
			return "", err
		}
		if known[clientID] = client.Name; client.Name == "" {
			known[clientID] = clientID
		}
		return known[clientID], nil
	}
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

// AccountAppsPage shows what the user allowed apps.
func (h *Handlers) AccountAppsPage(w http.ResponseWriter, r *http.Request, o owner) error {
	list, err := h.Export.Consents.List(r.Context(), o.User.ID)
	if err != nil {
		return err
	}
	shown := make([]web.AccountApp, 0, len(list))
	for _, c := range list {
		app := web.AccountApp{ClientID: c.ClientID, Name: c.ClientName, Scopes: strings.Fields(c.Scope), Claims: h.Issuer.ClaimScopes(), Since: c.UpdatedAt}
		for _, at := range c.Resources {
			app.Resources = append(app.Resources, at.Resource)
			for _, scope := range strings.Fields(at.Scope) {
				if !slices.Contains(app.Scopes, scope) {
					app.Scopes = append(app.Scopes, scope)
				}
			}
		}
		shown = append(shown, app)
	}
	return h.showAccount(w, r, o, web.AccountApps, http.StatusOK, func(p *web.AccountPage) { p.Apps = shown })
}

// AccountAppsForm takes back what the user allowed an app.
func (h *Handlers) AccountAppsForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountApps, "client")
	if err != nil {
		return err
	}
	if err := h.Accounts.RevokeConsent(r.Context(), o.User.ID, f.Get("client")); err != nil && problem.From(err).Code != problem.NotFound {
		return err
	}
	return h.accountDone(w, web.AccountApps, web.DoneRemoved)
}

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

// AccountDataForm answers everything that is kept in the user's name as a file. It takes a recent proof: a browser
// that was left open gives nothing away.
func (h *Handlers) AccountDataForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountData, "current_password")
	if err != nil {
		return err
	}
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	u, err := h.Accounts.Prove(r.Context(), o.User.ID, proof)
	if err != nil {
		return h.refuseAccount(w, r, o, web.AccountData, err, nil)
	}
	export, err := h.Export.Of(r.Context(), u, userstore.Grant{BrowserSession: o.Session.ID})
	if err != nil {
		return err
	}
	w.Header()["Content-Disposition"] = []string{profile.ExportDisposition}
	return wire.WriteJSON(w, http.StatusOK, export)
}

// AccountDeleteForm deletes the account, which takes a recent proof.
func (h *Handlers) AccountDeleteForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountDelete, "current_password")
	if err != nil {
		return err
	}
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	if err := h.Accounts.Delete(r.Context(), o.User.ID, proof); err != nil {
		return h.refuseAccount(w, r, o, web.AccountDelete, err, nil)
	}
	h.setCookie(w, r, sessionCookie, "", -1)
	page, err := h.Pages.Account(web.AccountPage{Common: h.common(r, nil), Kind: web.AccountDeleted})
	return h.show(w, http.StatusOK, page, err)
}
