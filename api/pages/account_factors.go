package pages

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// factorsShown is what the pages about second factors show of the account.
func (h *Handlers) factorsShown(r *http.Request, o owner) (*web.AccountFactors, error) {
	have, err := h.Accounts.Store.SecondFactors(r.Context(), o.User.ID)
	if err != nil {
		return nil, err
	}
	f := &web.AccountFactors{
		NoPasskeys: h.Accounts.Passkeys == nil, NoTrust: h.Issuer.TrustedBrowser <= 0,
		Needed: h.Accounts.MustHaveSecondFactor(o.User), On: o.User.SecondFactor, Codes: have.RecoveryCodes,
	}
	switch {
	case h.Accounts.SecondFactor == userstore.SecondFactorOff:
		f.Refused = string(problem.FactorsOff)
	case !h.Accounts.NoMail && !o.User.EmailVerified:
		f.Refused = string(problem.EmailNotVerified)
	}
	if app := have.App; app != nil {
		f.App = &web.AccountApplication{Since: app.CreatedAt, LastUse: app.LastUsedAt}
	}
	for _, p := range have.Passkeys {
		f.Passkeys = append(f.Passkeys, web.AccountPasskey{
			ID: p.ID, Name: p.Name, Synced: p.BackedUp, Since: p.CreatedAt, LastUse: p.LastUsedAt,
		})
	}
	trusted, err := h.Accounts.TrustedBrowsers(r.Context(), o.User.ID)
	if err != nil {
		return nil, err
	}
	own := userstore.TrustHash(h.cookie(r, trustedCookie))
	for _, b := range trusted {
		f.Trusted = append(f.Trusted, web.AccountBrowser{
			ID: b.ID, Current: b.Hash == own, UserAgent: b.UserAgent, Address: b.Address,
			Since: b.CreatedAt, LastUse: b.LastUsedAt, Ends: b.EndsAt,
		})
	}
	return f, nil
}

// showFactors shows a page about second factors; fill adds the stage of a setup.
func (h *Handlers) showFactors(
	w http.ResponseWriter, r *http.Request, o owner, k web.AccountKind, status int,
	fill func(*web.AccountPage),
) error {
	shown, err := h.factorsShown(r, o)
	if err != nil {
		return err
	}
	others, err := h.formToken(o.form(web.AccountSessions))
	if err != nil {
		return err
	}
	return h.showAccount(w, r, o, k, status, func(p *web.AccountPage) {
		p.Factors, p.OthersCSRF = shown, others
		if k == web.AccountPasskeys && o.User.SecondFactor && h.provedSecond(o) && shown.Refused == "" {
			shown.Stage = web.StageReady
		}
		if fill != nil {
			fill(p)
		}
	})
}

// AccountFactorsPage shows a page about second factors.
func (h *Handlers) AccountFactorsPage(k web.AccountKind) wire.Handler {
	return h.Account(k, func(w http.ResponseWriter, r *http.Request, o owner) error {
		return h.showFactors(w, r, o, k, http.StatusOK, nil)
	})
}

// besideFactors are the problems that the forms about second factors show.
var besideFactors = map[problem.Code]web.Problem{
	problem.WrongPassword:       {Field: "current_password", Code: string(problem.WrongPassword)},
	problem.RecentProofRequired: {Field: "current_password", Code: "required"},
	problem.OneTimeInvalid:      {Field: "mail_code", Code: string(problem.OneTimeInvalid)},
	problem.InvalidCode:         {Field: "code", Code: string(problem.InvalidCode)},
	problem.Conflict:            {Code: string(problem.Conflict)},
	problem.LastFactor:          {Code: string(problem.LastFactor)},
	problem.FactorsOff:          {Code: string(problem.FactorsOff)},
	problem.EmailNotVerified:    {Code: "factors_email_not_verified"},
	problem.PasskeyExists:       {Code: string(problem.PasskeyExists)},
	problem.TooManyPasskeys:     {Code: string(problem.TooManyPasskeys)},
	problem.NoPasskeys:          {Code: string(problem.NoPasskeys)},
	problem.NotFound:            {Code: "factor_not_found"},
}

// refuseFactors shows a page about second factors again, at the stage that fill sets, with what is
// wrong.
func (h *Handlers) refuseFactors(
	w http.ResponseWriter, r *http.Request, o owner, k web.AccountKind, err error, fill func(*web.AccountPage),
) error {
	if errors.Is(err, errProveSecond) {
		return err
	}
	beside := besideFactors
	noProof := problem.From(err).Code == problem.RecentProofRequired
	switch {
	case errors.Is(err, errProofOver) || noProof && (fill != nil || o.User.SecondFactor): // there was one
		beside = map[problem.Code]web.Problem{problem.RecentProofRequired: {Code: "proof_over"}}
		fill = nil
	case errors.Is(err, errSetUp):
		beside = map[problem.Code]web.Problem{problem.Conflict: {Code: "set_up_meanwhile"}}
	}
	status, list, err := formAgain(w, r, err, beside)
	if err != nil {
		return err
	}
	return h.showFactors(w, r, o, k, status, func(p *web.AccountPage) {
		p.Problems = list
		if fill != nil {
			fill(p)
		}
	})
}

// atStage sets the stage of a setup on a page.
func atStage(got provedForFactors) func(*web.AccountPage) {
	return func(p *web.AccountPage) { p.Factors.Stage, p.Factors.Proof = got.stage, got.proof }
}

// refuseProof shows the page again after proveFactors failed.
func (h *Handlers) refuseProof(
	w http.ResponseWriter, r *http.Request, o owner, k web.AccountKind, got provedForFactors, err error,
) error {
	if got.stage == web.StageMail && got.proof != "" {
		return h.refuseFactors(w, r, o, k, err, atStage(got))
	}
	return h.refuseFactors(w, r, o, k, err, nil)
}

// factorAdded says that a second factor is set up. With the first one come recovery codes, which this
// answer alone shows.
func (h *Handlers) factorAdded(
	w http.ResponseWriter, r *http.Request, o owner, k web.AccountKind, codes []string, done web.Done,
) error {
	if len(codes) == 0 {
		return h.accountDone(w, k, done)
	}
	o.User.SecondFactor = true
	return h.showCodes(w, r, o, codes, done)
}

// removeFactor removes a second factor.
func (h *Handlers) removeFactor(
	w http.ResponseWriter, r *http.Request, o owner, k web.AccountKind, f url.Values,
	which userstore.RemovedFactors, done web.Done,
) error {
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	u, err := h.Accounts.Prove(r.Context(), o.User.ID, proof)
	if err == nil {
		err = h.Accounts.RemoveFactors(r.Context(), u, which, false, userstore.KeepAll)
	}
	// A factor that was removed meanwhile is what the person wants. Another user's is treated alike.
	if err != nil && !errors.Is(err, userstore.ErrNotFound) {
		return h.refuseFactors(w, r, o, k, err, nil)
	}
	return h.accountDone(w, k, done)
}
