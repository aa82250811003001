package issuer

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// A device without a browser asks for a device authorization and shows a user code (RFC 8628). A
// person types the code at the page /device, in a browser of their own. From there on it is a
// Pending as any other, which passes through login, second factor and consent, except that its
// answer is for the device: nobody is redirected, and the person is asked whatever they allowed
// before, because only they can tell whether the device is theirs. Meanwhile the device polls the
// token endpoint: grant_device.go.
//
// To allow a device authorization is to store a code under the hash of its device code, in the
// transaction that marks it as allowed. The code is redeemed as that of a browser is.

// DeviceRequest is a device authorization request as it was sent (RFC 8628 section 3.1).
type DeviceRequest struct {
	Auth     ClientAuth
	Scope    string
	Resource []string
}

// DeviceAnswer is the answer to a device authorization request (RFC 8628 section 3.2).
type DeviceAnswer struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int64  `json:"expires_in"` // seconds
	Interval                int64  `json:"interval"`   // seconds
}

// DeviceView is what a page shows of a device authorization before anything is allowed.
type DeviceView struct {
	Client      userstore.Client
	UserCode    string // as it is shown on the device
	Address     string // that the request came from
	UserAgent   string
	RequestedAt time.Time
	ExpiresAt   time.Time
}

// Codes of the device authorization grant (RFC 8628 section 3.5); UserCodeUnknown is for a page.
const (
	AuthorizationPending Code = "authorization_pending"
	SlowDown             Code = "slow_down"
	ExpiredToken         Code = "expired_token"
	UserCodeUnknown      Code = "user_code_unknown"
)

const (
	// deviceLifetime is how long a person may take to type the code and to log in.
	deviceLifetime = 10 * time.Minute
	// deviceKnown is for how much longer a device that polls is told that its code has expired.
	deviceKnown = 10 * time.Minute
)

// deviceLimits bound the device authorizations that have not expired. AdmitDevice bounds those of a
// network.
var deviceLimits = userstore.DeviceLimits{OfClient: 5000, InAll: 50000}

var (
	errNoDeviceGrant = refuse(UnauthorizedClient,
		"This client is not registered for the grant type "+userstore.GrantDeviceCode+".")
	errTooManyDevices = refuse(RateLimited, "Too many devices of this client wait for their users: try again later.")
	errUserCode       = refuse(UserCodeUnknown,
		"No device waits with this code: it is mistyped, has expired, or was answered before.")
)

// AuthorizeDevice is the device authorization endpoint: it authenticates the client, checks what it
// asks for, and stores the request. A scope that the client may not have is refused, not ignored: a
// device has no page that would show what is left (D-18). Every error is an *Error.
func (i *Issuer) AuthorizeDevice(ctx context.Context, r DeviceRequest) (DeviceAnswer, error) {
	client, err := i.AuthenticateClient(ctx, r.Auth)
	if err != nil {
		return DeviceAnswer{}, err
	}
	if !client.Allows(userstore.GrantDeviceCode) {
		return DeviceAnswer{}, errNoDeviceGrant
	}
	var p Pending
	if err := i.readScopeBy(exactScope, &p, r.Scope, r.Resource, client); err != nil {
		return DeviceAnswer{}, failed(err)
	}
	if client.Public() {
		if err := i.Accounts.AdmitDevice(ctx); err != nil {
			return DeviceAnswer{}, failed(err)
		}
	}
	answer, err := i.saveDevice(ctx, client, p)
	switch {
	case errors.Is(err, userstore.ErrConflict):
		return DeviceAnswer{}, errTooManyDevices.because(&userstore.RateLimitedError{RetryAfter: deviceLifetime / 10})
	case err != nil:
		return DeviceAnswer{}, failed(err)
	}
	i.Counts.device()
	return answer, nil
}

// saveDevice stores the device authorization of what p asks for.
func (i *Issuer) saveDevice(ctx context.Context, client userstore.Client, p Pending) (DeviceAnswer, error) {
	code, shown := i.NewID()+i.NewID(), newUserCode()
	hash, err := i.deviceCodeHash(code)
	if err != nil {
		return DeviceAnswer{}, err
	}
	userCode, err := i.userCodeHash(shown)
	if err != nil {
		return DeviceAnswer{}, err
	}
	now, from := i.now(), audit.OriginOf(ctx)
	err = i.Devices.SaveDevice(ctx, userstore.DeviceAuthorization{
		ID: i.NewID(), CodeHash: hash, UserCode: userCode,
		ClientID: client.ID, Scopes: p.Scopes, Resources: p.Resources, Address: from.Address, UserAgent: from.UserAgent,
		CreatedAt: now, ExpiresAt: now.Add(deviceLifetime), KnownUntil: now.Add(deviceLifetime + deviceKnown),
		Interval: pollInterval, NoRow: !client.Stored(),
	}, deviceLimits)
	shown = SpacedUserCode(shown)
	at := i.endpoint("/device")
	return DeviceAnswer{
		DeviceCode: code, UserCode: shown,
		VerificationURI: at, VerificationURIComplete: at + "?" + url.Values{"user_code": {shown}}.Encode(),
		ExpiresIn: int64(deviceLifetime / time.Second), Interval: int64(pollInterval / time.Second),
	}, err
}

