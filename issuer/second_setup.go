package issuer

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/userstore"
)

// Where the policy wants a second factor of an account that has none, a login with the right password
// gets a handle that opens only the setup. The last step of the setup is that of the login too. The
// errors of these functions are those of an *Error or of userstore.Accounts.

var errMailCode = refuse(MailCodeRequired,
	"Ask for a code at /v1/login/setup/code, and send it as mail_code with its handle.")

// MailProof is a code from the mailbox and the handle of the request for it; empty: it was sent before.
type MailProof struct {
	Handle string
	Code   string
}

// SetupCode sends a code to the mailbox of a login that has to set up a second factor, and returns a
// handle for it.
func (i *Issuer) SetupCode(ctx context.Context, login string) (handle string, err error) {
	l, u, err := i.setupOf(ctx, login)
	if err != nil {
		return "", err
	}
	return i.Accounts.RequestFactorCode(ctx, u, l.ID)
}

// SetupApp makes the secret of an authenticator app for a login, and returns the handle with which the
// login goes on.
func (i *Issuer) SetupApp(ctx context.Context, login string, m MailProof) (next string, app userstore.BegunApp, err error) {
	next, _, u, err := i.mayGoOn(ctx, login, m)
	if err == nil {
		app, err = i.Accounts.BeginApp(ctx, u)
	}
	return next, app, stepOver(err)
}

// ConfirmSetupApp makes the app the account's by its first code, and completes the login. The recovery
// codes are shown this once.
func (i *Issuer) ConfirmSetupApp(ctx context.Context, login, code string) (t TokenResponse, recovery []string, err error) {
	return i.setUp(ctx, login, func(_ sealedLogin, u userstore.User) (factor string, recovery []string, err error) {
		recovery, err = i.Accounts.ConfirmApp(ctx, u, code, userstore.KeepAll)
		if errors.Is(err, userstore.ErrNotFound) { // nothing waits: it was never begun
			err = userstore.ErrFactorRefused
		}
		return userstore.FactorApp, recovery, err
	})
}

// SetupPasskeyOptions returns the options with which a browser makes a passkey for a login, and the
// handle with which the login goes on.
func (i *Issuer) SetupPasskeyOptions(
	ctx context.Context, login string, m MailProof,
) (next string, options json.RawMessage, err error) {
	_, l, u, err := i.mayGoOn(ctx, login, m)
	if err != nil {
		return "", nil, err
	}
	challenge, err := i.challenge(l)
	if err != nil {
		return "", nil, err
	}
	if options, l.UserHandle, err = i.Accounts.PasskeyCreation(ctx, u, challenge, stepLasts); err != nil {
		return "", nil, stepOver(err)
	}
	next, err = loginHandle.Seal(i, l)
	return next, options, err
}

// SetupPasskey stores the passkey that a browser made, and completes the login. The recovery codes are
// shown this once.
func (i *Issuer) SetupPasskey(
	ctx context.Context, login string, response json.RawMessage, name string,
) (t TokenResponse, recovery []string, err error) {
	return i.setUp(ctx, login, func(l sealedLogin, u userstore.User) (string, []string, error) {
		if l.UserHandle == "" {
			return "", nil, errFactorRefused
		}
		challenge, err := i.challenge(l)
		if err != nil {
			return "", nil, err
		}
		key, recovery, err := i.Accounts.AddPasskey(ctx, u, userstore.NewPasskey{
			Challenge: challenge, UserHandle: l.UserHandle, Response: response, Name: name, Keep: userstore.KeepAll,
		})
		if key.BackedUp {
			return userstore.FactorSyncedPasskey, recovery, err
		}
		return userstore.FactorPasskey, recovery, err
	})
}

// setupOf reads the handle of a setup, and its user as stored now.
func (i *Issuer) setupOf(ctx context.Context, login string) (l sealedLogin, u userstore.User, err error) {
	if l, err = i.openLogin(login, forSetup); err != nil {
		return l, u, err
	}
	refusal.Client(ctx, l.Client)
	u, err = i.Accounts.UserOfSetup(ctx, l.second())
	switch {
	case errors.Is(err, userstore.ErrStepOver):
		return l, u, errStepOver
	case err != nil:
		return l, u, err
	}
	return l, u, i.Accounts.MaySetUpFactor(u)
}

