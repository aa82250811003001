package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/userstore"
)

// stepLasts is how long a login waits for its second step, and a challenge for its passkey.
const stepLasts = 5 * time.Minute

// LoginStep is what the first step of a login answers if a second step is needed.
type LoginStep struct {
	Login     string   // handle, to be sent with the second step
	Methods   []string // by which it can be taken; of a setup: none
	ExpiresIn int64    // seconds
}

// loginFor says what the handle of a login is for: none is taken in the place of another.
type loginFor string

const (
	forSecondStep loginFor = "second_step"
	forSetup      loginFor = "setup"
	forPasskey    loginFor = "passkey" // a login by passkey alone, which names no user
)

// loginHandle is the handle of a login. Its holder can read it, and knows all of it.
var loginHandle = Sealed[sealedLogin]{Purpose: "login", Longest: 8 << 10}

// sealedLogin is what the handle of a login holds. It is spent with the login.
type sealedLogin struct {
	Once
	For      loginFor `json:"for"`
	Client   string   `json:"client"`
	Scopes   []string `json:"scopes"`
	Resource []string `json:"resource,omitempty"`

	User     string `json:"user,omitempty"`
	Password []byte `json:"password,omitempty"` // User.PasswordMark
	Factors  int64  `json:"factors,omitempty"`  // User.FactorVersion
	At       int64  `json:"at,omitempty"`       // when the password was proved, in microseconds

	Mailbox    string `json:"mailbox,omitempty"`     // of a setup: address whose mailbox was proved
	UserHandle string `json:"user_handle,omitempty"` // of a passkey that is set up
}

var (
	errSecondFactor = refuse(SecondFactorRequired, "The password is right, and the account has a second factor: send login and "+
		"a code to /v1/login/totp, or use another of the methods.")
	errSetup = refuse(SecondFactorSetup, "The password is right, and the account has to get a second factor first: set one up "+
		"with login at /v1/login/setup.")
	errStepOver      = refuse(LoginOver, "This sign-in has ended: begin again with the password.")
	errFactorRefused = refuse(FactorRefused, "The code or passkey is not right: try again.")
	errCodesBlocked  = refuse(CodesBlocked, "Too many codes were wrong: use a passkey or a recovery code.")
	errNoPasskeys    = refuse(NoPasskeys, "There is no passkey that could be used here: use another method.")
	errAdminNeedsTwo = refuse(InvalidScope, "The scope admin needs a sign-in with two factors here: sign in again without a trusted browser.")
)

// adminNeedsTwo reports whether the scope admin needs a login with two factors.
func (i *Issuer) adminNeedsTwo() bool {
	return i.Accounts.SecondFactor == userstore.SecondFactorAdmins || i.Accounts.SecondFactor == userstore.SecondFactorRequired
}

// openLogin reads the handle of a login.
func (i *Issuer) openLogin(handle string, purpose loginFor) (sealedLogin, error) {
	l, ok, err := loginHandle.Open(i, handle)
	switch {
	case err != nil:
		return sealedLogin{}, err
	case !ok || l.For != purpose:
		return sealedLogin{}, errStepOver
	}
	return l, nil
}

// second is the login of a handle as accounts know it.
func (l sealedLogin) second() userstore.SecondLogin {
	return userstore.SecondLogin{
		UserID: l.User, PasswordMark: l.Password, FactorVersion: l.Factors, At: time.UnixMicro(l.At).UTC(), ClientID: l.Client,
	}
}

func (i *Issuer) loginOf(
	purpose loginFor, u userstore.User, client string, at time.Time, scopes, resource []string,
) sealedLogin {
	return sealedLogin{
		Once: i.Once(stepLasts), For: purpose, Client: client, Scopes: scopes, Resource: resource,
		User: u.ID, Password: u.PasswordMark(), Factors: u.FactorVersion, At: at.UnixMicro(),
	}
}

// askSecond refuses a login with the right password, and says how it goes on.
func (i *Issuer) askSecond(e *userstore.SecondFactorError, scopes, resource []string) error {
	handle, err := loginHandle.Seal(i, i.loginOf(forSecondStep, e.User, e.Client.ID, e.At, scopes, resource))
	if err != nil {
		return err
	}
	return i.withStep(errSecondFactor, handle, e.Methods)
}

// askSetup refuses a login of a user who has to set up a second factor first.
func (i *Issuer) askSetup(e *userstore.SetupRequiredError, scopes, resource []string) error {
	handle, err := loginHandle.Seal(i, i.loginOf(forSetup, e.User, e.Client.ID, e.At, scopes, resource))
	if err != nil {
		return err
	}
	return i.withStep(errSetup, handle, nil)
}

func (i *Issuer) withStep(e *Error, handle string, methods []string) error {
	with := *e
	with.Step = &LoginStep{Login: handle, Methods: methods, ExpiresIn: int64(stepLasts / time.Second)}
	return &with
}