// deviceCodeHash is an HMAC, not the SHA-256 of an authorization code: no authorization code has the
// hash of a device code, whatever text is sent as a code.
func (i *Issuer) deviceCodeHash(code string) (hash userstore.CodeHash, err error) {
	sum, err := i.FormMAC("device code", code)
	copy(hash[:], sum)
	return hash, err
}

func (i *Issuer) userCodeHash(code string) (hash userstore.UserCodeHash, err error) {
	sum, err := i.FormMAC("user code", code)
	copy(hash[:], sum)
	return hash, err
}

// A user code has 12 of the 20 consonants that RFC 8628 section 6.1 proposes: no two look alike,
// they form no words, and there are 20^12 codes, more than 2^51.
const (
	userCodeSymbols = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength  = 12
	userCodeGroup   = 4
)

// newUserCode returns a user code as it is hashed.
func newUserCode() string {
	const fair = 256 - 256%len(userCodeSymbols) // bytes from here on would favour some symbols
	out := make([]byte, 0, userCodeLength)
	for len(out) < userCodeLength {
		var b [userCodeLength]byte
		_, _ = rand.Read(b[:]) // never fails, see its documentation
		for _, n := range b {
			if int(n) < fair && len(out) < userCodeLength {
				out = append(out, userCodeSymbols[int(n)%len(userCodeSymbols)])
			}
		}
	}
	return string(out)
}

// SpacedUserCode returns a user code as people see it: XXXX-XXXX-XXXX.
func SpacedUserCode(code string) string {
	var groups []string
	for n := 0; n < len(code); n += userCodeGroup {
		groups = append(groups, code[n:min(n+userCodeGroup, len(code))])
	}
	return strings.Join(groups, "-")
}

// ReadUserCode returns the user code that a person typed, as it is hashed: case, spaces and hyphens
// do not count. ok is false for a text that is no user code.
func ReadUserCode(typed string) (code string, ok bool) {
	if len(typed) > 8*userCodeLength {
		return "", false
	}
	code = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, typed)
	return code, len(code) == userCodeLength && strings.Trim(code, userCodeSymbols) == ""
}

// DevicePending returns the request of the device that waits with a user code, as a person typed
// it. The error UserCodeUnknown is the same for a code that is unknown, has expired or was answered.
func (i *Issuer) DevicePending(ctx context.Context, userCode string) (Pending, DeviceView, error) {
	code, ok := ReadUserCode(userCode)
	if !ok {
		return Pending{}, DeviceView{}, errUserCode
	}
	hash, err := i.userCodeHash(code)
	if err != nil {
		return Pending{}, DeviceView{}, err
	}
	row, err := i.Devices.DeviceByUserCode(ctx, hash)
	if err != nil {
		return Pending{}, DeviceView{}, unlessGone(err)
	}
	p := Pending{
		ID: i.NewID(), At: i.now(), ClientID: row.ClientID, Scopes: row.Scopes, Resources: row.Resources,
		Device: row.ID, UserCode: SpacedUserCode(code),
	}
	if row.State != userstore.DeviceWaiting || !p.At.Before(row.ExpiresAt) {
		return Pending{}, DeviceView{}, errUserCode
	}
	client, err := i.enabledClient(ctx, row.ClientID)
	switch {
	case refused(err, InvalidClient):
		return Pending{}, DeviceView{}, errUserCode.because(err)
	case err != nil:
		return Pending{}, DeviceView{}, err
	}
	defaults := AuthorizationRequest{}.withDefaults(client)
	if err := errors.Join(readPrompt(&p, defaults), i.readIdentity(&p, defaults)); err != nil {
		return Pending{}, DeviceView{}, failed(err)
	}
	return p, viewOfDevice(p, row, client), nil
}

// DeviceOf returns what the page shows of the device that p is for. The error is for a page:
// UserCodeUnknown, if the request has expired or was answered otherwise.
func (i *Issuer) DeviceOf(ctx context.Context, p Pending) (DeviceView, error) {
	client, err := i.enabledClient(ctx, p.ClientID)
	if err != nil {
		return DeviceView{}, err
	}
	row, err := i.deviceFor(ctx, p)
	return viewOfDevice(p, row, client), err
}

