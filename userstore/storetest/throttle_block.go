package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// A block is a second, wider budget around networks. It counts and refuses strangers only.
func throttleBlocks(t *testing.T, f *fixture) {
	ctx := t.Context()
	block := budget()
	inBlock := func(networkToo bool) userstore.Reserve {
		r := f.reserve()
		r.Block, r.BlockLimit = block, userstore.Limit{Free: 4, Window: time.Hour}
		if !networkToo {
			r.Network = userstore.BudgetKey{}
		}
		return r
	}
	for _, networkToo := range []bool{true, false} {
		block = budget()
		for range 4 { // each from a network of its own, at an account of its own
			r := inBlock(networkToo)
			must(t, f.ReserveAttempt(ctx, r))
			equal(t, "pending", f.tallies(t, r).Block.Pending, 1)
			must(t, f.FailAttempt(ctx, r.Attempt))
			equal(t, "settled", f.tallies(t, r).Block.Pending, 0)
		}
		r := inBlock(networkToo)
		before := f.tallies(t, r)
		equal(t, "counted", before.Block.Wrong, 4)
		is(t, f.ReserveAttempt(ctx, r), userstore.ErrConflict)
		equal(t, "a refusal counts nowhere", f.tallies(t, r), before)

		// A remembered network is neither refused nor counted.
		u, known := f.user(t), inBlock(networkToo)
		known.Block = budget()
		must(t, f.ReserveAttempt(ctx, known))
		must(t, f.StartGrant(ctx, userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash,
			Attempt: known.Attempt, Remember: f.now.Add(time.Hour)}))
		equal(t, "given back by the login", f.tallies(t, known).Block, userstore.Tally{})
		known = nextAttempt(known, 0)
		known.Block = block
		for range 2 {
			known = nextAttempt(known, 0)
			must(t, f.ReserveAttempt(ctx, known))
			must(t, f.FailAttempt(ctx, known.Attempt))
		}
		equal(t, "what remembered ones count in the block", f.tallies(t, known).Block.Wrong, 4)
		is(t, f.ReserveAttempt(ctx, nextAttempt(known, 0)), userstore.ErrConflict) // by its own budget

		// Later there is room again, and a returned attempt leaves the block.
		late := nextAttempt(inBlock(networkToo), time.Hour)
		must(t, f.ReserveAttempt(ctx, late))
		must(t, f.ReturnAttempt(ctx, late.Attempt))
		equal(t, "given back", f.tallies(t, late), userstore.Tallies{})

		// An attempt that the account or the network refuses does not count in the block.
		block = budget()
		full := inBlock(networkToo)
		full.Block = userstore.BudgetKey{}
		f.wrongPasswords(t, full, 3)
		full.Block = block
		is(t, f.ReserveAttempt(ctx, nextAttempt(full, 0)), userstore.ErrConflict)
		equal(t, "after a refusal by the account", f.tallies(t, full).Block, userstore.Tally{})
	}
}

// withoutAccount returns the reservation of a sign-up from a new network in the block: 5 in an hour
// for the network, 4 for the block.
func (f *fixture) withoutAccount(block userstore.BudgetKey) userstore.Reserve {
	r := f.reserve()
	r.Own, r.Strangers = userstore.BudgetKey{}, userstore.BudgetKey{}
	r.OwnLimit, r.StrangersLimit = userstore.Limit{}, userstore.Limit{}
	r.Block, r.BlockLimit = block, userstore.Limit{Free: 4, Window: time.Hour}
	r.PendingUntil = r.At
	return r
}

// throttleBlockAlone tests that a block bounds attempts without an account, too.
func throttleBlockAlone(t *testing.T, f *fixture) {
	ctx := t.Context()
	block := budget()
	var first userstore.Reserve
	for i := range 4 {
		r := f.withoutAccount(block)
		must(t, f.ReserveAttempt(ctx, r))
		counted := f.tallies(t, r)
		equal(t, "of the network", counted.Network.Wrong, 1)
		equal(t, "of the block", counted.Block.Wrong, i+1)
		if i == 0 {
			first = r
		}
	}
	r := f.withoutAccount(block)
	before := f.tallies(t, r)
	is(t, f.ReserveAttempt(ctx, r), userstore.ErrConflict)
	equal(t, "a refusal counts nowhere", f.tallies(t, r), before)
	must(t, f.ReserveAttempt(ctx, f.withoutAccount(budget()))) // another block

	// A returned attempt leaves both, and later there is room again.
	must(t, f.ReturnAttempt(ctx, first.Attempt))
	equal(t, "given back", f.tallies(t, first).Network.Wrong, 0)
	must(t, f.ReserveAttempt(ctx, r))
	is(t, f.ReserveAttempt(ctx, f.withoutAccount(block)), userstore.ErrConflict)
	must(t, f.ReserveAttempt(ctx, nextAttempt(f.withoutAccount(block), time.Hour)))

	// An attempt that the network refuses does not count in the block.
	full := f.withoutAccount(budget())
	full.NetworkLimit.Free = 2
	for range 2 {
		full = nextAttempt(full, 0)
		must(t, f.ReserveAttempt(ctx, full))
	}
	full = nextAttempt(full, 0)
	is(t, f.ReserveAttempt(ctx, full), userstore.ErrConflict)
	equal(t, "after a refusal by the network", f.tallies(t, full).Block.Wrong, 2)

	// However many come at once, the block lets in as many as it has room for.
	block = budget()
	equal(t, "let in at once", winners(t, 16, userstore.ErrConflict, func(int) error {
		return f.ReserveAttempt(t.Context(), f.withoutAccount(block))
	}), 4)
}
