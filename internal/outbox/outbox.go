// Package outbox says what a message is that waits to be sent. A message is made where the rule is
// (accounts), stored by the store in the transaction of the act that causes the message, and sent by any
// replica: see internal/mail.
//
// A message holds what it is about and no content: the text is composed when it is sent. So no row of the
// outbox holds a secret, and none holds what a stranger typed but the address.
package outbox

import "time"

// Kind says which message. The names never change once published: they are rows of a database, and the texts
// of operators are named after them.
type Kind string

// The kinds that there are.
const (
	Test            Kind = "test"             // of `signet mail test`; never in the outbox
	PasswordChanged Kind = "password_changed" // by the owner of the account
	PasswordSet     Kind = "password_set"     // by an admin or operator
	EmailChanged    Kind = "email_changed"    // by the owner of the account; to the address before
	EmailSet        Kind = "email_set"        // by an admin or operator; to the address before

	// Those that carry a one-time token are named after its kind.
	ResetPassword Kind = "reset_password"
	VerifyEmail   Kind = "verify_email"
	Invite        Kind = "invite"
)

// Kinds lists every kind.
var Kinds = []Kind{Test, PasswordChanged, PasswordSet, EmailChanged, EmailSet, ResetPassword, VerifyEmail, Invite}

// OfUse is how long a notice is of use: it tells of something that its reader may have to act upon.
const OfUse = 3 * 24 * time.Hour

// Message is one message to one address.
type Message struct {
	// ID is 128 random bits in base64url, never used again. It is the left part of the Message-ID, so that a
	// second copy can be recognised.
	ID     string
	Kind   Kind
	UserID string // whose account it is about; may be empty
	To     string // an address that the rules of accounts let in
	Locale string // the user's, a BCP 47 tag; may be empty
	At     time.Time
	EndsAt time.Time // after that the message is of no use, and is given up
}

// Contents is what a message holds beside its text: it is made when the message is composed, and never stored.
type Contents struct {
	To     string // the address of the account, as its owner typed it
	Locale string
	Link   string // the path of a page under the issuer; empty: the message has none
	Code   string // empty: none
}

// Waiting is a message of the outbox, and how it fared.
type Waiting struct {
	Message
	Lease    string    // of the worker that is sending it, or of the last one that tried
	DueAt    time.Time // not tried before; while a lease holds, its end
	Attempts int
	Reason   string // why the last attempt failed; a sentence without content of the message
}

// State is how many messages wait, and since when the oldest does.
type State struct {
	Waiting int
	Oldest  time.Time // zero: none waits
}