func viewOfDevice(p Pending, row userstore.DeviceAuthorization, client userstore.Client) DeviceView {
	return DeviceView{
		Client: client, UserCode: p.UserCode, Address: row.Address, UserAgent: row.UserAgent,
		RequestedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt,
	}
}

// deviceFor returns the device authorization that p may answer, or has answered: a form that is sent
// twice is answered twice.
func (i *Issuer) deviceFor(ctx context.Context, p Pending) (userstore.DeviceAuthorization, error) {
	row, err := i.Devices.DeviceByID(ctx, p.Device)
	switch {
	case err != nil:
		return row, unlessGone(err)
	case row.State == userstore.DeviceWaiting && i.now().Before(row.ExpiresAt):
		return row, nil
	case row.State != userstore.DeviceWaiting && row.AnsweredBy == p.ID:
		return row, nil
	}
	return userstore.DeviceAuthorization{}, errUserCode
}

// unlessGone translates the error of a read of a device authorization.
func unlessGone(err error) error {
	if errors.Is(err, userstore.ErrNotFound) {
		return errUserCode
	}
	return failed(err)
}

// allowDevice stores the code that the device gets its tokens for, and the consent.
func (i *Issuer) allowDevice(
	ctx context.Context, p Pending, d Decision, b Browser, consent *userstore.Consent,
) (Decision, error) {
	row, err := i.deviceFor(ctx, p)
	if err != nil {
		return Decision{}, err
	}
	if row.State != userstore.DeviceWaiting { // by p itself
		return answeredDevice(d, row.State)
	}
	subject, err := i.pairwiseSubject(ctx, d.Client, b.User.ID)
	if err != nil {
		return Decision{}, err
	}
	now := i.now()
	code := i.codeOf(p, d, b, row.CodeHash, now)
	code.Subject, code.ExpiresAt = subject, row.ExpiresAt
	code.UserAgent, code.Address = row.UserAgent, row.Address // the session is that of the device
	code.Answers = userstore.DeviceAnswer{ID: row.ID, By: p.ID}
	events := []audit.Event{deviceEvent(ctx, now, audit.DeviceAllowed, p, b)}
	if d.Client.FirstParty {
		consent = nil // a first-party client has no consent to withdraw
	} else {
		events = append(events, deviceEvent(ctx, now, audit.ConsentGranted, p, b))
		code.NewClient = registration.RowOf(byUser(ctx, b), d.Client, now)
	}
	if err := i.keepUsed(ctx, d.Client); err != nil {
		return Decision{}, err
	}
	err = audit.Stored(ctx, i.Log, i.Codes.SaveCode(ctx, code, consent, now.Add(-i.SessionIdle), events...), events...)
	switch {
	case errors.Is(err, userstore.ErrConflict):
		return i.afterConflict(ctx, p, d)
	case err != nil && !errors.Is(err, userstore.ErrExists): // which means that the device has its tokens
		return Decision{}, failed(err)
	}
	d.Step = DeviceAllowed
	return d, nil
}

// denyDevice refuses the device that p is for.
func (i *Issuer) denyDevice(ctx context.Context, p Pending, d Decision, b Browser) (Decision, error) {
	now := i.now()
	e := deviceEvent(ctx, now, audit.DeviceDenied, p, b)
	answer := userstore.DeviceAnswer{ID: p.Device, By: p.ID}
	err := audit.Stored(ctx, i.Log, i.Devices.DenyDevice(ctx, answer, now, e), e)
	switch {
	case errors.Is(err, userstore.ErrConflict):
		return i.afterConflict(ctx, p, d)
	case err != nil:
		return Decision{}, failed(err)
	}
	d.Step = DeviceDenied
	return d, nil
}

// afterConflict returns the step after an answer was not stored: the device was answered meanwhile,
// by p in another tab or by somebody else, or else session, user or client ended, and the user can
// only log in again.
func (i *Issuer) afterConflict(ctx context.Context, p Pending, d Decision) (Decision, error) {
	row, err := i.deviceFor(ctx, p)
	switch {
	case err != nil:
		return Decision{}, err
	case row.State != userstore.DeviceWaiting:
		return answeredDevice(d, row.State)
	}
	d.Step, d.Reauthenticate = LogIn, false
	return d, nil
}

func answeredDevice(d Decision, state userstore.DeviceState) (Decision, error) {
	d.Step = DeviceDenied
	if state == userstore.DeviceAllowed {
		d.Step = DeviceAllowed
	}
	return d, nil
}

// deviceEvent returns the audit entry of what the user of b did about the device that p is for.
func deviceEvent(ctx context.Context, now time.Time, name audit.Name, p Pending, b Browser) audit.Event {
	return audit.New(byUser(ctx, b), now, name, audit.Target{Type: audit.OnClient, ID: p.ClientID})
}
