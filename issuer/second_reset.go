package issuer

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/signet-id/signet/userstore"
)

// A reset of the password of an account with a second factor takes two requests: the first one presents
// the message, and the second one brings the factor. So does the proof of an address that sets a new
// password. The handle of the second holds what the first
// presented, so that the token, the factor and the new password are spent together.

// resetHandle is the handle of a reset. Its holder can read it, and knows all of it.
var resetHandle = Sealed[sealedReset]{Purpose: "reset", Longest: 8 << 10}

// sealedReset is what the handle of a reset holds.
type sealedReset struct {
	Once        // of the challenge of a passkey, spent with the reset
	User string `json:"user"`

	Token  string `json:"token,omitempty"`
	Handle string `json:"handle,omitempty"`
	Code   string `json:"code,omitempty"`
	Proves bool   `json:"proves,omitempty"` // it is the message that proves the address
}

var (
	errResetSecond = refuse(SecondFactorRequired, "The message is right, and the account has a second factor: send "+
		"login, the new password and a code to /v1/password/reset/second, or use another of the methods.")
	errResetOver = refuse(LoginOver, "This reset has waited for too long: present the message once more.")
)

// ResetPassword sets a new password by a message. Where the account has a second factor, an *Error says
// how the reset goes on. Other errors are those of userstore.
func (i *Issuer) ResetPassword(ctx context.Context, m userstore.Mailed, next string) error {
	return i.askMailed(i.Accounts.ResetPassword(ctx, m, next), m, false)
}

// VerifyEmail proves an address by a message. Where it also sets a new password of an account with a
// second factor that is kept, an *Error says how it goes on, as of ResetPassword. Other errors are
// those of userstore.
func (i *Issuer) VerifyEmail(ctx context.Context, m userstore.Mailed, by userstore.Owner) error {
	_, err := i.Accounts.VerifyEmail(ctx, m, by)
	return i.askMailed(err, m, true)
}

// askMailed replaces the error for a missing second factor.
func (i *Issuer) askMailed(err error, m userstore.Mailed, proves bool) error {
	second, ok := errors.AsType[*userstore.SecondFactorError](err)
	if !ok {
		return err
	}
	handle, err := resetHandle.Seal(i, sealedReset{
		Once: i.Once(stepLasts), User: second.User.ID, Token: m.Token, Handle: m.Handle, Code: m.Code, Proves: proves,
	})
	if err != nil {
		return err
	}
	return i.withStep(errResetSecond, handle, second.Methods)
}

func (i *Issuer) openReset(handle string) (sealedReset, error) {
	s, ok, err := resetHandle.Open(i, handle)
	if err == nil && !ok {
		err = errResetOver
	}
	return s, err
}

// ResetSecond sets the new password of a reset with the proof of a second factor.
func (i *Issuer) ResetSecond(ctx context.Context, handle string, p userstore.FactorProof, next string) error {
	s, err := i.openReset(handle)
	if err != nil {
		return err
	}
	if p.Passkey != nil {
		if p.Challenge, err = i.FormMAC("passkey of a reset", s.ID); err != nil {
			return err
		}
		p.Handle = s.Spent()
	}
	m := userstore.Mailed{Token: s.Token, Handle: s.Handle, Code: s.Code, Second: p}
	if s.Proves {
		_, err = i.Accounts.VerifyEmail(ctx, m, userstore.Owner{NewPassword: next})
		return err
	}
	return i.Accounts.ResetPassword(ctx, m, next)
}

// ResetPasskeyOptions returns the options with which a browser proves a passkey for a reset
// (PublicKeyCredentialRequestOptionsJSON).
func (i *Issuer) ResetPasskeyOptions(ctx context.Context, handle string) (json.RawMessage, error) {
	s, err := i.openReset(handle)
	if err != nil {
		return nil, err
	}
	challenge, err := i.FormMAC("passkey of a reset", s.ID)
	if err != nil {
		return nil, err
	}
	return i.Accounts.PasskeyRequest(ctx, s.User, challenge, stepLasts)
}
