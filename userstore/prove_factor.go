package userstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/factorseal"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/totp"
)

// FactorProof is what a person shows for a second factor: one of the first three. An empty proof counts
// as a wrong code.
type FactorProof struct {
	Code         string // of the authenticator app
	RecoveryCode string
	Passkey      json.RawMessage // AuthenticationResponseJSON of WebAuthn

	// Session is the id of the session that asks, in which a code of the app is counted. A login after
	// the right password needs none.
	Session string

	Challenge []byte // that the passkey had to sign
	Handle    Handle // of the login or the challenge: spent with the proof
}

func handles(p FactorProof) []Handle {
	if p.Handle.ID == "" {
		return nil
	}
	return []Handle{p.Handle}
}

// ProveFactor checks a second factor of a user outside a login, and spends it. It returns what was
// proved. Errors as of AuthenticateSecond.
func (a *Accounts) ProveFactor(ctx context.Context, u User, p FactorProof) ([]ProvedFactor, error) {
	v, err := a.proveFactor(ctx, Verified{User: u}, p)
	if err != nil {
		return nil, err
	}
	defer func() { a.Release(ctx, v) }()
	err = a.Store.UseFactor(ctx, u.ID, u.FactorVersion, v.Second.Use, v.events...)
	if err = audit.Stored(ctx, a.Log, a.afterSecond(ctx, v, err), v.events...); err != nil {
		if errors.Is(err, ErrConflict) {
			err = ErrStepOver
		}
		return nil, err
	}
	return v.Proved, nil
}

// proveFactor checks p for the user of v, and adds what it proves to v.
func (a *Accounts) proveFactor(ctx context.Context, v Verified, p FactorProof) (Verified, error) {
	have, err := a.factorsFor(ctx, v)
	switch {
	case errors.Is(err, ErrNotFound): // deleted meanwhile
		return Verified{}, ErrStepOver
	case err != nil:
		return Verified{}, err
	case have.Version != v.User.FactorVersion:
		return Verified{}, ErrStepOver
	case p.Passkey != nil:
		return a.provePasskey(ctx, v, p, have)
	case p.RecoveryCode != "":
		return a.proveRecovery(ctx, v, p)
	}
	return a.proveCode(ctx, v, p, have)
}

// MaxWrongCodes is how many codes of an authenticator app may be wrong in a row. With as many, a
// guess hits one of three codes of six digits once in 3,300 accounts.
const MaxWrongCodes = 100

// proveCode checks a code of the authenticator app. It is counted before it is compared: among the
// attempts at the account, as passwords are, among the wrong codes in a row, and, where no password was
// proved, among those of the session or the messages.
func (a *Accounts) proveCode(
	ctx context.Context, v Verified, p FactorProof, have SecondFactors,
) (_ Verified, err error) {
	u := v.User
	if have.App == nil {
		return Verified{}, ErrFactorRefused
	}
	app := have.App
	key, err := a.openApp(*app)
	if err != nil {
		return Verified{}, err
	}
	defer clear(key.Secret)
	v.reservation, err = a.Throttle.admit(ctx, a.now, subject(u, true, ""), audit.User(u.ID))
	if err != nil {
		return Verified{}, err
	}
	if v.inPlace, err = a.admitInPlace(ctx, v, p.Session); err != nil {
		v.reservation.giveBack(ctx)
		return Verified{}, err
	}
	if err := a.Store.CountWrongCode(ctx, u.ID, MaxWrongCodes); err != nil {
		v.inPlace.giveBack(ctx)
		v.reservation.giveBack(ctx)
		if errors.Is(err, ErrConflict) {
			return Verified{}, ErrCodesBlocked
		}
		return Verified{}, err
	}
	now := a.now()
	counter, ok := key.Check(p.Code, now, app.LastCounter)
	if !ok {
		return Verified{}, a.refuseFactor(ctx, v, "wrong_code")
	}
	v.code = new(countedCode)
	v.Proved = append(v.Proved, ProvedFactor{Factor: FactorApp, At: now})
	v.Second = SecondStep{FactorVersion: u.FactorVersion, Proved: true,
		Use: FactorUse{App: app.ID, Counter: counter, Handles: handles(p), At: now}}
	return v, nil
}

// countedCode is a right code of an authenticator app, which was counted among the wrong ones before
// it was checked. A use of the code takes the count back.
type countedCode struct{ over bool }

func (c *countedCode) markOver() {
	if c != nil {
		c.over = true
	}
}

