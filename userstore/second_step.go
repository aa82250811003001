package userstore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/factorseal"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/totp"
	"github.com/signet-id/signet/internal/webauthn"
)

// The errors of second factors.
var (
	// ErrSecondFactor: the password is right, and the account has a second factor. Returned as
	// *SecondFactorError.
	ErrSecondFactor = errors.New("a second factor is needed")
	// ErrFactorRefused: the code is wrong, used or none of this account's, or the passkey is not.
	ErrFactorRefused = errors.New("the code or passkey is not right")
	// ErrCodesBlocked: MaxWrongCodes codes in a row were wrong. A passkey or a recovery code helps.
	ErrCodesBlocked = errors.New("too many wrong codes of the authenticator app")
	// ErrStepOver: password, factors or the account changed since the first step, or its time is over.
	ErrStepOver = errors.New("the login has to begin again")
)

// MaxWrongCodes is how many codes of an authenticator app may be wrong in a row. With as many, a
// guess hits one of three codes of six digits once in 3,300 accounts.
const MaxWrongCodes = 100

// SecondFactorError is an ErrSecondFactor. No session, login or network exists before the last step.
type SecondFactorError struct {
	User    User      // with PasswordHash
	Client  Client    // of Authenticate
	At      time.Time // when the password was proved
	Methods []string  // by which the second step can be taken
}

func (e *SecondFactorError) Error() string        { return ErrSecondFactor.Error() }
func (e *SecondFactorError) Is(target error) bool { return target == ErrSecondFactor }

// ErrSetupRequired: the password is right, and the policy wants a second factor that the account does
// not have. Returned as *SetupRequiredError.
var ErrSetupRequired = errors.New("a second factor has to be set up")

// SetupRequiredError is an ErrSetupRequired. No session, login or network exists.
type SetupRequiredError struct {
	User   User // with PasswordHash
	Client Client
	At     time.Time
}

func (e *SetupRequiredError) Error() string        { return ErrSetupRequired.Error() }
func (e *SetupRequiredError) Is(target error) bool { return target == ErrSetupRequired }

// MustHaveSecondFactor reports whether the policy wants a second factor of u that u does not have.
func (a *Accounts) MustHaveSecondFactor(u User) bool {
	if u.SecondFactor {
		return false
	}
	return a.SecondFactor == SecondFactorRequired || a.SecondFactor == SecondFactorAdmins && u.HasRole(RoleAdmin)
}

// secondStep decides whether the login of v, whose password was proved at now, is complete. If not,
// it returns the attempt.
func (a *Accounts) secondStep(ctx context.Context, v Verified, now time.Time) (Verified, error) {
	switch {
	case a.MustHaveSecondFactor(v.User):
		v.reservation.giveBack(ctx)
		return v, &SetupRequiredError{v.User, v.Client, now}
	case !v.User.SecondFactor:
		return v, nil
	}
	hash, ok, err := a.trusted(ctx, v.User, now)
	switch {
	case err != nil:
		return v, err
	case !ok:
		have, err := a.Store.SecondFactors(ctx, v.User.ID)
		if errors.Is(err, ErrNotFound) { // deleted meanwhile
			err = ErrConflict
		}
		if err != nil {
			return v, err
		}
		v.reservation.giveBack(ctx)
		return v, &SecondFactorError{v.User, v.Client, now, have.Methods(a.Passkeys != nil)}
	}
	v.Second.Proved, v.Second.Use = true, FactorUse{Trusted: hash, At: now}
	return v, nil
}

// waits reports whether err is that of a login that waits for its second step.
func waits(err error) bool {
	return errors.Is(err, ErrSecondFactor) || errors.Is(err, ErrSetupRequired)
}

// upgradeHash replaces the hash of a right password that was stored under old parameters, and returns
// waiting, the error of a login that waits for its second step, with the new hash. It cannot be done by
// that step, at which the password is not known. Other logins of the account that wait end with the old
// hash. ErrConflict: the password changed meanwhile.
func (a *Accounts) upgradeHash(ctx context.Context, u User, password string, waiting error) error {
	hash, err := a.Hasher.Hash(ctx, password)
	switch {
	case errors.Is(err, ErrOverloaded): // the next login can do it
		return waiting
	case err != nil:
		return err
	}
	if err := a.Store.UpgradeHash(ctx, u.ID, u.PasswordHash, hash); err != nil {
		return err
	}
	if e, ok := errors.AsType[*SecondFactorError](waiting); ok {
		e.User.PasswordHash = hash
	}
	if e, ok := errors.AsType[*SetupRequiredError](waiting); ok {
		e.User.PasswordHash = hash
	}
	return waiting
}

