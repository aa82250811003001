package pages

import (
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
		b, err := h.browserOf(w, r)
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

// needsSecond are the pages whose forms take a recent proof, and show what was typed: a person proves
// the second factor before.
var needsSecond = []web.AccountKind{web.AccountAddress, web.AccountPassword, web.AccountData, web.AccountDelete}

// leadElsewhere names the page that o sees in the place of k: the one on which a second factor that the
// policy wants is set up; or, if second is true, k itself after the page that takes a second factor.
// Empty: k.
func (h *Handlers) leadElsewhere(r *http.Request, o owner, k web.AccountKind) (to web.AccountKind, second bool) {
	switch {
	case h.Accounts.MustHaveSecondFactor(o.User) && !slices.Contains(web.FactorKinds, k):
		return web.AccountSecurity, false
	case r.Method != http.MethodPost && o.User.SecondFactor && slices.Contains(needsSecond, k) &&
		!r.URL.Query().Has("done") && !h.provedSecond(o):
		return k, true
	}
	return "", false
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
