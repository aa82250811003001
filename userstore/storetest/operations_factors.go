package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// factorOperations returns the operations on second factors that take events. What each of them does
// shows how often it was done.
func factorOperations() []Operation {
	// one is an operation on a user with an authenticator app and a passkey.
	one := func(op func(t *testing.T, f *fixture, u userstore.User) Prepared) func(*testing.T, Store) Prepared {
		return func(t *testing.T, store Store) Prepared {
			f := &fixture{Store: store, now: base}
			u := f.user(t)
			f.app(t, &u)
			f.passkey(t, &u)
			return op(t, f, u)
		}
	}
	ends := base.Add(time.Hour)
	return []Operation{
		{Name: "change second factors", Once: true, Prepare: one(func(
			t *testing.T, f *fixture, u userstore.User,
		) Prepared {
			p := f.newPasskey(u)
			c := newFactorChange(f, u)
			c.AddPasskey, c.RecoveryCodes = &p, [][]byte{{1}, {2}}
			c.Use.Handles = []usedOnce{{ID: id(), EndsAt: ends}}
			refused := c
			refused.PasswordHash = "other"
			return Prepared{
				func(e ...audit.Event) error { return f.ChangeFactors(t.Context(), c, e...) },
				func(e ...audit.Event) error { return f.ChangeFactors(t.Context(), refused, e...) },
				func() bool {
					return changedOnce(t, f, u, func(s userstore.SecondFactors) bool { return len(s.Passkeys) == 2 })
				}}
		})},
		{Name: "remove all second factors", Prepare: one(func(t *testing.T, f *fixture, u userstore.User) Prepared {
			remove := func(user string) func(e ...audit.Event) error {
				return func(e ...audit.Event) error {
					return f.ChangeFactors(t.Context(), factorChange{UserID: user, Version: userstore.AnyFactorVersion,
						RemoveAll: true,
						At:        f.now}, e...)
				}
			}
			return Prepared{remove(u.ID), remove(id()), func() bool {
				f.read(t, &u)
				return !u.SecondFactor
			}}
		})},
		{Name: "use a second factor", Once: true, Prepare: one(func(
			t *testing.T, f *fixture, u userstore.User,
		) Prepared {
			app := f.factors(t, u).App.ID
			use := func(counter int64) func(e ...audit.Event) error {
				return func(e ...audit.Event) error {
					return f.UseFactor(t.Context(), u.ID, u.FactorVersion,
						factorUse{App: app, Counter: counter, At: f.now}, e...)
				}
			}
			return Prepared{use(appCounter + 1), use(appCounter), func() bool {
				return f.factors(t, u).App.LastCounter == appCounter+1
			}}
		})},
		{Name: "rename a passkey", Prepare: one(func(t *testing.T, f *fixture, u userstore.User) Prepared {
			p := f.factors(t, u).Passkeys[0]
			rename := func(passkey string) func(e ...audit.Event) error {
				return func(e ...audit.Event) error {
					return f.RenamePasskey(t.Context(), renamed{UserID: u.ID, ID: passkey, Before: p.Name, After: "New"}, e...)
				}
			}
			return Prepared{rename(p.ID), rename(id()),
				func() bool { return f.factors(t, u).Passkeys[0].Name == "New" }}
		})},
		{Name: "end the trust in a browser", Once: true, Prepare: one(func(
			t *testing.T, f *fixture, u userstore.User,
		) Prepared {
			b, other := f.trust(t, u), f.trust(t, u)
			return Prepared{
				func(e ...audit.Event) error { return f.EndTrust(t.Context(), u.ID, b.ID, e...) },
				func(e ...audit.Event) error { return f.EndTrust(t.Context(), u.ID, id(), e...) },
				func() bool { return trustedOnly(t, f, u, other) }}
		})},
		{Name: "end the trust in all browsers", Prepare: one(func(t *testing.T, f *fixture, u userstore.User) Prepared {
			f.trust(t, u)
			f.trust(t, u)
			return Prepared{
				func(e ...audit.Event) error { return f.EndTrust(t.Context(), u.ID, "", e...) },
				func(e ...audit.Event) error { return f.EndTrust(t.Context(), id(), "", e...) },
				func() bool { return trustedOnly(t, f, u) }}
		})},
		{Name: "log in with a second factor", Once: true, Uncertain: true, Prepare: one(func(
			t *testing.T, f *fixture, u userstore.User,
		) Prepared {
			g, step := f.newGrant(u), f.step(t, u)
			start := func(g userstore.Grant, step secondStep) func(e ...audit.Event) error {
				return func(e ...audit.Event) error {
					return f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash,
						Second: step, Events: e})
				}
			}
			return Prepared{start(g, step), start(f.newGrant(u), secondStep{FactorVersion: u.FactorVersion}),
				func() bool {
					_, err := f.GrantByID(t.Context(), g.ID)
					return spentWith(t, f, u, err == nil)
				}}
		})},
		{Name: "log in at the pages with a second factor", Once: true, Uncertain: true, Prepare: one(func(
			t *testing.T, f *fixture, u userstore.User,
		) Prepared {
			s, step := f.newSession(u), f.step(t, u)
			step.Trust = &newTrust{Hash: sessionHash(), ID: id(), EndsAt: ends}
			start := func(s userstore.BrowserSession, step secondStep) func(e ...audit.Event) error {
				return func(e ...audit.Event) error {
					return f.StartSession(t.Context(), newLogin{Session: s, PasswordHash: u.PasswordHash, Second: step},
						e...)
				}
			}
			return Prepared{start(s, step), start(f.newSession(u), secondStep{FactorVersion: u.FactorVersion}),
				func() bool {
					_, _, err := f.BrowserSession(t.Context(), s.Hash, f.now, time.Time{})
					_, untrusted := f.TrustedBrowser(t.Context(), step.Trust.Hash, f.now)
					if (err == nil) != (untrusted == nil) {
						t.Errorf("half of it: session %v, trusted browser %v", err, untrusted)
					}
					return spentWith(t, f, u, err == nil)
				}}
		})},
	}
}

