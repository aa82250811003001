package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// loginOperations are those on browser sessions and grants.
func loginOperations() []Operation {
	return []Operation{
		{Name: "log in at the pages", Once: true, Uncertain: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, _ grant,
		) Prepared {
			old := f.session(t, u)
			s := userstore.StartSession{Session: f.newSession(u), Replaces: old.Hash, PasswordHash: u.PasswordHash}
			other := s
			other.Session, other.PasswordHash = f.newSession(u), "other"
			return Prepared{
				func(e ...audit.Event) error { return f.StartSession(t.Context(), s, e...) },
				func(e ...audit.Event) error { return f.StartSession(t.Context(), other, e...) },
				func() bool {
					_, _, err := f.BrowserSession(t.Context(), s.Session.Hash, f.now, time.Time{})
					return err == nil
				}}
		})},
		{Name: "end a browser session", Once: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, _ grant,
		) Prepared {
			s := f.session(t, u)
			return Prepared{
				func(e ...audit.Event) error { return f.EndSession(t.Context(), s.ID, f.now, e...) }, nil,
				func() bool {
					_, _, err := f.BrowserSession(t.Context(), s.Hash, f.now, time.Time{})
					return errors.Is(err, userstore.ErrNotFound)
				}}
		})},
		{Name: "revoke a browser session", Once: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, _ grant,
		) Prepared {
			s := f.session(t, u)
			return Prepared{
				func(e ...audit.Event) error { return f.RevokeBrowserSession(t.Context(), u.ID, s.ID, f.now, e...) },
				func(e ...audit.Event) error { return f.RevokeBrowserSession(t.Context(), id(), s.ID, f.now, e...) },
				func() bool {
					_, _, err := f.BrowserSession(t.Context(), s.Hash, f.now, time.Time{})
					return errors.Is(err, userstore.ErrNotFound)
				}}
		})},
		{Name: "log in", Once: true, Uncertain: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, _ grant,
		) Prepared {
			g := f.newGrant(u)
			start := func(hash string, g userstore.Grant) func(e ...audit.Event) error {
				return func(e ...audit.Event) error {
					return f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: hash, Events: e})
				}
			}
			return Prepared{start(u.PasswordHash, g), start("other", f.newGrant(u)),
				func() bool { _, err := f.GrantByID(t.Context(), g.ID); return err == nil }}
		})},
		{Name: "answer late", Prepare: onUser(func(t *testing.T, f *fixture, _ user, g grant) Prepared {
			g = f.live(t, g)
			return Prepared{
				func(e ...audit.Event) error { return f.AnswerLate(t.Context(), g.ID, g.Generation, 5, e...) },
				func(e ...audit.Event) error { return f.AnswerLate(t.Context(), g.ID, g.Generation+1, 5, e...) },
				func() bool {
					v, err := f.GrantByID(t.Context(), g.ID)
					must(t, err)
					if v.Grant.LateCount > 2 {
						t.Errorf("counted %d times", v.Grant.LateCount)
					}
					return v.Grant.LateCount > 0
				}}
		})},
		{Name: "revoke a grant", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, _ user, g grant) Prepared {
			return Prepared{
				func(e ...audit.Event) error { return f.RevokeGrant(t.Context(), g.ID, f.now, e...) }, nil,
				func() bool { return f.revoked(t, g) }}
		})},
		{Name: "revoke a session", Once: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, g grant,
		) Prepared {
			return Prepared{
				func(e ...audit.Event) error { return f.RevokeSession(t.Context(), u.ID, g.SessionID, f.now, e...) },
				func(e ...audit.Event) error { return f.RevokeSession(t.Context(), id(), g.SessionID, f.now, e...) },
				func() bool { return f.revoked(t, g) }}
		})},
		{Name: "revoke a user's grants", Prepare: onUser(func(t *testing.T, f *fixture, u user, g grant) Prepared {
			return Prepared{
				func(e ...audit.Event) error {
					_, err := f.RevokeUserGrants(t.Context(), u.ID, "", f.now, e...)
					return err
				}, nil,
				func() bool { return f.revoked(t, g) }}
		})},
	}
}
