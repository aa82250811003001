package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/signet-id/signet/userstore"
)

func raceDeviceBound(t *testing.T, f *fixture) {
	for range 5 {
		c := f.client(t, nil)
		limits := userstore.DeviceLimits{OfClient: 3, InAll: 100000}
		equal(t, "devices of one client", winners(t, 16, userstore.ErrConflict, func(int) error {
			return f.SaveDevice(t.Context(), f.newDevice(c.ID), limits)
		}), 3)
	}
}

func raceDevicePolls(t *testing.T, f *fixture) { PollAtOnce(t, f) }

// PollAtOnce polls for one device 32 times at once, through all of the stores, which are replicas of
// one.
func PollAtOnce(t *testing.T, replicas ...userstore.Store) {
	f := &fixture{Store: replicas[0].(Store), now: base}
	for range 4 {
		d := f.device(t, f.client(t, nil).ID)
		var early, right atomic.Int64
		together(32, func(i int) {
			was, err := replicas[i%len(replicas)].PollDevice(t.Context(), poll(d, f.now))
			switch {
			case err != nil:
				t.Error(err)
			case was:
				early.Add(1)
			default:
				right.Add(1)
			}
		})
		equal(t, "polls in time", int(right.Load()), 1)
		equal(t, "early polls", int(early.Load()), 31)
	}
}

func raceDeviceAnswers(t *testing.T, f *fixture) { AnswerAtOnce(t, f) }

// AnswerAtOnce allows and denies one device by several users at once while 32 redeem its code,
// through all of the stores, which are replicas of one.
func AnswerAtOnce(t *testing.T, replicas ...userstore.Store) {
	f := &fixture{Store: replicas[0].(Store), now: base}
	c := f.client(t, nil)
	var sessions []userstore.BrowserSession
	for range 4 {
		sessions = append(sessions, f.session(t, f.user(t)))
	}
	for round := range 6 {
		d := f.device(t, c.ID)
		var answered, allowed atomic.Int64
		together(8, func(i int) {
			store := replicas[i%len(replicas)]
			var err error
			if i < round { // so that each answer wins now and then
				err = store.DenyDevice(t.Context(), userstore.DeviceAnswer{ID: d.ID, By: id()}, f.now)
			} else {
				err = (&fixture{Store: store.(Store), now: base}).allow(t.Context(), f.codeOf(d, sessions[i%4], id()))
			}
			switch {
			case err == nil:
				answered.Add(1)
				if i >= round {
					allowed.Add(1)
				}
			case !errors.Is(err, userstore.ErrConflict):
				t.Error(err)
			}
		})
		// A user who allows it in two tabs is answered twice.
		if n := answered.Load(); n < 1 || n > 2 || n == 2 && allowed.Load() != 2 {
			t.Errorf("%d answers, %d of which allowed it", n, allowed.Load())
		}
		want := userstore.DeviceDenied
		if allowed.Load() > 0 {
			want = userstore.DeviceAllowed
		}
		equal(t, "state", f.stateOf(t, d), want)
		v, err := f.CodeByHash(t.Context(), d.CodeHash)
		if want == userstore.DeviceDenied {
			is(t, err, userstore.ErrNotFound)
			continue
		}
		must(t, err)
		equal(t, "redemptions", winners(t, 32, userstore.ErrConflict, func(i int) error {
			return replicas[i%len(replicas)].RedeemCode(t.Context(), f.redeem(v.Code))
		}), 1)
	}
}

// raceDeviceEnds allows a device while its session, user or client ends, or its time is over. After
// that nothing can be redeemed, and no grant is live.
func raceDeviceEnds(t *testing.T, f *fixture) {
	ctx := t.Context()
	type world struct {
		u userstore.User
		c userstore.Client
		s userstore.BrowserSession
		d userstore.DeviceAuthorization
	}
	for _, op := range []struct {
		name string
		end  func(ctx context.Context, w world) error
	}{
		{"log out", func(ctx context.Context, w world) error { return f.EndSession(ctx, w.s.ID, f.now) }},
		{"disable the user", func(ctx context.Context, w world) error { return f.SetActive(ctx, w.u.ID, false, f.now) }},
		{"delete the user", func(ctx context.Context, w world) error { return f.DeleteUser(ctx, w.u.ID) }},
		{"disable the client", func(ctx context.Context, w world) error { return f.SetClientActive(ctx, w.c.ID, false, f.now) }},
		{"delete the client", func(ctx context.Context, w world) error { return f.DeleteClient(ctx, w.c.ID) }},
		{"take the consent back", func(ctx context.Context, w world) error {
			err := f.RevokeConsent(ctx, w.u.ID, w.c.ID, f.now)
			if errors.Is(err, userstore.ErrNotFound) { // there was none yet
				return f.EndSession(ctx, w.s.ID, f.now)
			}
			return err
		}},
	} {
		t.Run(op.name, func(t *testing.T) {
			for range 6 {
				w := world{u: f.user(t), c: f.client(t, nil)}
				w.s, w.d = f.session(t, w.u), f.device(t, w.c.ID)
				code := f.codeOf(w.d, w.s, "r")
				r := f.redeem(code)
				together(3, func(i int) {
					var err error
					switch i {
					case 0:
						err = op.end(ctx, w)
					case 1:
						err = f.allow(ctx, code)
					default:
						err = f.RedeemCode(ctx, r)
					}
					if err != nil && (i == 0 || !errors.Is(err, userstore.ErrConflict)) {
						t.Errorf("%d: %v", i, err)
					}
				})
				is(t, f.RedeemCode(ctx, f.redeem(code)), userstore.ErrConflict)
				g, err := f.GrantByID(ctx, r.Grant.ID)
				if err == nil && g.Grant.RevokedAt.IsZero() {
					t.Error("a grant lives on")
				}
			}
		})
	}
	t.Run("its time is over", func(t *testing.T) {
		w := world{u: f.user(t), c: f.client(t, nil)}
		w.s, w.d = f.session(t, w.u), f.device(t, w.c.ID)
		late := f.codeOf(w.d, w.s, "late")
		late.CreatedAt, late.ExpiresAt = w.d.ExpiresAt, w.d.ExpiresAt
		equal(t, "answers", winners(t, 8, userstore.ErrConflict, func(i int) error {
			if i%2 == 0 {
				return f.allow(ctx, late)
			}
			_, err := f.PollDevice(ctx, poll(w.d, w.d.ExpiresAt))
			return err
		}), 0)
		equal(t, "state", f.stateOf(t, w.d), userstore.DeviceWaiting)
	})
}
