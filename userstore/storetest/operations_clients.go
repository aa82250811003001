package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// clientOperations are those on clients, and on the codes and consents that users give them.
func clientOperations() []Operation {
	return []Operation{
		{Name: "create a client", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, _ user, _ grant) Prepared {
			c := userstore.Client{ID: id()}
			return Prepared{
				func(e ...audit.Event) error { return f.CreateClient(t.Context(), c, e...) },
				func(e ...audit.Event) error {
					return f.CreateClient(t.Context(), userstore.Client{ID: userstore.FirstPartyClientID}, e...)
				},
				func() bool { _, err := f.ClientByID(t.Context(), c.ID); return err == nil }}
		})},
		{Name: "register a client", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, _ user, _ grant) Prepared {
			token, c := f.registrationToken(t, 1), f.selfRegistered()
			return Prepared{
				func(e ...audit.Event) error { return f.RegisterClient(t.Context(), c, token.Hash, e...) },
				func(e ...audit.Event) error {
					return f.RegisterClient(t.Context(), f.selfRegistered(), f.newRegistrationToken(1).Hash, e...)
				},
				func() bool { _, err := f.ClientByID(t.Context(), c.ID); return err == nil }}
		})},
		{Name: "delete an unused client", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, _ user, _ grant) Prepared {
			c := f.selfRegistered()
			must(t, f.CreateClient(t.Context(), c))
			return Prepared{
				func(e ...audit.Event) error { return f.DeleteUnusedClient(t.Context(), c.ID, c.UnusedUntil, e...) },
				func(e ...audit.Event) error { return f.DeleteUnusedClient(t.Context(), id(), c.UnusedUntil, e...) },
				func() bool {
					_, err := f.ClientByID(t.Context(), c.ID)
					return errors.Is(err, userstore.ErrNotFound)
				}}
		})},
		{Name: "create a registration token", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, _ user, _ grant) Prepared {
			token := f.newRegistrationToken(1)
			return Prepared{
				func(e ...audit.Event) error { return f.CreateRegistrationToken(t.Context(), token, e...) },
				func(e ...audit.Event) error {
					return f.CreateRegistrationToken(t.Context(), userstore.RegistrationToken{ID: "a\x00"}, e...)
				},
				func() bool { _, err := f.RegistrationToken(t.Context(), token.Hash, f.now); return err == nil }}
		})},
		{Name: "delete a registration token", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, _ user, _ grant) Prepared {
			token := f.registrationToken(t, 1)
			return Prepared{
				func(e ...audit.Event) error { return f.DeleteRegistrationToken(t.Context(), token.ID, e...) },
				func(e ...audit.Event) error { return f.DeleteRegistrationToken(t.Context(), id(), e...) },
				func() bool {
					_, err := f.RegistrationToken(t.Context(), token.Hash, f.now)
					return errors.Is(err, userstore.ErrNotFound)
				}}
		})},
		{Name: "update a client", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, _ user, _ grant) Prepared {
			c := f.client(t, nil)
			c.Name = "New"
			return Prepared{
				func(e ...audit.Event) error { return f.UpdateClient(t.Context(), c, e...) },
				func(e ...audit.Event) error {
					return f.UpdateClient(t.Context(), userstore.Client{ID: userstore.FirstPartyClientID, Version: 99},
						e...)
				},
				func() bool {
					c, err := f.ClientByID(t.Context(), c.ID)
					must(t, err)
					return c.Name == "New"
				}}
		})},
		{Name: "disable a client", Prepare: onUser(func(t *testing.T, f *fixture, _ user, _ grant) Prepared {
			c := f.client(t, nil)
			return Prepared{
				func(e ...audit.Event) error { return f.SetClientActive(t.Context(), c.ID, false, f.now, e...) },
				func(e ...audit.Event) error { return f.SetClientActive(t.Context(), id(), false, f.now, e...) },
				func() bool {
					c, err := f.ClientByID(t.Context(), c.ID)
					must(t, err)
					return !c.DisabledAt.IsZero()
				}}
		})},
		{Name: "delete a client", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, _ user, _ grant) Prepared {
			c := f.client(t, nil)
			return Prepared{
				func(e ...audit.Event) error { return f.DeleteClient(t.Context(), c.ID, e...) },
				func(e ...audit.Event) error { return f.DeleteClient(t.Context(), id(), e...) },
				func() bool {
					_, err := f.ClientByID(t.Context(), c.ID)
					return errors.Is(err, userstore.ErrNotFound)
				}}
		})},
		{Name: "withdraw a client", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, _ user, _ grant) Prepared {
			c := f.client(t, nil)
			return Prepared{
				func(e ...audit.Event) error { return f.WithdrawClient(t.Context(), c.ID, e...) },
				func(e ...audit.Event) error { return f.WithdrawClient(t.Context(), id(), e...) },
				func() bool {
					_, err := f.ClientByID(t.Context(), c.ID)
					return errors.Is(err, userstore.ErrNotFound)
				}}
		})},
		{Name: "revoke everything", Prepare: onUser(func(t *testing.T, f *fixture, u user, g grant) Prepared {
			other := f.grant(t, u, func(g *userstore.Grant) { g.ClientID = f.client(t, nil).ID })
			return Prepared{
				func(e ...audit.Event) error { return f.RevokeAll(t.Context(), f.now, e...) }, nil,
				func() bool {
					if first, second := f.revoked(t, g), f.revoked(t, other); first != second {
						t.Errorf("half of it: %v, %v", first, second)
					}
					return f.revoked(t, g)
				}}
		})},
		{Name: "save a code", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, u user, _ grant) Prepared {
			c := f.client(t, nil)
			code, void := f.newCode(f.session(t, u), c), f.newCode(f.session(t, f.user(t)), c)
			void.UserID = u.ID
			return Prepared{
				func(e ...audit.Event) error { return f.SaveCode(t.Context(), code, nil, time.Time{}, e...) },
				func(e ...audit.Event) error { return f.SaveCode(t.Context(), void, nil, time.Time{}, e...) },
				func() bool { _, err := f.CodeByHash(t.Context(), code.Hash); return err == nil }}
		})},
		{Name: "save a code with a consent", Once: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, _ grant,
		) Prepared {
			c := f.client(t, nil)
			code, void := f.newCode(f.session(t, u), c), f.newCode(f.session(t, f.user(t)), c)
			void.UserID = u.ID
			save := func(c userstore.Code) func(e ...audit.Event) error {
				return func(e ...audit.Event) error {
					return f.SaveCode(t.Context(), c,
						&userstore.Consent{Allowed: []userstore.Allowance{{Scopes: c.Scopes}}}, time.Time{}, e...)
				}
			}
			return Prepared{save(code), save(void), func() bool {
				_, err := f.CodeByHash(t.Context(), code.Hash)
				_, without := f.ConsentOf(t.Context(), u.ID, c.ID)
				if (err == nil) != (without == nil) {
					t.Errorf("half of it: code %v, consent %v", err, without)
				}
				return err == nil
			}}
		})},
		{Name: "redeem a code", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, u user, _ grant) Prepared {
			r := f.redeem(f.code(t, f.session(t, u), f.client(t, nil)))
			late := r
			late.Now = f.now.Add(time.Hour)
			return Prepared{
				func(e ...audit.Event) error { return f.RedeemCode(t.Context(), r, e...) },
				func(e ...audit.Event) error { return f.RedeemCode(t.Context(), late, e...) },
				func() bool { _, err := f.GrantByID(t.Context(), r.Grant.ID); return err == nil }}
		})},
		{Name: "take a consent back", Once: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, _ grant,
		) Prepared {
			c := f.client(t, nil)
			g := f.redeemed(t, f.consented(t, f.session(t, u), c))
			return Prepared{
				func(e ...audit.Event) error { return f.RevokeConsent(t.Context(), u.ID, c.ID, f.now, e...) },
				func(e ...audit.Event) error { return f.RevokeConsent(t.Context(), u.ID, id(), f.now, e...) },
				func() bool { return f.revoked(t, g) }}
		})},
	}
}
