package issuer

import (
	"context"
	"errors"
	"time"

	"github.com/signet-id/signet/userstore"
)

// pollInterval is how long a device waits between two polls, until it is told to slow down.
const pollInterval = 5 * time.Second

// The interval of a device that polls too early (RFC 8628 section 3.5).
const (
	pollStep    = 5 * time.Second // what every client adds to its interval
	pollLongest = time.Minute
	pollSlack   = time.Second // a client's clock and the network are not exact
)

var (
	errNoDeviceCode = refuse(InvalidRequest, "Send the device_code.")
	errDeviceCode   = refuse(InvalidGrant, "The device_code is not valid here, or no longer: ask for a new one.")
	errWaiting      = refuse(AuthorizationPending, "The user has not answered yet: ask again after the interval.")
	errSlowDown     = refuse(SlowDown, "This was too early: wait 5 seconds longer between two requests from now on.")
	errDeviceDenied = refuse(AccessDenied, "The user did not allow it.")
	errDeviceOver   = refuse(ExpiredToken, "The device_code has expired: ask for a new one.")
)

// redeemDevice turns a device code into a grant, once a user has allowed it (RFC 8628 section 3.4).
// The interval holds only while the device waits: a device that is answered has nothing to slow
// down. The code of a device that was allowed is redeemed as every code is: it is void once the
// browser session or the consent that it rests on has ended, and a device code that comes again
// after that revokes the grant.
func (i *Issuer) redeemDevice(ctx context.Context, client userstore.Client, r TokenRequest) (Authorization, error) {
	if r.DeviceCode == "" {
		return Authorization{}, errNoDeviceCode
	}
	hash, err := i.deviceCodeHash(r.DeviceCode)
	if err != nil {
		return Authorization{}, err
	}
	r.RedirectURI, r.CodeVerifier = "", "" // they belong to another grant
	for range 3 {
		row, err := i.Devices.DeviceByCode(ctx, hash)
		switch {
		case errors.Is(err, userstore.ErrNotFound):
			return Authorization{}, errDeviceCode.because(errors.New("there is no such device code"))
		case err != nil:
			return Authorization{}, err
		case row.ClientID != client.ID:
			return Authorization{}, errDeviceCode.because(errors.New("the device code of another client"))
		case row.State == userstore.DeviceDenied:
			return Authorization{}, errDeviceDenied
		case !r.now.Before(row.ExpiresAt):
			return Authorization{}, errDeviceOver
		case row.State == userstore.DeviceAllowed:
			a, err := i.redeemHash(ctx, client, r, hash)
			if refused(err, InvalidGrant) {
				err = errDeviceCode.because(errors.Unwrap(err))
			}
			return a, err
		}
		early, err := i.Devices.PollDevice(ctx, userstore.DevicePoll{
			CodeHash: hash, Now: r.now, Slack: pollSlack, Step: pollStep, Longest: pollLongest,
		})
		switch {
		case errors.Is(err, userstore.ErrConflict): // it was answered in between
			continue
		case err != nil:
			return Authorization{}, err
		case early:
			return Authorization{}, errSlowDown
		}
		return Authorization{}, errWaiting
	}
	return Authorization{}, errUnavailable.because(errors.New("the device authorization kept changing"))
}
