package userstore

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/signet-id/signet/internal/webauthn"
)

// PasskeyRequest returns the options with which a browser uses one of u's passkeys; with no user, any
// passkey of this service.
func (a *Accounts) PasskeyRequest(
	ctx context.Context, userID string, challenge []byte, timeout time.Duration,
) (json.RawMessage, error) {
	if a.Passkeys == nil {
		return nil, ErrNoPasskeys
	}
	var allowed []webauthn.Credential
	if userID != "" {
		have, err := a.Store.SecondFactors(ctx, userID)
		if err != nil {
			return nil, err
		}
		if len(have.Passkeys) == 0 {
			return nil, ErrNoPasskeys
		}
		if allowed, err = credentialsOf(have); err != nil {
			return nil, err
		}
	}
	return a.Passkeys.RequestOptions(challenge, allowed, timeout)
}

// AuthenticatePasskey logs a user in by a passkey alone. Errors as of AuthenticateSecond, without
// those of codes.
func (a *Accounts) AuthenticatePasskey(ctx context.Context, p FactorProof, clientID string) (_ Verified, err error) {
	defer func() { a.Counts.login(err) }()
	if a.Passkeys == nil {
		return Verified{}, ErrFactorRefused
	}
	answer, err := a.Passkeys.Parse(p.Passkey)
	v := Verified{Client: Client{ID: clientID}}
	if err == nil && answer.UserHandle == nil {
		err = errors.New("it names no user")
	}
	if err != nil {
		return Verified{}, a.refusedPasskey(ctx, err, v)
	}
	key, u, handle, err := a.Store.PasskeyOwner(ctx, answer.CredentialID)
	switch {
	case errors.Is(err, ErrNotFound):
		return Verified{}, a.refusedPasskey(ctx, err, v)
	case err != nil:
		return Verified{}, err
	}
	v.User = u
	if v, err = a.verifyPasskey(ctx, v, p, key, handle); err != nil {
		return Verified{}, err
	}
	if err := a.mayLogIn(ctx, v); err != nil {
		return Verified{}, err
	}
	return v, nil
}

// provePasskey checks a passkey that has to be one of the user's. It never waits for a budget: a
// passkey cannot be guessed.
func (a *Accounts) provePasskey(
	ctx context.Context, v Verified, p FactorProof, have SecondFactors,
) (Verified, error) {
	if a.Passkeys == nil {
		return Verified{}, ErrFactorRefused
	}
	answer, err := a.Passkeys.Parse(p.Passkey)
	if err != nil {
		return Verified{}, a.refusedPasskey(ctx, err, v)
	}
	for _, key := range have.Passkeys {
		if string(key.CredentialID) == string(answer.CredentialID) {
			return a.verifyPasskey(ctx, v, p, key, have.PasskeyHandle)
		}
	}
	return Verified{}, a.refusedPasskey(ctx, errors.New("it is none of the account's passkeys"), v)
}

func (a *Accounts) verifyPasskey(
	ctx context.Context, v Verified, p FactorProof, key Passkey, handle string,
) (Verified, error) {
	credential, err := credentialOf(key, handle)
	if err != nil {
		return Verified{}, err
	}
	proof, err := a.Passkeys.Verify(p.Challenge, p.Passkey, credential)
	switch {
	case errors.Is(err, webauthn.ErrCounter):
		// Two devices answer for one passkey, or a copy of it does.
		return Verified{}, a.recordRefused(ctx, v, "passkey_counter", ErrFactorRefused)
	case errors.Is(err, webauthn.ErrResponse):
		return Verified{}, a.refusedPasskey(ctx, err, v)
	case err != nil:
		return Verified{}, err
	}
	if v.reservation, err = a.Throttle.admitPasskey(ctx, a.now, subject(v.User, true, "")); err != nil {
		return Verified{}, err
	}
	now := a.now()
	factor := FactorPasskey
	if proof.BackedUp {
		factor = FactorSyncedPasskey
	}
	v.Proved = append(v.Proved, ProvedFactor{Factor: factor, At: now})
	v.Second = SecondStep{FactorVersion: v.User.FactorVersion, Proved: true, Use: FactorUse{
		Passkey: key.ID, SignCount: proof.SignCount, BackedUp: proof.BackedUp, Handles: handles(p), At: now,
	}}
	return v, nil
}

// refusedPasskey refuses an answer of a passkey. It is no guess: only the log has the reason.
func (a *Accounts) refusedPasskey(ctx context.Context, reason error, v Verified) error {
	if a.Log != nil {
		a.Log.InfoContext(ctx, "a passkey was refused", "reason", reason, "user_id", v.User.ID, "client_id", v.Client.ID)
	}
	return ErrFactorRefused
}

func credentialsOf(have SecondFactors) (all []webauthn.Credential, err error) {
	for _, p := range have.Passkeys {
		c, err := credentialOf(p, have.PasskeyHandle)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// credentialOf is a passkey as internal/webauthn takes it.
func credentialOf(p Passkey, handle string) (webauthn.Credential, error) {
	user, err := base64.RawURLEncoding.DecodeString(handle)
	return webauthn.Credential{
		ID: p.CredentialID, PublicKey: p.PublicKey, AAGUID: p.AAGUID, UserHandle: user, SignCount: p.SignCount,
		BackupEligible: p.BackupEligible, BackedUp: p.BackedUp, Transports: p.Transports,
	}, err
}
