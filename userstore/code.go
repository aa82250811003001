package userstore

import (
	"time"
)

// CodeHash is the SHA-256 of an authorization code: a copy of the store redeems none.
type CodeHash [32]byte

// Code is an authorization code as the store keeps it (RFC 6749 section 4.1): what a user allowed a
// client, until it is redeemed for a grant.
type Code struct {
	Hash     CodeHash
	ClientID string
	UserID   string
	// BrowserSession is the public id of the browser session in which the user allowed it. It has to
	// be live when the code is saved, and the code is void once it has ended.
	BrowserSession string

	RedirectURI   string // that the code went to; to be repeated at the token endpoint
	CodeChallenge string // S256; empty: the request had none

	Scopes    []string
	Resources []string
	Nonce     string
	Claims    string // the claims request (OIDC Core section 5.5) as canonical JSON; empty: none
	AuthTime  time.Time
	AMR       []string
	ACR       string

	// ByConsent: what the user allowed this client before, and the store remembers, stands behind the
	// code, which is void without. A code that is saved with a consent has it by itself.
	ByConsent bool

	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // zero: not yet
	GrantID   GrantID   // that came of it, once used

	UserAgent string // of the browser
	Address   string
}

// CodeView is a code with what must hold around it.
type CodeView struct {
	Code   Code
	User   User // without PasswordHash
	Client Client
}

// Redeem is what turns a code into a grant.
type Redeem struct {
	Hash  CodeHash
	Grant Grant // of the code's user and client
	Now   time.Time

	IdleSince time.Time // grants not rotated since are not live; zero: all are
}