// mayGoOn demands the mailbox of a setup, where there is mail, and returns the handle that holds it.
func (i *Issuer) mayGoOn(
	ctx context.Context, login string, m MailProof,
) (next string, l sealedLogin, u userstore.User, err error) {
	l, u, err = i.setupOf(ctx, login)
	switch {
	case err != nil:
		return "", l, u, err
	case !i.mailboxMissing(l, u):
		return login, l, u, nil
	case m == MailProof{}:
		return "", l, u, errMailCode
	}
	if err := i.Accounts.CheckFactorCode(ctx, u, l.ID, m.Handle, m.Code); err != nil {
		return "", l, u, err
	}
	l.Mailbox, l.Once = u.EmailKey, i.Once(stepLasts) // an app has to be found first
	next, err = loginHandle.Seal(i, l)
	return next, l, u, err
}

// mailboxMissing reports whether the mailbox of the user has yet to be proved in a setup.
func (i *Issuer) mailboxMissing(l sealedLogin, u userstore.User) bool {
	return i.Accounts.NeedsMailbox(u) && (l.Mailbox == "" || l.Mailbox != u.EmailKey)
}

// setUp adds a second factor, and completes the login with it. Whatever would refuse the login is
// checked before. If the login fails after all, the recovery codes come with the error: the account has
// them, and no other answer shows them.
func (i *Issuer) setUp(
	ctx context.Context, login string, add func(sealedLogin, userstore.User) (factor string, recovery []string, err error),
) (TokenResponse, []string, error) {
	l, u, err := i.setupOf(ctx, login)
	switch {
	case err != nil:
		return TokenResponse{}, nil, err
	case i.mailboxMissing(l, u):
		return TokenResponse{}, nil, errMailCode
	}
	client, err := i.loginClient(ctx, l.Client)
	if err != nil {
		return TokenResponse{}, nil, err
	}
	targets, err := i.checkLogin(client, l.Scopes, l.Resource)
	if err != nil {
		return TokenResponse{}, nil, err
	}
	if slices.Contains(l.Scopes, userstore.ScopeAdmin) && !mayAdmin(&client, u.Roles) {
		v := userstore.Verified{User: u, Client: client}
		return TokenResponse{}, nil, i.Accounts.Refuse(ctx, v, "not_admin", errNotAdmin)
	}

	ctx = audit.As(ctx, audit.Actor{Type: audit.ByUser, ID: u.ID}, client.ID, "")
	factor, recovery, err := add(l, u)
	if err != nil {
		return TokenResponse{}, nil, stepOver(err)
	}
	t, err := i.startSetUpGrant(ctx, l, client, targets, factor)
	if err != nil {
		return TokenResponse{}, nil, withRecoveryCodes(err, recovery)
	}
	return t, recovery, nil
}

// startSetUpGrant completes the login of a user who has just set up a second factor.
func (i *Issuer) startSetUpGrant(
	ctx context.Context, l sealedLogin, client userstore.Client, targets []Resource, factor string,
) (TokenResponse, error) {
	now := i.now()
	u, err := i.Accounts.Store.UserByID(ctx, l.User)
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return TokenResponse{}, errStepOver
	case err != nil:
		return TokenResponse{}, err
	case !u.SecondFactor || !hmac.Equal(u.PasswordMark(), l.Password): // changed since
		return TokenResponse{}, errStepOver
	}
	return i.startGrant(ctx, userstore.Verified{
		User: u, Client: client,
		Proved: []userstore.ProvedFactor{
			{Factor: userstore.FactorPassword, At: time.UnixMicro(l.At).UTC()}, {Factor: factor, At: now},
		},
		Second: userstore.SecondStep{
			FactorVersion: u.FactorVersion, Proved: true,
			Use: userstore.FactorUse{Handles: []userstore.Handle{l.Spent()}, At: now},
		},
	}, l.Scopes, targets)
}

// withRecoveryCodes is the error of a login that failed after its second factor was set up. Another try
// of the same request is refused, because the account has a second factor now.
func withRecoveryCodes(err error, codes []string) error {
	with := *failed(stepOver(err))
	with.RecoveryCodes = codes
	with.Description = "The second factor is set up, and the sign-in failed: keep recovery_codes, and sign in again."
	return &with
}

// stepOver says of a login what a conflict says of an act.
func stepOver(err error) error {
	if errors.Is(err, userstore.ErrConflict) {
		return errStepOver.because(err)
	}
	return err
}
