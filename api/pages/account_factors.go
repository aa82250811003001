package pages

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

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

// AccountAuthenticatorForm sets up an authenticator app, in the place of the one before, or removes
// it. The app counts once a code of it confirmed the setup.
func (h *Handlers) AccountAuthenticatorForm(w http.ResponseWriter, r *http.Request, o owner) error {
	const k = web.AccountAuthenticator
	f, err := h.readAccount(w, r, o, k, "step", "proof", "current_password", "mail_code", "code")
	if err != nil {
		return err
	}
	step := f.Get("step")
	if step == "remove" {
		return h.removeFactor(w, r, o, k, f, userstore.RemovedFactors{App: true}, web.DoneAppRemoved)
	}
	got, err := h.proveFactors(w, r, o, f)
	switch {
	case err != nil:
		return h.refuseProof(w, r, o, k, got, err)
	case got.stage == web.StageMail:
		return h.showFactors(w, r, o, k, http.StatusOK, atStage(got))
	}
	if step != "confirm" {
		begun, err := h.Accounts.BeginApp(r.Context(), got.user)
		if err != nil {
			return h.refuseFactors(w, r, o, k, err, nil)
		}
		return h.showFactors(w, r, o, k, http.StatusOK, appStage(got, begun))
	}
	codes, err := h.Accounts.ConfirmApp(r.Context(), got.user, strings.TrimSpace(f.Get("code")), userstore.KeepAll)
	if errors.Is(err, userstore.ErrFactorRefused) {
		begun, waiting := h.Accounts.WaitingApp(r.Context(), got.user)
		if waiting == nil {
			return h.refuseFactors(w, r, o, k, err, appStage(got, begun))
		}
		err = waiting
	}
	if err != nil {
		return h.refuseFactors(w, r, o, k, err, nil)
	}
	return h.factorAdded(w, r, o, k, codes, web.DoneApp)
}

