package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// raceAppSessions claims with many workers at once, and with codes that are redeemed while the
// browser logs out. Each app session is claimed by one worker, and none is left that nobody tells.
func raceAppSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	var grants []userstore.Grant
	var mu sync.Mutex
	for range 4 {
		s := f.session(t, u)
		var codes []userstore.Code
		for range 4 {
			c := f.listener(t)
			codes = append(codes, f.code(t, s, c), f.code(t, s, c), f.code(t, s, c))
		}
		var all sync.WaitGroup
		for mine := range slices.Chunk(codes, 3) {
			all.Go(func() {
				for _, code := range mine {
					r := f.redeem(code)
					err := f.RedeemCode(ctx, r)
					if err == nil {
						mu.Lock()
						grants = append(grants, r.Grant)
						mu.Unlock()
						continue
					}
					isAsync(t, err, userstore.ErrConflict)
				}
			})
		}
		for range 2 {
			all.Go(func() {
				if err := f.EndSession(ctx, s.ID, f.now); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	claimed := map[string]int{}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for {
				e, err := f.ClaimEndedAppSession(ctx, id(), f.now, f.now.Add(time.Minute), 1000)
				if errors.Is(err, userstore.ErrNotFound) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				claimed[e.SessionID]++
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	for _, g := range grants {
		if claimed[g.SessionID] != 1 {
			t.Errorf("the app of %s is told %d times", g.SessionID, claimed[g.SessionID])
		}
	}
	equal(t, "claimed", len(claimed), len(grants))
}