// uncount takes the count of a right code back that was not used.
func (a *Accounts) uncount(ctx context.Context, v Verified) {
	if v.code == nil || v.code.over {
		return
	}
	v.code.over = true
	kept, cancel := Uncancelled(ctx)
	defer cancel()
	_ = a.Store.UncountWrongCode(kept, v.User.ID) // if that fails, one code fewer may be wrong
}

// openApp opens the secret of an authenticator app. The caller clears the secret of the key.
func (a *Accounts) openApp(app AuthenticatorApp) (totp.Key, error) {
	seal, err := a.AppKey()
	if err != nil {
		return totp.Key{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	secret, err := factorseal.Open(seal, app.UserID, app.ID, app.Sealed)
	if err != nil {
		return totp.Key{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return totp.Key{Secret: secret, Algorithm: app.Algorithm, Digits: app.Digits, Period: app.Period}, nil
}

// proveRecovery checks a recovery code, which is counted as a password is.
func (a *Accounts) proveRecovery(ctx context.Context, v Verified, p FactorProof) (Verified, error) {
	u := v.User
	macs, err := a.recoveryMACs(u.ID, p.RecoveryCode)
	if err != nil {
		return Verified{}, err
	}
	v.reservation, err = a.Throttle.admit(ctx, a.now, subject(u, true, ""), audit.User(u.ID))
	if err != nil {
		return Verified{}, err
	}
	known, err := a.recoveryCodeFor(ctx, v, macs)
	if err != nil {
		v.reservation.giveBack(ctx)
		return Verified{}, err
	}
	if !known {
		return Verified{}, a.refuseFactor(ctx, v, "wrong_recovery_code")
	}
	now := a.now()
	v.Proved = append(v.Proved, ProvedFactor{Factor: FactorRecoveryCode, At: now})
	v.Second = SecondStep{FactorVersion: u.FactorVersion, Proved: true,
		Use: FactorUse{Recovery: macs, Handles: handles(p), At: now}}
	e := audit.New(asOwner(ctx, u.ID), now, audit.RecoveryCodeUsed, audit.User(u.ID))
	e.ClientID = v.Client.ID
	if e.Messages, err = a.ownNotice(ctx, outbox.RecoveryCodeUsed, u, now); err != nil {
		v.reservation.giveBack(ctx)
		return Verified{}, err
	}
	v.events = append(v.events, e)
	return v, nil
}

// afterSecond returns what became of an act that used the proof of a second factor, of which the store
// said err. The store took the count of a right code back with the act. A proof that was used before is
// as wrong as any. A trust that ended meanwhile is a conflict, after which the login is checked once
// more. A handle that was used, and a passkey, are no guesses: the attempt stays to be returned.
func (a *Accounts) afterSecond(ctx context.Context, v Verified, err error) error {
	use := v.Second.Use
	switch {
	case err == nil:
		v.code.markOver()
		return nil
	case !errors.Is(err, ErrSpent):
		return err
	case errors.Is(err, ErrHandleSpent):
		return a.recordRefused(ctx, v, "login_used_before", ErrStepOver)
	case use.Trusted != (SessionHash{}):
		return ErrConflict
	case use.Passkey != "":
		return a.recordRefused(ctx, v, "used_before", ErrFactorRefused)
	}
	v.code.markOver()
	return a.refuseFactor(ctx, v, "used_before")
}

// refuseFactor counts a wrong proof and records it.
func (a *Accounts) refuseFactor(ctx context.Context, v Verified, reason string) error {
	if v.reservation == nil {
		return a.recordRefused(ctx, v, reason, ErrFactorRefused)
	}
	_ = v.inPlace.fail(ctx) // if that fails, it counts as wrong once it is not pending any more
	e := a.refusedFactor(ctx, v, reason)
	if err := audit.Stored(ctx, a.Log, v.reservation.fail(ctx, e), e); err != nil {
		return fmt.Errorf("record %s: %w", e.Name, err)
	}
	return ErrFactorRefused
}

// recordRefused records a proof that is refused and is no guess, and returns answer.
func (a *Accounts) recordRefused(ctx context.Context, v Verified, reason string, answer error) error {
	return a.recordRefusal(ctx, a.refusedFactor(ctx, v, reason), answer)
}

// refusedFactor is the audit entry of a wrong proof.
func (a *Accounts) refusedFactor(ctx context.Context, v Verified, reason string) audit.Event {
	e := audit.New(ctx, a.now(), audit.FactorRefused, audit.User(v.User.ID)).Failed(reason)
	e.ClientID = v.Client.ID
	return e
}
