package issuer_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

func TestT18ReplayEndsTheWholeGrant(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.login("openid")
		second := w.refreshed(first.RefreshToken)
		third := w.refreshed(second.RefreshToken)
		_, err := w.refresh(first.RefreshToken)
		w.refused(err, issuer.InvalidGrant)
		for name, token := range map[string]string{
			"first": first.RefreshToken, "second": second.RefreshToken, "third": third.RefreshToken,
		} {
			t.Run(name, func(t *testing.T) { w.in(t).dead(token) })
		}
		for _, r := range []issuer.TokenResponse{first, second, third} {
			_, err := w.Bearer(t.Context(), r.AccessToken)
			w.refused(err, issuer.InvalidToken)
		}
		if w.log.count("refresh_replay") != 1 {
			t.Errorf("logged %s", w.log)
		}
	})
}

func TestT24WhatEndsAGrantCounts(t *testing.T) {
	rows := map[string]func(w *world) error{
		"password change": func(w *world) error {
			return w.Accounts.SetPassword(w.Context(), w.alice.ID, "another password of alice")
		},
		"logout everywhere": func(w *world) error {
			_, err := w.db.RevokeUserGrants(w.Context(), w.alice.ID, "", w.clock.Now())
			return err
		},
		"user disabled": func(w *world) error {
			return w.db.SetActive(w.Context(), w.alice.ID, false, w.clock.Now())
		},
		"client disabled": func(w *world) error {
			return w.db.SetClientActive(w.Context(), "app", false, w.clock.Now())
		},
		"user deleted": func(w *world) error { return w.db.DeleteUser(w.Context(), w.alice.ID) },
	}
	each(t, func(t *testing.T, w *world) {
		for name, end := range rows {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.another()
				defer func() { w.must(w.db.SetClientActive(context.Background(), "app", true, w.clock.Now())) }()
				r := w.login("profile")
				// Refreshes run all the while; those that begin after the end are refused.
				stop, running := make(chan struct{}), sync.WaitGroup{}
				latest := r.RefreshToken
				running.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						next, err := w.refresh(latest)
						if err != nil {
							return
						}
						latest = next.RefreshToken
					}
				})
				w.must(end(w))
				_, err := w.refresh(r.RefreshToken)
				w.refused(err, issuer.InvalidGrant)
				close(stop)
				running.Wait()
				_, err = w.refresh(latest)
				w.refused(err, issuer.InvalidGrant)
				_, err = w.Bearer(t.Context(), r.AccessToken)
				w.refused(err, issuer.InvalidToken)
			})
		}
	})
}

// A disabled user or client whose grants were not revoked is refused all the same, and the grant
// stays unchanged.
func TestDisabledWithoutRevocationLeavesTheGrant(t *testing.T) {
	rows := map[string]func(v *userstore.GrantView){
		"user":   func(v *userstore.GrantView) { v.User.IsActive = false },
		"client": func(v *userstore.GrantView) { v.Client.DisabledAt = v.Grant.CreatedAt },
	}
	each(t, func(t *testing.T, w *world) {
		for name, edit := range rows {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				r := w.login("profile")
				w.store.on("AdvanceGrant", func() error { return userstore.ErrConflict }, nil)
				w.store.edit = edit
				w.untouched(r.RefreshToken, func() {
					_, err := w.refresh(r.RefreshToken)
					w.refused(err, issuer.InvalidGrant)
				})
				_, err := w.Bearer(t.Context(), r.AccessToken)
				w.refused(err, issuer.InvalidToken)
			})
		}
	})
}

func TestT25AliceDeletedAndBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.login("profile")
		w.must(w.db.DeleteUser(t.Context(), w.alice.ID))
		w.alice = w.user("alice@example.test")
		_, err := w.refresh(r.RefreshToken)
		w.refused(err, issuer.InvalidGrant)
		_, err = w.Bearer(t.Context(), r.AccessToken)
		w.refused(err, issuer.InvalidToken)
	})
}

func TestT28Limits(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.RefreshAbsolute, w.RefreshIdle = 30*time.Minute, 10*time.Minute

		idle := w.login("profile").RefreshToken
		w.wait(10*time.Minute - time.Second)
		idle = w.refreshed(idle).RefreshToken
		w.wait(10 * time.Minute)
		w.untouched(idle, func() {
			_, err := w.refresh(idle)
			w.refused(err, issuer.Expired)
			_, err = w.Refresh(t.Context(),
				issuer.RefreshRequest{RefreshToken: idle, Scope: "profile", FirstParty: true})
			w.refused(err, issuer.Expired)
		})

		token := w.login("profile").RefreshToken
		for range 29 {
			w.wait(time.Minute)
			r := w.refreshed(token)
			token = r.RefreshToken
			left := w.row(token).ExpiresAt.Sub(w.clock.Now())
			if r.ExpiresIn > int64(left.Seconds()) {
				t.Fatalf("an access token of %d s outlives a grant that ends in %v", r.ExpiresIn, left)
			}
		}
		w.wait(time.Minute)
		w.untouched(token, func() {
			_, err := w.refresh(token)
			w.refused(err, issuer.Expired)
		})
	})
}

// The row's own limits hold even where the token's exp says more: the idle limit
// was lowered, or a thief of signing keys wrote another exp.
func TestT28TheRowDecides(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.login("profile").RefreshToken
		forever := w.forge(jose.EdDSA, issuer.TypeRefreshToken,
			with(w.claims(token), map[string]any{"exp": int64(1) << 62}))
		w.wait(w.RefreshIdle)
		w.untouched(token, func() {
			_, err := w.refresh(forever)
			w.refused(err, issuer.Expired)
			// Expired but otherwise genuine: before or after the swap, no replay is seen.
			_, err = w.refresh(token)
			w.refused(err, issuer.Expired)
		})
	})
}
