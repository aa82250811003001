package userstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/factorseal"
	"github.com/signet-id/signet/internal/totp"
)

// The errors of setting up and removing second factors.
var (
	// ErrFactorsOff: accounts.second_factor is off.
	ErrFactorsOff = errors.New("second factors are off")
	// ErrNoPasskeys: browsers make no passkeys for this issuer (see webauthn.New), or the account has
	// none.
	ErrNoPasskeys = errors.New("there are no passkeys here")
	// ErrLastFactor: the policy wants a second factor, and this is the last one.
	ErrLastFactor = errors.New("this is the last second factor")
	// ErrAddressNotProved: where there is mail, factors need a proved address.
	ErrAddressNotProved = errors.New("the address has to be proved first")
)

// BegunApp is an authenticator app whose setup has begun.
type BegunApp struct {
	Secret string // base32, in groups, to be typed
	URI    string // otpauth:, as the QR code has it
}

// BeginApp makes the secret of an authenticator app, which counts once ConfirmApp got a code of it.
// u was read with the proof. ErrFactorsOff, ErrAddressNotProved, ErrAccountDisabled, ErrConflict.
func (a *Accounts) BeginApp(ctx context.Context, u User) (BegunApp, error) {
	if err := a.MaySetUpFactor(u); err != nil {
		return BegunApp{}, err
	}
	key, err := totp.New(rand.Reader)
	if err != nil {
		return BegunApp{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer clear(key.Secret)
	seal, err := a.AppKey()
	if err != nil {
		return BegunApp{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	app := AuthenticatorApp{
		ID: CommandLineID(a.NewID), UserID: u.ID, Algorithm: key.Algorithm, Digits: key.Digits, Period: key.Period,
		LastCounter: -1, CreatedAt: a.now(),
	}
	app.Sealed = factorseal.Seal(seal, u.ID, app.ID, key.Secret)
	if err := a.Store.BeginApp(ctx, app, u.FactorVersion); err != nil {
		return BegunApp{}, err
	}
	return BegunApp{Secret: key.Grouped(), URI: key.URI(a.FactorIssuer, u.Email)}, nil
}

// WaitingApp returns once more what BeginApp returned for the app whose setup waits. ErrNotFound: no
// setup waits.
func (a *Accounts) WaitingApp(ctx context.Context, u User) (BegunApp, error) {
	have, err := a.Store.SecondFactors(ctx, u.ID)
	switch {
	case err != nil:
		return BegunApp{}, err
	case have.Waiting == nil:
		return BegunApp{}, ErrNotFound
	}
	key, err := a.openApp(*have.Waiting)
	if err != nil {
		return BegunApp{}, err
	}
	defer clear(key.Secret)
	return BegunApp{Secret: key.Grouped(), URI: key.URI(a.FactorIssuer, u.Email)}, nil
}

// ConfirmApp makes the app whose setup waits the account's, by its first code, in the place of the one
// before. With the first second factor come recovery codes, which are shown this once. Other sessions
// and grants go on; keep them or not is the user's choice: see FactorChange.KeepSession.
// ErrFactorRefused: the code is wrong; ErrNotFound: no setup waits.
func (a *Accounts) ConfirmApp(ctx context.Context, u User, code, keep string) (recovery []string, err error) {
	if err := a.MaySetUpFactor(u); err != nil {
		return nil, err
	}
	have, err := a.Store.SecondFactors(ctx, u.ID)
	switch {
	case err != nil:
		return nil, err
	case have.Version != u.FactorVersion:
		return nil, ErrConflict
	case have.Waiting == nil:
		return nil, ErrNotFound
	}
	app := have.Waiting
	key, err := a.openApp(*app)
	if err != nil {
		return nil, err
	}
	defer clear(key.Secret)
	now := a.now()
	// Not counted as a guess: the user was shown the secret a moment ago.
	counter, ok := key.Check(code, now, app.LastCounter)
	if !ok {
		return nil, ErrFactorRefused
	}
	c := changeByOwner(ctx, u, now, keep)
	c.ConfirmApp, c.Counter = app.ID, counter
	return a.addFactor(ctx, u, c, MethodApp, app.ID)
}

// addFactor makes a change that adds a factor. The first second factor brings recovery codes.
func (a *Accounts) addFactor(ctx context.Context, u User, c FactorChange, kind, id string) (recovery []string, err error) {
	if !u.SecondFactor {
		if recovery, c.RecoveryCodes, err = a.newRecoveryCodes(u.ID); err != nil {
			return nil, err
		}
	}
	e := audit.New(ctx, c.At, audit.FactorAdded, audit.User(u.ID))
	e.Changes = []audit.Change{{Field: kind, After: id}}
	if e.Messages = a.factorNotice(u, c.At); len(e.Messages) > 0 {
		c.UndoID, c.UndoEndsAt = e.Messages[0].ID, e.Messages[0].EndsAt
	}
	err = a.Store.ChangeFactors(ctx, c, e)
	if errors.Is(err, ErrSpent) {
		err = ErrFactorRefused
	}
	if err := audit.Stored(ctx, a.Log, err, e); err != nil {
		return nil, err
	}
	return recovery, nil
}

// NewRecoveryCodes replaces the recovery codes of u, who was read with the proof, and returns them:
// they are shown this once. ErrNotFound: the account has no second factor; ErrConflict.
func (a *Accounts) NewRecoveryCodes(ctx context.Context, u User, keep string) ([]string, error) {
	if !u.SecondFactor {
		return nil, ErrNotFound
	}
	codes, macs, err := a.newRecoveryCodes(u.ID)
	if err != nil {
		return nil, err
	}
	now := a.now()
	e := audit.New(ctx, now, audit.RecoveryCodesMade, audit.User(u.ID))
	c := changeByOwner(ctx, u, now, keep)
	c.RecoveryCodes = macs
	if err := audit.Stored(ctx, a.Log, a.Store.ChangeFactors(ctx, c, e), e); err != nil {
		return nil, err
	}
	return codes, nil
}

// changeByOwner begins a change of u's factors by u, who was read with the proof. What was proved in
// the browser session that asks (audit.Origin) goes on to count there. The session id of an app's grant
// is that of no browser session: then it goes on nowhere.
func changeByOwner(ctx context.Context, u User, at time.Time, keep string) FactorChange {
	return FactorChange{
		UserID: u.ID, Version: u.FactorVersion, PasswordHash: u.PasswordHash, At: at,
		KeepSession: keep, BySession: audit.OriginOf(ctx).SessionID,
	}
}
