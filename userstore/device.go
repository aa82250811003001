package userstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// UserCodeHash is the HMAC of a user code. The code is short, so a plain hash would not hide it.
type UserCodeHash [32]byte

// DeviceState says how a device authorization was answered.
type DeviceState string

// The states of a device authorization.
const (
	DeviceWaiting DeviceState = ""
	DeviceAllowed DeviceState = "allowed" // a code is stored under CodeHash
	DeviceDenied  DeviceState = "denied"
)

// DeviceAuthorization is a request of a device that waits until a user has answered it in a browser
// (RFC 8628).
type DeviceAuthorization struct {
	ID       string // 128 random bits
	CodeHash CodeHash
	UserCode UserCodeHash

	ClientID  string
	Scopes    []string
	Resources []string
	Address   string // that the request came from
	UserAgent string

	CreatedAt  time.Time
	ExpiresAt  time.Time     // until then it can be answered
	KnownUntil time.Time     // until then the row is kept
	Interval   time.Duration // that the device has to wait between two polls

	NoRow bool // of SaveDevice, as PushedRequest.NoRow

	State      DeviceState
	AnsweredBy string // the id of the authorization request that answered it
}

// DeviceLimits bound the device authorizations that have not expired.
type DeviceLimits struct{ OfClient, InAll int }

// DevicePoll is a poll of a device that waits.
type DevicePoll struct {
	CodeHash CodeHash
	Now      time.Time
	Slack    time.Duration // a poll may come so much before the interval is over
	Step     time.Duration // a poll that is too early makes the interval so much longer
	Longest  time.Duration // the interval grows no longer
}

// DeviceAnswer answers a device authorization.
type DeviceAnswer struct {
	ID string
	By string // DeviceAuthorization.AnsweredBy
}

// Devices stores device authorizations. SaveCode allows one: Code.Answers.
type Devices interface {
	// SaveDevice stores a device authorization of an enabled client, if the limits have room at
	// d.CreatedAt. ErrConflict: they have none, the client is not enabled, or a code is taken. The
	// limit of a client holds however many calls there are at once; the limit in all may be passed
	// by as many rows as calls run at once. All clients without a row share the limit of one.
	SaveDevice(ctx context.Context, d DeviceAuthorization, limits DeviceLimits) error
	// DeviceByCode, DeviceByUserCode and DeviceByID read a device authorization, whether it waits,
	// was answered or has expired. ErrNotFound: there is none, or its client was disabled or deleted
	// since.
	DeviceByCode(ctx context.Context, hash CodeHash) (DeviceAuthorization, error)
	DeviceByUserCode(ctx context.Context, hash UserCodeHash) (DeviceAuthorization, error)
	DeviceByID(ctx context.Context, id string) (DeviceAuthorization, error)
	// PollDevice counts a poll of a device authorization that waits at p.Now. early: the interval
	// since the last poll was not over, and is p.Step longer from now on, up to p.Longest. Of many
	// polls at once all but one are early. ErrConflict: it does not wait.
	PollDevice(ctx context.Context, p DevicePoll) (early bool, err error)
	// DenyDevice denies a device authorization that waits at now. ErrConflict: it does not wait.
	DenyDevice(ctx context.Context, a DeviceAnswer, now time.Time, events ...audit.Event) error
}
