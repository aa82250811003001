package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// Of many who redeem tokens of one user at once, one does.
func raceTokens(t *testing.T, f *fixture) {
	for round := range 10 {
		u := f.user(t)
		token := f.issue(t, u)
		hash := ""
		if round%2 == 0 {
			hash = "hash-"
		}
		events := make([]audit.Event, 6)
		for i := range events {
			events[i] = f.event(u.ID)
		}
		equal(t, "winners", winners(t, 6, userstore.ErrConflict, func(i int) error {
			r := userstore.Redemption{ID: token.ID, Kind: token.Kind, At: f.now}
			if hash != "" {
				r.NewHash = hash + fmt.Sprint(i)
			}
			return f.RedeemToken(t.Context(), r, events[i])
		}), 1)
		told, err := f.ListEvents(t.Context(), userstore.EventQuery{TargetID: u.ID, Limit: 10})
		must(t, err)
		equal(t, "events", len(told), 1)
	}
}

// A reset against a change of password, and against disabling: both happened, or the reset did not; and a login under way
// is never left behind by a reset.
func raceTokensEnd(t *testing.T, f *fixture) {
	for round := range 12 {
		u := f.user(t)
		token := f.issue(t, u)
		g := f.newGrant(u)
		var reset, login error
		together(3, func(i int) {
			switch {
			case i == 0:
				reset = f.RedeemToken(t.Context(), userstore.Redemption{ID: token.ID, Kind: token.Kind,
					NewHash: "reset", At: f.now})
			case i == 1:
				login = f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash})
			case round%2 == 0:
				must(t, f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, NewHash: "set", At: f.now}))
			default:
				must(t, f.SetActive(t.Context(), u.ID, false, f.now))
			}
		})
		if reset != nil {
			isAsync(t, reset, userstore.ErrConflict)
		}
		after, err := f.UserByID(t.Context(), u.ID)
		must(t, err)
		if round%2 == 0 {
			equal(t, "the password", after.PasswordHash, "set") // or a token outlived the change
		} else {
			equal(t, "active", after.IsActive, false)
			equal(t, "reset, as the answer says", after.PasswordHash == "reset", reset == nil)
		}
		if login == nil {
			v, err := f.GrantByID(t.Context(), g.ID)
			must(t, err)
			equal(t, "the grant lives", v.Grant.RevokedAt.IsZero(), false)
		}
	}
}

// However many ask at once, a budget lets in as many as it has room for (P-01).
func raceMailRequests(t *testing.T, f *fixture) {
	limits := []userstore.Limit{{Free: 2, Window: time.Minute}}
	budget := id()
	together(12, func(int) {
		r, m := f.request(budget)
		if err := f.RequestMail(t.Context(), r, limits, m); err != nil {
			t.Error(err)
		}
	})
	equal(t, "messages", len(f.waits(t, budget+"@example.test")), 2)

	r, m := f.request(id())
	must(t, f.RequestMail(t.Context(), r, limits, m))
	equal(t, "tries", winners(t, 12, userstore.ErrConflict, func(int) error {
		return f.TryCode(t.Context(), r.ID, r.Kind, r.At, 5)
	}), 5)
}
