package pages

import (
	"crypto/hmac"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// errProveSecond is returned where a form of the account needs a second factor that was proved in
// this session, at most ProofLasts ago. Account leads to the page that takes one.
var errProveSecond = errors.New("a second factor has to be proved first")

// proof is the proof of a form of the account. Without a second factor it is the password that was
// typed into the form. An account with one has proved that in this session, within ProofLasts: the
// password alone is no proof, and neither is a trusted browser.
func (h *Handlers) proof(o owner, f url.Values) (userstore.Proof, error) {
	switch {
	case !o.User.SecondFactor:
		return userstore.Proof{Password: f.Get("current_password")}, nil
	case !h.provedSecond(o):
		return userstore.Proof{}, errProveSecond
	}
	return userstore.Proof{Earlier: func(u userstore.User) bool {
		return u.ID == o.User.ID && h.secondProves(o, u.FactorVersion, u.PasswordMark())
	}}, nil
}

// secondFactors are what counts as a second factor, or stands in for one.
var secondFactors = []string{
	userstore.FactorApp, userstore.FactorRecoveryCode, userstore.FactorPasskey, userstore.FactorSyncedPasskey,
}

// provedSecond reports whether a second factor was proved in the session within ProofLasts, and the
// account's password and factors are the same since, apart from changes by this session.
func (h *Handlers) provedSecond(o owner) bool {
	return h.secondProves(o, o.User.FactorVersion, o.Session.PasswordMark)
}

// secondProves is provedSecond for an account with this password and these factors.
func (h *Handlers) secondProves(o owner, factorVersion int64, passwordMark []byte) bool {
	return len(h.holding(o, factorVersion, passwordMark)) > 0
}

// holding returns the proofs of a second factor in the session that hold for an account with this
// password and these factors.
func (h *Handlers) holding(o owner, factorVersion int64, passwordMark []byte) (out []userstore.ProvedFactor) {
	for _, p := range o.Session.Proofs() {
		if slices.Contains(secondFactors, p.Factor) && h.Now().Sub(p.At) < userstore.ProofLasts &&
			p.ProvesOwner(factorVersion, passwordMark) {
			out = append(out, p)
		}
	}
	return out
}

// secondEnds is when the last of the proofs of provedSecond ends; zero: none holds.
func (h *Handlers) secondEnds(o owner) (ends issuer.Until) {
	for _, p := range h.holding(o, o.User.FactorVersion, o.Session.PasswordMark) {
		ends.Ends = max(ends.Ends, p.At.Add(userstore.ProofLasts).Unix())
	}
	return ends
}

// toSecond leads to the page that takes a second factor, and then back to k.
func (h *Handlers) toSecond(w http.ResponseWriter, k web.AccountKind) error {
	return wire.SeeOther(w, h.pagePath(secondPage, "")+"?"+url.Values{"next": {k.Path()}}.Encode())
}

// sealedFactorProof shows that a person who sets up the first second factor proved the password and,
// where there is mail, the mailbox. It goes from form to form, keeps its end, and tells its holder
// nothing new.
type sealedFactorProof struct {
	User     string `json:"user"`
	Session  string `json:"session"`
	Password []byte `json:"password"` // User.PasswordMark
	Factors  int64  `json:"factors"`  // User.FactorVersion
	Address  string `json:"address"`  // User.EmailKey
	Code     string `json:"code"`     // handle of the code that the mailbox got and that has to be typed; empty: none
	Mailbox  bool   `json:"mailbox"`  // was proved

	// Until is ProofLasts after the password was typed.
	issuer.Until
}

var factorProofHandle = issuer.Sealed[sealedFactorProof]{Purpose: "factor proof", Longest: maxHandle}

// errProofOver: what a form carried does not prove anything any more. The person begins again.
var errProofOver = problem.New(problem.RecentProofRequired, "The proof is too old, or the account changed meanwhile.")

// errSetUp: a form of the setup of the first second factor came when there was one: it was sent twice,
// or there are two tabs.
var errSetUp = problem.New(problem.Conflict, "A second factor was set up meanwhile.")

func (h *Handlers) openFactorProof(o owner, text string) (sealedFactorProof, error) {
	p, ok, err := factorProofHandle.Open(h.Issuer, text)
	switch {
	case err != nil:
		return p, err
	case !ok || p.User != o.User.ID || p.Session != o.Session.ID:
		return sealedFactorProof{}, errProofOver
	}
	return p, nil
}

// earlier is p as userstore takes it.
func (p sealedFactorProof) earlier() userstore.Proof {
	return userstore.Proof{Earlier: func(u userstore.User) bool {
		return u.ID == p.User && u.FactorVersion == p.Factors && !u.SecondFactor && u.EmailKey == p.Address &&
			hmac.Equal(u.PasswordMark(), p.Password)
	}}
}

// factorsMemory stands in askedCookie for the code that is asked for before the first second factor.
const factorsMemory page = "/factors"

// provedForFactors is what a form that changes second factors proved.
type provedForFactors struct {
	user  userstore.User // as of the proof
	stage web.FactorStage
	proof string       // for the next form; empty: it needs none
	ends  issuer.Until // of the proof
}

// proveFactors checks the proof of a form that changes second factors. If a code from the mailbox is
// still missing, stage is StageMail. An error of the proof at that stage comes with it.
func (h *Handlers) proveFactors(
	w http.ResponseWriter, r *http.Request, o owner, f url.Values,
) (got provedForFactors, err error) {
	if o.User.SecondFactor {
		if f.Get("proof") != "" {
			return got, errSetUp
		}
		proof, err := h.proof(o, f)
		if err == nil {
			got.user, err = h.Accounts.Prove(r.Context(), o.User.ID, proof)
			got.stage, got.ends = web.StageReady, h.secondEnds(o)
		}
		return got, err
	}
	var sealed sealedFactorProof
	if text := f.Get("proof"); text != "" {
		if sealed, err = h.openFactorProof(o, text); err != nil {
			return got, err
		}
		got.user, err = h.Accounts.Prove(r.Context(), o.User.ID, sealed.earlier())
		switch {
		case errors.Is(err, userstore.ErrProofRequired):
			return got, errProofOver
		case err != nil:
			return got, err
		}
		if sealed.Code != "" {
			got.stage, got.proof = web.StageMail, text
			err = h.Accounts.CheckFactorCode(r.Context(), got.user, o.Session.ID, sealed.Code, f.Get("mail_code"))
			if err != nil {
				return got, err
			}
			sealed.Code, sealed.Mailbox = "", true
		}
	} else {
		proof := userstore.Proof{Password: f.Get("current_password")}
		if got.user, err = h.Accounts.Prove(r.Context(), o.User.ID, proof); err != nil {
			return got, err
		}
		sealed = sealedFactorProof{
			User: o.User.ID, Session: o.Session.ID, Password: got.user.PasswordMark(), Factors: got.user.FactorVersion,
			Address: got.user.EmailKey, Until: h.Issuer.Until(userstore.ProofLasts),
		}
	}
	got.stage = web.StageReady
	if h.Accounts.NeedsMailbox(got.user) && !sealed.Mailbox {
		m := wanted{browser: o.browser, email: got.user.Email, page: factorsMemory, session: o.Session.ID}
		asked, err := h.askOnce(w, r, m, func() (string, error) {
			return h.Accounts.RequestFactorCode(r.Context(), got.user, o.Session.ID)
		})
		if err != nil {
			return got, err
		}
		got.stage, sealed.Code = web.StageMail, asked.Handle
	}
	got.ends = sealed.Until
	got.proof, err = factorProofHandle.Seal(h.Issuer, sealed)
	return got, err
}