// step is a second step with the next code of u's app and a handle.
func (f *fixture) step(t *testing.T, u userstore.User) secondStep {
	t.Helper()
	return secondStep{FactorVersion: u.FactorVersion, Proved: true, Use: factorUse{App: f.factors(t, u).App.ID,
		Counter: appCounter + 1, At: f.now, Handles: []usedOnce{{ID: id(), EndsAt: f.now.Add(time.Hour)}}}}
}

// changedOnce reports whether the change of u was made, as the version and the test done say, and
// fails if it was made in part or more than once.
func changedOnce(t *testing.T, f *fixture, u userstore.User, done func(userstore.SecondFactors) bool) bool {
	t.Helper()
	s := f.factors(t, u)
	happened := done(s)
	if changes := s.Version - u.FactorVersion; happened && changes != 1 || !happened && changes != 0 {
		t.Errorf("done %v, and %d changes", happened, changes)
	}
	return happened
}

// spentWith returns happened, and fails if the code of step was used without the login, or the login
// is there without its use.
func spentWith(t *testing.T, f *fixture, u userstore.User, happened bool) bool {
	t.Helper()
	if spent := f.factors(t, u).App.LastCounter == appCounter+1; spent != happened {
		t.Errorf("half of it: login %v, code used %v", happened, spent)
	}
	return happened
}

// trustedOnly reports whether just these browsers are trusted.
func trustedOnly(t *testing.T, f *fixture, u userstore.User, want ...userstore.TrustedBrowser) bool {
	t.Helper()
	list, err := f.ListTrustedBrowsers(t.Context(), u.ID, f.now)
	must(t, err)
	if len(list) != len(want) {
		return false
	}
	for i := range list {
		if list[i].ID != want[i].ID {
			return false
		}
	}
	return true
}
