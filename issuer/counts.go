package issuer

import (
	"errors"
	"strings"
	"sync/atomic"

	"github.com/signet-id/signet/internal/counts"
	"github.com/signet-id/signet/userstore"
)

// Counts counts what an issuer does, for metrics. The zero value is ready, and nil counts nothing.
type Counts struct {
	Refreshes counts.Outcomes // by RefreshOutcomes
	Codes     counts.Outcomes // authorization codes at the token endpoint, by CodeOutcomes
	Devices   atomic.Uint64

	requests [len(grantLabels)]counts.Outcomes // at the token endpoint, by RequestOutcomes

	// Tokens are counted by client. A client of an operator has a count of its own, up to maxCounted
	// of them. All clients that made themselves share one, so that strangers add none.
	clients  counts.Cells[string, *counts.Outcomes]
	selfMade counts.Outcomes
	others   counts.Outcomes
}

// maxCounted is how many clients have counts of their own: the first ones that get a token.
const maxCounted = 100

// The names under which clients without a count of their own are counted. No client of an operator
// can have such an id, because it would have to be one of visible characters without brackets.
const (
	SelfMadeClients = "(self-made)"
	OtherClients    = "(other)"
)

// RefreshOutcomes are the outcomes of a refresh token that was presented.
var RefreshOutcomes = []string{"rotated", "repeated", "late", "replay", "generation_ahead", "expired", "refused", "failed"}

const (
	refreshRotated = iota
	refreshRepeated
	refreshLate
	refreshReplay
	refreshAhead
	refreshExpired
	refreshRefused
	refreshFailed
)

// CodeOutcomes are the outcomes of an authorization code that was presented.
var CodeOutcomes = []string{"redeemed", "replay", "expired", "refused", "failed"}

const (
	codeRedeemed = iota
	codeReplayed
	codeExpired
	codeRefused
	codeFailed
)

// RequestOutcomes are the outcomes of a request at the token endpoint.
var RequestOutcomes = []string{"ok", "refused", "overloaded", "failed"}

const (
	requestOK = iota
	requestRefused
	requestOverloaded
	requestFailed
)

// TokenKinds are the kinds of tokens that are counted.
var TokenKinds = []string{"access", "id", "refresh", "logout"}

const (
	kindAccess = iota
	kindID
	kindRefresh
	kindLogout
)

// grantLabels are the grant types as metrics name them; the last one is of any other text.
var grantLabels = [...]string{"authorization_code", "refresh_token", "client_credentials", "device_code", "other"}

func grantLabel(grantType string) int {
	switch grantType {
	case userstore.GrantAuthorizationCode:
		return 0
	case userstore.GrantRefreshToken:
		return 1
	case userstore.GrantClientCredentials:
		return 2
	case userstore.GrantDeviceCode:
		return 3
	}
	return len(grantLabels) - 1
}

// token counts a token of a client.
func (c *Counts) token(kind int, client *userstore.Client) {
	if c != nil {
		c.of(client).Add(kind)
	}
}

// of returns the counts of a client. It takes no lock for a client that has counts already.
func (c *Counts) of(client *userstore.Client) *counts.Outcomes {
	if client.Kind != "" {
		return &c.selfMade
	}
	known := c.clients.All()
	if own := known[client.ID]; own != nil {
		return own
	}
	if len(known) >= maxCounted {
		return &c.others
	}
	id := strings.Clone(client.ID) // of a row whose texts share memory
	own, ok := c.clients.Within(maxCounted, id, func(string) *counts.Outcomes { return &counts.Outcomes{} })
	if !ok {
		return &c.others
	}
	return own
}

// Tokens calls yield with the tokens of each kind that each client got since the start.
func (c *Counts) Tokens(yield func(client, kind string, n uint64)) {
	each := func(client string, own *counts.Outcomes) {
		own.Each(TokenKinds, func(kind string, n uint64) { yield(client, kind, n) })
	}
	each(SelfMadeClients, &c.selfMade)
	each(OtherClients, &c.others)
	for id, own := range c.clients.All() {
		each(id, own)
	}
}

// Requests calls yield with the requests at the token endpoint.
func (c *Counts) Requests(yield func(grantType, outcome string, n uint64)) {
	for i := range c.requests {
		c.requests[i].Each(RequestOutcomes, func(outcome string, n uint64) { yield(grantLabels[i], outcome, n) })
	}
}

// request counts a request at the token endpoint, whose error is an *Error.
func (c *Counts) request(grantType string, err error) {
	if c == nil {
		return
	}
	outcome := requestOK
	if err != nil {
		switch e, ok := errors.AsType[*Error](err); {
		case !ok, e.Code == Unavailable, e.Code == ServerError:
			outcome = requestFailed
		case e.Code == Overloaded:
			outcome = requestOverloaded
		default:
			outcome = requestRefused
		}
	}
	c.requests[grantLabel(grantType)].Add(outcome)
}

// refresh counts a refresh token. found is what its generation meant, if the grant was reached.
func (c *Counts) refresh(found Standing, err error) {
	if c == nil {
		return
	}
	outcome := refreshRotated
	switch {
	case found == Replayed:
		outcome = refreshReplay
	case found == Ahead:
		outcome = refreshAhead
	case err != nil:
		switch failed(err).Code {
		case Unavailable, ServerError:
			outcome = refreshFailed
		case Expired:
			outcome = refreshExpired
		default:
			outcome = refreshRefused
		}
	case found == InWindow:
		outcome = refreshRepeated
	case found == Late:
		outcome = refreshLate
	}
	c.Refreshes.Add(outcome)
}

// code counts an authorization code.
func (c *Counts) code(err error) {
	if c == nil {
		return
	}
	outcome := codeRedeemed
	switch {
	case err == nil:
	case errors.Is(err, errUsedCode):
		outcome = codeReplayed
	case errors.Is(err, errExpiredCode):
		outcome = codeExpired
	default:
		outcome = codeRefused
		if code := failed(err).Code; code == Unavailable || code == ServerError {
			outcome = codeFailed
		}
	}
	c.Codes.Add(outcome)
}

// device counts a device authorization.
func (c *Counts) device() {
	if c != nil {
		c.Devices.Add(1)
	}
}
