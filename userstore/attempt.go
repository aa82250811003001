package userstore

import (
	"crypto/rand"
	"time"
)

// BudgetKey names a budget. It is an HMAC of what the budget is for: a copy of the store tells
// neither which names nor from which networks somebody tried.
type BudgetKey [16]byte

// Attempt is one check of a password, or one sign-up, as budgets count it: from the moment it
// is reserved, in each of its budgets. The zero value is none.
type Attempt struct {
	ID [16]byte // random
	At time.Time

	// Own is the budget of this account and this network. It is what counts for a
	// network that the store remembers under this key, and Strangers what counts for all others.
	Own, Strangers BudgetKey // zero, both: none
	Network        BudgetKey // of this network and all accounts; zero: none
	// Block is the budget of the wider block that the network lies in. Only an attempt that counts
	// against Strangers counts against it. Zero: none; it needs an account.
	Block BudgetKey
}

// Reserve asks for an attempt.
type Reserve struct {
	Attempt
	OwnLimit, StrangersLimit, NetworkLimit, BlockLimit Limit
	// PendingUntil is when it counts as wrong though nothing more was heard of it. At or before
	// At: at once.
	PendingUntil time.Time
}

// Tallies are the budgets of an attempt.
type Tallies struct {
	Remembered bool  // the network is: Account is the tally of Own, else that of Strangers
	Account    Tally // zero without such a budget
	Network    Tally
	Block      Tally // bounds nothing of a network that is remembered
}

// newAttemptID cannot fail: crypto/rand ends the process instead.
func newAttemptID() (id [16]byte) {
	rand.Read(id[:])
	return id
}
