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
		must(t, f.StartGrant(ctx, userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash, Attempt: known.Attempt, Remember: f.now.Add(time.Hour)}))
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

// However many attempts come at once from one block, no more than its budget are allowed.
func raceBlock(t *testing.T, f *fixture) {
	for range 10 {
		block := budget()
		var last userstore.Reserve
		equal(t, "let in", winners(t, 24, userstore.ErrConflict, func(i int) error {
			r := f.reserve()
			r.Block, r.BlockLimit = block, userstore.Limit{Free: 5, Window: time.Hour}
			if i == 0 {
				last = r
			}
			return f.ReserveAttempt(t.Context(), r)
		}), 5)
		equal(t, "counted", f.tallies(t, last).Block.Pending, 5)
	}
}
