// Package outbox defines a message that waits to be sent. Package userstore makes the message, its
// store writes it in the transaction of the operation that causes it, and any replica sends it: see
// internal/mail.
//
// A message holds its subject matter and no text: the text is composed when it is sent. So no row
// of the outbox holds a secret, and the address is the only text in it that a user typed.
package outbox

import (
	"time"

	"github.com/signet-id/signet/internal/device"
)

// Kind is the kind of a message. A published name never changes: databases hold it, and the texts
// of operators are named after it.
type Kind string

// The kinds of messages.
const (
	Test            Kind = "test"             // of `signet mail test`; never in the outbox
	PasswordChanged Kind = "password_changed" // by the owner of the account
	PasswordSet     Kind = "password_set"     // by an admin or operator
	EmailChanged    Kind = "email_changed"    // by the owner of the account; to the address before
	EmailSet        Kind = "email_set"        // by an admin or operator; to the address before

	NewDevice Kind = "new_device" // a login in a browser that was not recognised

	FactorRemoved    Kind = "factor_removed"     // a second factor, by the owner of the account
	FactorsReset     Kind = "factors_reset"      // all of them, by an admin or operator
	RecoveryCodeUsed Kind = "recovery_code_used" // in the place of a second factor

	// Those that carry a one-time token are named after its kind.
	ResetPassword Kind = "reset_password"
	VerifyEmail   Kind = "verify_email"
	Invite        Kind = "invite"
	ChangeEmail   Kind = "change_email" // to the new address
	UndoEmail     Kind = "undo_email"   // to the address before: a notice with a link that undoes the change
	FactorAdded   Kind = "factor_added" // a notice with a link that removes the second factor
	FactorCode    Kind = "factor_code"  // before the first second factor is set up; a code and no link

	// AccountExists is what a message of the kind VerifyEmail becomes when somebody signed up with
	// the address of an account. It is never in the outbox.
	AccountExists Kind = "account_exists"
)

// Kinds lists every kind.
var Kinds = []Kind{
	Test, PasswordChanged, PasswordSet, EmailChanged, EmailSet, NewDevice, FactorRemoved, FactorsReset, RecoveryCodeUsed,
	ResetPassword, VerifyEmail, Invite, ChangeEmail, UndoEmail, FactorAdded, FactorCode, AccountExists,
}

// OfUse is how long a notice is worth sending: its reader may have to act on it.
const OfUse = 3 * 24 * time.Hour

// Message is one message to one address.
type Message struct {
	// ID is 128 random bits in base64url, never used again. It is the left part of the Message-ID,
	// so that a second copy can be recognised.
	ID     string
	Kind   Kind
	UserID string // the owner of the account; may be empty
	To     string // an address that the rules of accounts accept
	Locale string // the user's, a BCP 47 tag; may be empty
	At     time.Time
	EndsAt time.Time     // after this time the message is given up
	Device device.Device // of a login; empty or a name from a fixed list
}

// Contents holds the parts of a message that are made when the message is composed. They are never
// stored.
type Contents struct {
	Kind   Kind   // what the message turned out to be; empty: of its own kind
	To     string // the address of the account, as its owner typed it
	Locale string
	Link   string // the path of a page under the issuer; empty: the message has none
	Code   string // empty: none
	Left   int    // of RecoveryCodeUsed: codes that are left
}

// Waiting is a message of the outbox with the state of its delivery.
type Waiting struct {
	Message
	Lease    string    // of the worker that is sending it, or that tried last
	DueAt    time.Time // the next attempt is not before; while a lease holds, its end
	Attempts int
	Reason   string // why the last attempt failed; a sentence without content of the message
}

// State is the number of waiting messages, and the time of the oldest.
type State struct {
	Waiting int
	Oldest  time.Time // zero: none waits
}
