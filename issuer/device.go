package issuer

import (
	"context"
	"time"

	"github.com/signet-id/signet/userstore"
)

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

var errUserCode = refuse(UserCodeUnknown,
	"No device waits with this code: it is mistyped, has expired, or was answered before.")

// AuthorizeDevice is the device authorization endpoint. Every error is an *Error.
func (i *Issuer) AuthorizeDevice(ctx context.Context, r DeviceRequest) (DeviceAnswer, error) {
	return DeviceAnswer{}, errUnavailable
}

// DevicePending returns the request of the device that waits with a user code, as a person typed
// it. The error UserCodeUnknown is the same for a code that is unknown, has expired or was answered.
func (i *Issuer) DevicePending(ctx context.Context, userCode string) (Pending, DeviceView, error) {
	return Pending{}, DeviceView{}, errUserCode
}

// DeviceOf returns what the page shows of the device that p is for. The error is for a page:
// UserCodeUnknown, if the request has expired or was answered otherwise.
func (i *Issuer) DeviceOf(ctx context.Context, p Pending) (DeviceView, error) {
	return DeviceView{}, errUserCode
}