// appStage is the stage of a setup that shows the secret and asks for the first code.
func appStage(got provedForFactors, begun userstore.BegunApp) func(*web.AccountPage) {
	return func(p *web.AccountPage) {
		atStage(got)(p)
		p.Factors.Secret, p.Factors.URI = begun.Secret, begun.URI
	}
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

// showCodes shows new recovery codes.
func (h *Handlers) showCodes(w http.ResponseWriter, r *http.Request, o owner, codes []string, done web.Done) error {
	download, err := h.sealCodes(o, codes)
	if err != nil {
		return err
	}
	return h.showFactors(w, r, o, web.AccountCodes, http.StatusOK, func(p *web.AccountPage) {
		p.Done, p.Factors.NewCodes, p.Factors.Download = done, codes, download
	})
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

// sealedCreation is what the handle of a passkey's challenge holds.
type sealedCreation struct {
	ID      string `json:"id"` // spent with the passkey
	User    string `json:"user"`
	Session string `json:"session"`
	Factors int64  `json:"factors"`
	Handle  string `json:"handle"` // the user handle that the options name
	Ends    int64  `json:"ends"`
}

func (h *Handlers) creationChallenge(id string) ([]byte, error) {
	return h.Issuer.FormMAC("passkey creation", id)
}

// AccountPasskeyOptions answers the script of the page, which makes a passkey.
func (h *Handlers) AccountPasskeyOptions(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountPasskeys, "step", "proof", "name")
	if err != nil {
		return err
	}
	got, err := h.proveFactors(w, r, o, f)
	switch {
	case err != nil:
		return err
	case got.stage != web.StageReady:
		return errProofOver
	}
	handle, options, err := h.newCreation(r, got.user, o.Session.ID)
	if err != nil {
		return err
	}
	return h.writeOptions(w, handle, options)
}

// newCreation makes the options of a new passkey of u, and the handle that goes with the answer; session
// is what the handle is bound to.
func (h *Handlers) newCreation(
	r *http.Request, u userstore.User, session string,
) (handle string, options json.RawMessage, err error) {
	sealed := sealedCreation{
		ID: h.Issuer.NewID(), User: u.ID, Session: session, Factors: u.FactorVersion,
		Ends: h.Now().Add(stepLasts).Unix(),
	}
	challenge, err := h.creationChallenge(sealed.ID)
	if err != nil {
		return "", nil, err
	}
	options, sealed.Handle, err = h.Accounts.PasskeyCreation(r.Context(), u, challenge, stepLasts)
	if err != nil {
		return "", nil, err
	}
	text, err := json.Marshal(sealed)
	if err != nil {
		return "", nil, err
	}
	handle, err = h.Issuer.Seal("passkey creation", text)
	return handle, options, err
}

// created reads what the script made, as userstore takes it. ErrFactorRefused: the handle is of another
// session, or too old.
func (h *Handlers) created(u userstore.User, session string, f url.Values) (n userstore.NewPasskey, err error) {
	if len(f.Get("passkey")) > maxHandle {
		return n, userstore.ErrFactorRefused
	}
	text, ok, err := h.Issuer.Unseal("passkey creation", f.Get("passkey"))
	if err != nil {
		return n, err
	}
	var sealed sealedCreation
	if !ok || json.Unmarshal(text, &sealed) != nil || sealed.User != u.ID || sealed.Session != session ||
		sealed.Factors != u.FactorVersion || h.Now().Unix() >= sealed.Ends {
		return n, userstore.ErrFactorRefused
	}
	n = userstore.NewPasskey{
		UserHandle: sealed.Handle, Response: json.RawMessage(f.Get("response")), Name: f.Get("name"),
		Handle: userstore.HandleUntil(sealed.ID, sealed.Ends), Keep: userstore.KeepAll,
	}
	n.Challenge, err = h.creationChallenge(sealed.ID)
	return n, err
}

// AccountPasskeysForm adds a passkey, gives one another name, or removes one.
func (h *Handlers) AccountPasskeysForm(w http.ResponseWriter, r *http.Request, o owner) error {
	const k = web.AccountPasskeys
	f, err := h.readAccount(w, r, o, k,
		"step", "proof", "current_password", "mail_code", "name", "passkey", "response", "id")
	if err != nil {
		return err
	}
	switch f.Get("step") {
	case "remove":
		if f.Get("id") == "" {
			return problem.New(problem.InvalidRequest, "The form names no passkey.")
		}
		return h.removeFactor(w, r, o, k, f, userstore.RemovedFactors{Passkey: f.Get("id")}, web.DoneUnkeyed)
	case "rename":
		return h.renamePasskey(w, r, o, f)
	}
	got, err := h.proveFactors(w, r, o, f)
	switch {
	case err != nil:
		return h.refuseProof(w, r, o, k, got, err)
	case f.Get("step") != "create" || got.stage == web.StageMail:
		return h.showFactors(w, r, o, k, http.StatusOK, atStage(got))
	}
	made, err := h.created(got.user, o.Session.ID, f)
	var codes []string
	if err == nil {
		_, codes, err = h.Accounts.AddPasskey(r.Context(), got.user, made)
	}
	if err == nil {
		return h.factorAdded(w, r, o, k, codes, web.DonePasskey)
	}
	return h.refuseFactors(w, r, o, k, err, func(p *web.AccountPage) {
		atStage(got)(p)
		p.Values = typedOf(f, []string{"name"})
		for n := range p.Problems {
			if p.Problems[n].Field == "code" { // there is no code here
				p.Problems[n] = web.Problem{Code: "passkey_refused"}
			}
		}
	})
}

// renamePasskey takes a proof, too: under another name the owner would remove the wrong passkey.
func (h *Handlers) renamePasskey(w http.ResponseWriter, r *http.Request, o owner, f url.Values) error {
	const k = web.AccountPasskeys
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	if _, err = h.Accounts.Prove(r.Context(), o.User.ID, proof); err == nil {
		err = h.Accounts.RenamePasskey(r.Context(), o.User.ID, f.Get("id"), f.Get("name"))
	}
	if err == nil {
		return h.accountDone(w, k, web.DoneRenamed)
	}
	return h.refuseFactors(w, r, o, k, err, func(p *web.AccountPage) {
		for n, wrong := range p.Problems {
			if wrong.Field == "name" { // the page has several
				p.Problems[n] = web.Problem{Code: "passkey_name." + wrong.Code}
			}
		}
	})
}

// AccountCodesForm makes new recovery codes, or answers the ones that the page shows as a file.
func (h *Handlers) AccountCodesForm(w http.ResponseWriter, r *http.Request, o owner) error {
	const k = web.AccountCodes
	f, err := h.readAccount(w, r, o, k, "step", "codes")
	if err != nil {
		return err
	}
	if f.Get("step") == "download" {
		return h.downloadCodes(w, o, f.Get("codes"))
	}
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	var codes []string
	u, err := h.Accounts.Prove(r.Context(), o.User.ID, proof)
	if err == nil {
		codes, err = h.Accounts.NewRecoveryCodes(r.Context(), u, userstore.KeepAll)
	}
	if err != nil {
		return h.refuseFactors(w, r, o, k, err, nil)
	}
	return h.showCodes(w, r, o, codes, web.DoneCodes)
}

// sealedCodes are recovery codes on their way back from the page that shows them.
type sealedCodes struct {
	Codes []string `json:"codes"`
	Ends  int64    `json:"ends"`
}

// codesLast is how long the page that shows recovery codes offers them as a file.
const codesLast = time.Hour

// sealCodes encrypts recovery codes for the page that shows them, in this session.
func (h *Handlers) sealCodes(o owner, codes []string) (string, error) {
	return h.encrypt("recovery codes", o.browser+" "+o.Session.ID, sealedCodes{codes, h.Now().Add(codesLast).Unix()})
}

// downloadCodes answers recovery codes as a text file: the ones that are on the page from which the
// form was sent. It works without scripts, and no address carries a code.
func (h *Handlers) downloadCodes(w http.ResponseWriter, o owner, sealed string) error {
	var kept sealedCodes
	ok, err := h.decrypt("recovery codes", o.browser+" "+o.Session.ID, sealed, &kept)
	if err != nil {
		return err
	}
	if !ok || h.Now().Unix() >= kept.Ends {
		return problem.New(problem.RequestExpired, "")
	}
	w.Header()["Content-Disposition"] = []string{`attachment; filename="recovery-codes.txt"`}
	lines := append([]string{h.Pages.Service(), h.Issuer.URL, o.User.Email, ""}, kept.Codes...)
	body := strings.Join(lines, "\r\n") + "\r\n"
	wire.WriteBody(w, http.StatusOK, []string{"text/plain; charset=utf-8"}, []byte(body))
	return nil
}

// AccountTrustedForm ends the trust in one browser, or in all.
func (h *Handlers) AccountTrustedForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountTrusted, "browser")
	if err != nil {
		return err
	}
	id := f.Get("browser")
	switch id {
	case "":
		return problem.New(problem.InvalidRequest, "The form names no browser.")
	case "all":
		id = ""
	}
	// A trust that ended meanwhile is what the person wants. Another user's is treated alike.
	if err := h.Accounts.EndTrust(r.Context(), o.User.ID, id); err != nil && !errors.Is(err, userstore.ErrNotFound) {
		return err
	}
	return h.accountDone(w, web.AccountTrusted, web.DoneUntrusted)
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
