package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func passkeyRoundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	theirs := f.passkey(t, &other)

	first := f.newPasskey(u)
	first.SignCount, first.BackedUp, first.BackupEligible, first.Transports, first.AAGUID = 1<<32-1,
		false, false, nil, nil
	second := f.newPasskey(u)
	second.SignCount, second.BackedUp, second.CreatedAt = 0, true, f.now.Add(-time.Hour)
	second.CredentialID = append(slices.Clone(first.CredentialID), 0) // differs in its length only
	f.changeFactors(t, &u, func(c *factorChange) { c.AddPasskey, c.PasskeyHandle = &first, "handle'\\" })
	f.changeFactors(t, &u, func(c *factorChange) { c.AddPasskey, c.PasskeyHandle = &second, "another" })
	got := f.factors(t, u)
	if len(got.Passkeys) == 2 && len(got.Passkeys[1].AAGUID) == 0 {
		got.Passkeys[1].AAGUID = nil
	}
	equal(t, "passkeys, oldest first", got, userstore.SecondFactors{Version: 2, PasskeyHandle: "handle'\\",
		Passkeys: []userstore.Passkey{storedPasskey(second), storedPasskey(first)}})
	equal(t, "the user has a second factor", u.SecondFactor, true)
	equal(t, "of another user", f.factors(t, other).Passkeys, []userstore.Passkey{storedPasskey(theirs)})

	p, owner, handle, err := f.PasskeyOwner(ctx, second.CredentialID)
	must(t, err)
	equal(t, "the passkey", p, storedPasskey(second))
	equal(t, "its owner", owner, u)
	equal(t, "the handle", handle, "handle'\\")
	prefix := first.CredentialID[:31]
	for _, unknown := range [][]byte{nil, {}, {0}, prefix, append(slices.Clone(first.CredentialID), 1),
		random(5000), random(2 << 20)} {
		_, _, _, err := f.PasskeyOwner(ctx, unknown)
		is(t, err, userstore.ErrNotFound)
	}

	// A use moves the counter and says whether the passkey is backed up by now.
	later := f.now.Add(time.Hour)
	must(t, f.UseFactor(ctx, other.ID, other.FactorVersion, factorUse{Passkey: theirs.ID, SignCount: 1<<32 - 1,
		BackedUp: true, At: later}))
	theirs.SignCount, theirs.BackedUp, theirs.LastUsedAt = 1<<32-1, true, stored(later)
	equal(t, "after a use", f.factors(t, other).Passkeys, []userstore.Passkey{storedPasskey(theirs)})

	// Names.
	for _, name := range append(hostile, "") {
		must(t, f.RenamePasskey(ctx, renamed{UserID: other.ID, ID: theirs.ID, Before: theirs.Name, After: name}))
		theirs.Name = name
		equal(t, "a name", f.factors(t, other).Passkeys, []userstore.Passkey{storedPasskey(theirs)})
	}
	for _, name := range unknownStrings {
		f.unchanged(t, "an unstorable name", other, userstore.ErrInvalid, func() error {
			return f.RenamePasskey(ctx, renamed{UserID: other.ID, ID: theirs.ID, Before: theirs.Name, After: name})
		})
	}
	for _, unknown := range append(append(slices.Clone(hostile), unknownStrings...), first.ID, u.ID, "") {
		f.unchanged(t, "an unknown passkey", other, userstore.ErrNotFound, func() error {
			return f.RenamePasskey(ctx, renamed{UserID: other.ID, ID: unknown, Before: theirs.Name, After: "x"})
		})
		f.unchanged(t, "another user's", other, userstore.ErrNotFound, func() error {
			return f.RenamePasskey(ctx, renamed{UserID: unknown, ID: theirs.ID, Before: theirs.Name, After: "x"})
		})
	}
	// A name that the passkey does not have any more is not taken for the one before; the same change
	// once more is, for the answer to the first one may be lost.
	f.unchanged(t, "another name before", other, userstore.ErrNotFound, func() error {
		return f.RenamePasskey(ctx, renamed{UserID: other.ID, ID: theirs.ID, Before: theirs.Name + "x", After: "y"})
	})
	for range 2 {
		must(t, f.RenamePasskey(ctx, renamed{UserID: other.ID, ID: theirs.ID, Before: theirs.Name, After: "the last"}))
	}
	theirs.Name = "the last"
	equal(t, "the name", f.factors(t, other).Passkeys, []userstore.Passkey{storedPasskey(theirs)})
}

// boundedPasskeys: a user has MaxPasskeys at most, and a removal makes room.
func boundedPasskeys(t *testing.T, f *fixture) {
	u := f.user(t)
	var all []userstore.Passkey
	for range userstore.MaxPasskeys {
		all = append(all, f.passkey(t, &u))
	}
	add := func(change func(*factorChange)) error {
		p, c := f.newPasskey(u), newFactorChange(f, u)
		c.AddPasskey, c.PasskeyHandle = &p, "handle"
		if change != nil {
			change(&c)
		}
		return f.ChangeFactors(t.Context(), c)
	}
	f.unchanged(t, "one more", u, userstore.ErrExists, func() error {
		err := add(nil)
		existsIn(t, err, "passkeys")
		return err
	})
	f.unchanged(t, "a stored one", u, userstore.ErrExists, func() error {
		err := add(func(c *factorChange) {
			c.AddPasskey.CredentialID, c.RemovePasskeys = all[1].CredentialID, []string{all[0].ID}
		})
		existsIn(t, err, "credential")
		return err
	})
	must(t, add(func(c *factorChange) { c.RemovePasskeys = []string{all[0].ID} }))
	equal(t, "passkeys", len(f.factors(t, u).Passkeys), userstore.MaxPasskeys)
}
