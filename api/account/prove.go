package account

import (
	"crypto/hmac"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// proofAge is how long a proof holds. The age of an access token never counts: a stolen token is as
// fresh as its owner's.
const proofAge = 10 * time.Minute

// recentProof are the members of a request in which the owner of the account proves to be there. A
// stolen access token has neither.
type recentProof struct {
	CurrentPassword string `json:"current_password,omitempty"`
	Proof           string `json:"proof,omitempty"` // of Prove
}

// proofOf is the proof that a request has, to be checked by userstore.Accounts, which refuses an act
// without one.
func (h *Handlers) proofOf(session issuer.Session, q recentProof) (userstore.Proof, error) {
	if q.CurrentPassword != "" && q.Proof != "" {
		return userstore.Proof{}, problem.Invalid(problem.Fault{
			Field: "proof", Code: "not_allowed", Message: "Send either current_password or proof, not both.",
		})
	}
	proof, _, err := h.readProof(session, q)
	return proof, err
}

// readProof is proofOf for a request that may have both. It also returns what the proof holds.
func (h *Handlers) readProof(session issuer.Session, q recentProof) (p userstore.Proof, sealed sealedProof, err error) {
	p.Password = q.CurrentPassword
	if q.Proof == "" {
		return p, sealed, nil
	}
	if sealed, err = h.openProof(q.Proof); err != nil {
		return userstore.Proof{}, sealedProof{}, err
	}
	p.Earlier = func(u userstore.User) bool { return sealed.of(u, session) && !sealed.Over(h.Now()) }
	return p, sealed, nil
}

// proofEnds returns the end of the proof that a request has, which is right.
func (h *Handlers) proofEnds(q recentProof) (issuer.Until, error) {
	if q.Proof == "" {
		return h.Issuer.Until(proofAge), nil
	}
	sealed, err := h.openProof(q.Proof)
	return sealed.Until, err
}

// owner is whom a handle is made for, and in which session.
type owner struct {
	User     string `json:"user"`
	Grant    string `json:"grant"`             // its sid
	Password []byte `json:"password"`          // User.PasswordMark
	Factors  int64  `json:"factors,omitempty"` // User.FactorVersion: a proof of the password ends with the first factor
}

func ownerOf(u userstore.User, session issuer.Session) owner {
	return owner{
		User: u.ID, Grant: session.View.Grant.SessionID, Password: u.PasswordMark(), Factors: u.FactorVersion,
	}
}

// of reports whether a handle is for u as stored now, and of the session. Another user, grant, password
// or factor ends it.
func (o owner) of(u userstore.User, session issuer.Session) bool {
	return o.User == u.ID && o.Grant == session.View.Grant.SessionID && o.Factors == u.FactorVersion &&
		hmac.Equal(o.Password, u.PasswordMark())
}

// sealedProof is what a proof holds. It tells nothing to its holder that the holder does not know.
type sealedProof struct {
	owner
	Mailbox string `json:"mailbox,omitempty"` // address whose mailbox was proved as well
	issuer.Until
}

var proofHandle = issuer.Sealed[sealedProof]{Purpose: "proof", Longest: 1024}

// proofFor is a proof of u in a session. The caller sets Mailbox.
func (h *Handlers) proofFor(u userstore.User, session issuer.Session) sealedProof {
	return sealedProof{owner: ownerOf(u, session), Until: h.Issuer.Until(proofAge)}
}

// proveRequest is one of the ways to prove who is asking.
type proveRequest struct {
	CurrentPassword string          `json:"current_password"`
	MailCode        string          `json:"mail_code"` // with current_password and handle
	Code            string          `json:"code"`
	RecoveryCode    string          `json:"recovery_code"`
	Handle          string          `json:"handle"` // of mail_code or response
	Response        json.RawMessage `json:"response"`
}

var (
	errWhichProof = problem.Fault{
		Code: "not_allowed", Message: "Send one of current_password, code, recovery_code and response.",
	}
	errNoProof = problem.New(problem.RecentProofRequired, "Send the account's password as current_password or, "+
		"of an account with a second factor, code, recovery_code or a passkey's response.")
)

// check reports what is wrong with the request by itself.
func (q proveRequest) check() error {
	sent := 0
	for _, has := range []bool{q.CurrentPassword != "", q.Code != "", q.RecoveryCode != "", !missing(q.Response)} {
		if has {
			sent++
		}
	}
	mail := q.CurrentPassword != "" && (q.MailCode != "" || q.Handle != "")
	switch {
	case sent > 1:
		return problem.Invalid(errWhichProof)
	case sent == 0 && q.MailCode == "" && q.Handle == "":
		return errNoProof
	case mail || sent == 0:
		return required(member{"current_password", q.CurrentPassword == ""}, member{"handle", q.Handle == ""},
			member{"mail_code", q.MailCode == ""})
	case !missing(q.Response):
		return required(member{"handle", q.Handle == ""})
	}
	return nil
}

// Prove takes the password, or a second factor of an account that has one, and answers a proof, which
// the requests that demand one accept for a while. With a code from the mailbox the proof also does to
// set up the first second factor.
func (h *Handlers) Prove(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q proveRequest
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return err
	}
	prove := h.proveFactor
	if q.CurrentPassword != "" {
		prove = h.provePassword
	}
	sealed, err := prove(r, session, q)
	if err != nil {
		return err
	}
	proof, err := proofHandle.Seal(h.Issuer, sealed)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, struct {
		Proof     string `json:"proof"`
		ExpiresIn int64  `json:"expires_in"`
	}{proof, int64(proofAge / time.Second)})
}

