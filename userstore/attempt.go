package userstore

import (
	"crypto/rand"
	"time"
)

// BudgetKey names a budget. It is an HMAC over the parts of its name, so a copy of the store
// reveals neither the attempted names nor the networks.
type BudgetKey [16]byte

// Attempt is one check of a password, or one sign-up. It counts in each of its budgets from the
// moment it is reserved. The zero value is none.
type Attempt struct {
	ID [16]byte // random
	At time.Time

	// Own is the budget of this account and this network. It counts for a network that the store
	// remembers under this key; Strangers counts for all other networks.
	Own, Strangers BudgetKey // both zero: none
	Network        BudgetKey // of this network and all accounts; zero: none
	// Block is the budget of the wider block around the network. An attempt counts against Block
	// only if it counts against Strangers or, without an account, against Network. Zero: none.
	Block BudgetKey
}

// Reserve is an attempt to be reserved, with the limits of its budgets.
type Reserve struct {
	Attempt
	OwnLimit, StrangersLimit, NetworkLimit, BlockLimit Limit
	// PendingUntil is when the attempt begins to count as wrong, unless its result was stored
	// before. At or before At: at once.
	PendingUntil time.Time
}

// Tallies holds what counts against the budgets of an attempt.
type Tallies struct {
	Remembered bool  // the network is remembered: Account is the tally of Own, else that of Strangers
	Account    Tally // zero without such a budget
	Network    Tally
	Block      Tally // does not bound a remembered network
}

// newAttemptID cannot fail: crypto/rand ends the process instead.
func newAttemptID() (id [16]byte) {
	rand.Read(id[:])
	return id
}