// spentSecond is the error of a login whose proof of a second factor may have been used before: then
// it is as wrong as any. A trust that ended meanwhile is a conflict, after which the login is checked
// once more. A handle that was used, and a passkey, are no guesses: the attempt stays to be returned.
func (a *Accounts) spentSecond(ctx context.Context, v Verified, err error) error {
	use := v.Second.Use
	switch {
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

// Methods by which a second step can be taken, as the API names them.
const (
	MethodApp      = "totp"
	MethodPasskey  = "passkey"
	MethodRecovery = "recovery_code"
)

// Methods returns what a second step of this account can be taken with.
func (s SecondFactors) Methods(passkeys bool) (methods []string) {
	if len(s.Passkeys) > 0 && passkeys {
		methods = append(methods, MethodPasskey)
	}
	if s.App != nil {
		methods = append(methods, MethodApp)
	}
	if s.RecoveryCodes > 0 {
		methods = append(methods, MethodRecovery)
	}
	return methods
}

// PasswordMark tells one stored password from another: a handle that carries it ends with the
// password. It is a hash of a salted hash, from which neither can be found.
func (u User) PasswordMark() []byte {
	sum := sha256.Sum256([]byte("password of a proof\x00" + u.ID + "\x00" + u.PasswordHash))
	return sum[:16]
}

// FactorProof is what a person shows for a second factor: one of the first three. An empty proof counts
// as a wrong code.
type FactorProof struct {
	Code         string // of the authenticator app
	RecoveryCode string
	Passkey      json.RawMessage // AuthenticationResponseJSON of WebAuthn

	Challenge []byte // that the passkey had to sign
	Handle    Handle // of the login or the challenge: spent with the proof
}

// SecondLogin is a login that waits for its second step.
type SecondLogin struct {
	UserID        string
	PasswordMark  []byte
	FactorVersion int64
	At            time.Time // when the password was proved
	ClientID      string    // for the audit log
}

// AuthenticateSecond takes the second step of a login. The caller passes the result to StartGrant or
// StartSession, or to Release. ErrStepOver, ErrFactorRefused, ErrCodesBlocked, ErrAccountDisabled,
// ErrEmailNotVerified (as *NotVerifiedError), ErrOverloaded, ErrRateLimited, and any error of the
// store.
func (a *Accounts) AuthenticateSecond(ctx context.Context, l SecondLogin, p FactorProof) (Verified, error) {
	u, err := a.Store.UserByID(ctx, l.UserID)
	switch {
	case errors.Is(err, ErrNotFound):
		return Verified{}, ErrStepOver
	case err != nil:
		return Verified{}, err
	case u.FactorVersion != l.FactorVersion || !hmac.Equal(u.PasswordMark(), l.PasswordMark):
		return Verified{}, ErrStepOver
	}
	v := Verified{User: u, Client: Client{ID: l.ClientID}, Proved: []ProvedFactor{{ByPassword, l.At}}}
	if err := a.mayLogIn(ctx, v); err != nil {
		return Verified{}, err
	}
	return a.proveFactor(ctx, v, p)
}

// mayLogIn refuses a user whose proofs are right, and who may not log in.
func (a *Accounts) mayLogIn(ctx context.Context, v Verified) error {
	switch u := v.User; {
	case !u.IsActive:
		return a.Refuse(ctx, v, "account_disabled", ErrAccountDisabled)
	case !u.EmailVerified && a.Verification == VerificationRequired:
		unverified := &NotVerifiedError{UserID: u.ID, Email: u.Email, emailKey: u.EmailKey}
		return a.Refuse(ctx, v, "email_not_verified", unverified)
	}
	return nil
}

// AuthenticatePasskey logs a user in by a passkey alone. Errors as of AuthenticateSecond, without
// those of codes.
func (a *Accounts) AuthenticatePasskey(ctx context.Context, p FactorProof, clientID string) (Verified, error) {
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

// ProveFactor checks a second factor of a user outside a login, and spends it. It returns what was
// proved. Errors as of AuthenticateSecond.
func (a *Accounts) ProveFactor(ctx context.Context, u User, p FactorProof) ([]ProvedFactor, error) {
	v, err := a.proveFactor(ctx, Verified{User: u}, p)
	if err != nil {
		return nil, err
	}
	defer func() { a.Release(ctx, v) }()
	err = a.Store.UseFactor(ctx, u.ID, u.FactorVersion, v.Second.Use, v.events...)
	if err == nil {
		v.code.markOver()
	}
	if err = audit.Stored(ctx, a.Log, a.spentSecond(ctx, v, err), v.events...); err != nil {
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

// proveCode checks a code of the authenticator app. It is counted twice before it is compared: among
// the attempts at the account, as passwords are, and among the wrong codes in a row.
func (a *Accounts) proveCode(
	ctx context.Context, v Verified, p FactorProof, have SecondFactors,
) (_ Verified, err error) {
	u := v.User
	if have.App == nil {
		return Verified{}, ErrFactorRefused
	}
	secret, err := a.openApp(*have.App)
	if err != nil {
		return Verified{}, err
	}
	defer clear(secret)
	v.reservation, err = a.Throttle.admit(ctx, a.now, subject(u, true, ""), audit.User(u.ID))
	if err != nil {
		return Verified{}, err
	}
	if err := a.Store.CountWrongCode(ctx, u.ID, MaxWrongCodes); err != nil {
		v.reservation.giveBack(ctx)
		if errors.Is(err, ErrConflict) {
			return Verified{}, ErrCodesBlocked
		}
		return Verified{}, err
	}
	app := have.App
	key := totp.Key{Secret: secret, Algorithm: app.Algorithm, Digits: app.Digits, Period: app.Period}
	now := a.now()
	counter, ok := key.Check(p.Code, now, app.LastCounter)
	if !ok {
		return Verified{}, a.refuseFactor(ctx, v, "wrong_code")
	}
	v.code = new(countedCode)
	v.Proved = append(v.Proved, ProvedFactor{ByApp, now})
	v.Second = SecondStep{FactorVersion: u.FactorVersion, Proved: true,
		Use: FactorUse{App: app.ID, Counter: counter, Handles: handles(p), At: now}}
	return v, nil
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
	v.Proved = append(v.Proved, ProvedFactor{ByRecoveryCode, now})
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
	method := ByPasskey
	if proof.BackedUp {
		method = BySyncedPasskey
	}
	v.Proved = append(v.Proved, ProvedFactor{method, now})
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

// refusedFactor is the audit entry of a wrong proof.
func (a *Accounts) refusedFactor(ctx context.Context, v Verified, reason string) audit.Event {
	e := audit.New(ctx, a.now(), audit.FactorRefused, audit.User(v.User.ID)).Failed(reason)
	e.ClientID = v.Client.ID
	return e
}

// recordRefused records a proof that is refused and is no guess, and returns answer.
func (a *Accounts) recordRefused(ctx context.Context, v Verified, reason string, answer error) error {
	return a.recordRefusal(ctx, a.refusedFactor(ctx, v, reason), answer)
}

// refuseFactor counts a wrong proof and records it.
func (a *Accounts) refuseFactor(ctx context.Context, v Verified, reason string) error {
	if v.reservation == nil {
		return a.recordRefused(ctx, v, reason, ErrFactorRefused)
	}
	e := a.refusedFactor(ctx, v, reason)
	if err := audit.Stored(ctx, a.Log, v.reservation.fail(ctx, e), e); err != nil {
		return fmt.Errorf("record %s: %w", e.Name, err)
	}
	return ErrFactorRefused
}

// credentialOf is a passkey as internal/webauthn takes it.
func credentialOf(p Passkey, handle string) (webauthn.Credential, error) {
	user, err := base64.RawURLEncoding.DecodeString(handle)
	return webauthn.Credential{
		ID: p.CredentialID, PublicKey: p.PublicKey, AAGUID: p.AAGUID, UserHandle: user, SignCount: p.SignCount,
		BackupEligible: p.BackupEligible, BackedUp: p.BackedUp, Transports: p.Transports,
	}, err
}

func handles(p FactorProof) []Handle {
	if p.Handle.ID == "" {
		return nil
	}
	return []Handle{p.Handle}
}

// openApp opens the secret of an authenticator app.
func (a *Accounts) openApp(app AuthenticatorApp) ([]byte, error) {
	key, err := a.AppKey()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	secret, err := factorseal.Open(key, app.UserID, app.ID, app.Sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return secret, nil
}