func (h *Handlers) provePassword(r *http.Request, session issuer.Session, q proveRequest) (sealedProof, error) {
	u, err := h.Accounts.Prove(r.Context(), session.View.User.ID, userstore.Proof{Password: q.CurrentPassword})
	if err != nil {
		if errors.Is(err, userstore.ErrProofRequired) {
			err = problem.New(problem.RecentProofRequired,
				"The account has a second factor: send code, recovery_code or a passkey's response.")
		}
		return sealedProof{}, err
	}
	proof := h.proofFor(u, session)
	if q.MailCode != "" {
		err := h.Accounts.CheckFactorCode(r.Context(), u, session.View.Grant.SessionID, q.Handle, q.MailCode)
		if err != nil {
			return sealedProof{}, err
		}
		proof.Mailbox = u.EmailKey
	}
	return proof, nil
}

func (h *Handlers) proveFactor(r *http.Request, session issuer.Session, q proveRequest) (sealedProof, error) {
	u, err := h.Accounts.Store.UserByID(r.Context(), session.View.User.ID)
	if err != nil {
		return sealedProof{}, err
	}
	p := userstore.FactorProof{Code: q.Code, RecoveryCode: q.RecoveryCode}
	if !missing(q.Response) {
		asked, err := h.openChallenge(q.Handle, forProof, u, session)
		if err != nil {
			return sealedProof{}, err
		}
		p.Passkey, p.Handle = q.Response, asked.Spent()
		if p.Challenge, err = h.challenge(asked); err != nil {
			return sealedProof{}, err
		}
	}
	_, err = h.Accounts.ProveFactor(r.Context(), u, p)
	switch {
	case errors.Is(err, userstore.ErrStepOver) && p.Passkey != nil: // the handle was used, or the factors changed
		return sealedProof{}, errChallengeOver
	case errors.Is(err, userstore.ErrStepOver): // of a login; here the factors changed meanwhile
		return sealedProof{}, userstore.ErrConflict
	}
	return h.proofFor(u, session), err
}

// ProvePasskeyOptions answers what a browser needs to prove by one of the account's passkeys.
func (h *Handlers) ProvePasskeyOptions(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	if !wire.Bodyless(r) {
		if _, err := profile.Decode(w, r, &struct{}{}); err != nil {
			return err
		}
	}
	u, err := h.Accounts.Store.UserByID(r.Context(), session.View.User.ID) // the session's has no password
	if err != nil {
		return err
	}
	asked := h.newChallenge(forProof, u, session)
	challenge, err := h.challenge(asked)
	if err != nil {
		return err
	}
	options, err := h.Accounts.PasskeyRequest(r.Context(), u.ID, challenge, challengeAge)
	if err != nil {
		return err
	}
	return h.writeChallenge(w, asked, options)
}

// openProof reads a proof that was made here. Whether it holds is asked when it counts: after what is
// wrong with the request by itself.
func (h *Handlers) openProof(proof string) (sealedProof, error) {
	sealed, ok, err := proofHandle.Read(h.Issuer, proof)
	if err == nil && !ok {
		err = problem.New(problem.RecentProofRequired,
			"The proof does not hold, or not any more: get another at /v1/profile/prove.")
	}
	return sealed, err
}