// LoginSecond takes the second step of a login. Every error is an *Error.
func (i *Issuer) LoginSecond(ctx context.Context, handle string, p userstore.FactorProof) (TokenResponse, error) {
	l, err := i.openLogin(handle, forSecondStep)
	if err != nil {
		return TokenResponse{}, failed(err)
	}
	return i.complete(ctx, l, func(ctx context.Context) (userstore.Verified, error) {
		p.Handle = l.Spent()
		if p.Passkey != nil {
			if p.Challenge, err = i.challenge(l); err != nil {
				return userstore.Verified{}, err
			}
		}
		return i.Accounts.AuthenticateSecond(ctx, l.second(), p)
	})
}

// LoginPasskeyOptions returns the options with which a browser takes the second step of a login by a
// passkey (PublicKeyCredentialRequestOptionsJSON).
func (i *Issuer) LoginPasskeyOptions(ctx context.Context, handle string) (json.RawMessage, error) {
	l, err := i.openLogin(handle, forSecondStep)
	if err != nil {
		return nil, failed(err)
	}
	return i.passkeyOptions(ctx, l)
}

// PasskeyLoginRequest is a login by passkey alone.
type PasskeyLoginRequest struct {
	ClientID string // empty: userstore.FirstPartyClientID
	Scope    string // space separated; empty: "profile email"
	Resource []string
}

// BeginPasskeyLogin returns the options with which a browser logs in by any passkey of this service,
// and the handle that goes with the answer.
func (i *Issuer) BeginPasskeyLogin(ctx context.Context, r PasskeyLoginRequest) (login LoginStep, options json.RawMessage, err error) {
	if r.ClientID == "" {
		r.ClientID = userstore.FirstPartyClientID
	}
	scopes, err := loginScopes(r.Scope)
	if err != nil {
		return LoginStep{}, nil, failed(err)
	}
	client, err := i.loginClient(ctx, r.ClientID)
	if err == nil {
		_, err = i.checkLogin(client, scopes, r.Resource)
	}
	if err != nil {
		return LoginStep{}, nil, failed(err)
	}
	l := sealedLogin{
		Once: i.Once(stepLasts), For: forPasskey, Client: r.ClientID, Scopes: scopes, Resource: r.Resource,
	}
	handle, err := loginHandle.Seal(i, l)
	if err != nil {
		return LoginStep{}, nil, failed(err)
	}
	options, err = i.passkeyOptions(ctx, l)
	return LoginStep{Login: handle, ExpiresIn: int64(stepLasts / time.Second)}, options, err
}

// PasskeyLogin logs a user in by a passkey alone.
func (i *Issuer) PasskeyLogin(ctx context.Context, handle string, response json.RawMessage) (TokenResponse, error) {
	l, err := i.openLogin(handle, forPasskey)
	if err != nil {
		return TokenResponse{}, failed(err)
	}
	return i.complete(ctx, l, func(ctx context.Context) (userstore.Verified, error) {
		challenge, err := i.challenge(l)
		if err != nil {
			return userstore.Verified{}, err
		}
		p := userstore.FactorProof{Passkey: response, Challenge: challenge, Handle: l.Spent()}
		return i.Accounts.AuthenticatePasskey(ctx, p, l.Client)
	})
}

func (i *Issuer) passkeyOptions(ctx context.Context, l sealedLogin) (json.RawMessage, error) {
	challenge, err := i.challenge(l)
	if err != nil {
		return nil, failed(err)
	}
	options, err := i.Accounts.PasskeyRequest(ctx, l.User, challenge, stepLasts)
	switch {
	case errors.Is(err, userstore.ErrNotFound): // the account was deleted
		return nil, errStepOver
	case err != nil:
		return nil, failed(err)
	}
	return options, nil
}

// challenge is what a passkey signs for a login. It needs no row: the handle brings it back.
func (i *Issuer) challenge(l sealedLogin) ([]byte, error) {
	return i.FormMAC("passkey challenge", string(l.For), l.ID)
}

// complete checks the client and its request once more, proves the user, and starts the grant. The
// handle is spent with it, so a second try after a conflict is as good as the first.
func (i *Issuer) complete(
	ctx context.Context, l sealedLogin, prove func(context.Context) (userstore.Verified, error),
) (TokenResponse, error) {
	refusal.Client(ctx, l.Client)
	return tryLogin(func() (TokenResponse, error) { return i.completeOnce(ctx, l, prove) })
}

func (i *Issuer) completeOnce(
	ctx context.Context, l sealedLogin, prove func(context.Context) (userstore.Verified, error),
) (TokenResponse, error) {
	client, err := i.loginClient(ctx, l.Client)
	if err != nil {
		return TokenResponse{}, err
	}
	targets, err := i.checkLogin(client, l.Scopes, l.Resource)
	if err != nil {
		return TokenResponse{}, err
	}
	verified, err := prove(ctx)
	if err != nil {
		return TokenResponse{}, err
	}
	defer i.Accounts.Release(ctx, verified)
	verified.Client = client
	return i.startGrant(ctx, verified, l.Scopes, targets)
}

// loginClient reads the client of a login.
func (i *Issuer) loginClient(ctx context.Context, id string) (userstore.Client, error) {
	client, err := i.Clients.ClientByID(ctx, id)
	if errors.Is(err, userstore.ErrNotFound) {
		return client, errNoClient
	}
	return client, err
}
