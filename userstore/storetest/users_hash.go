package storetest

import (
	"testing"

	"github.com/signet-id/signet/userstore"
)

// upgradeHash: a better hash of the same password ends nothing.
func upgradeHash(t *testing.T, f *fixture) {
	u, none := f.user(t), f.user(t)
	ctx := t.Context()
	is(t, f.UpgradeHash(ctx, u.ID, "not the stored hash", "better"), userstore.ErrConflict)
	is(t, f.UpgradeHash(ctx, id(), u.PasswordHash, "better"), userstore.ErrConflict)
	is(t, f.UpgradeHash(ctx, "\x00", u.PasswordHash, "better"), userstore.ErrConflict)
	is(t, f.UpgradeHash(ctx, u.ID, "\xff", "better"), userstore.ErrConflict)
	is(t, f.UpgradeHash(ctx, u.ID, u.PasswordHash, ""), userstore.ErrInvalid)
	is(t, f.UpgradeHash(ctx, u.ID, u.PasswordHash, "\x00"), userstore.ErrInvalid)
	must(t, f.SetPassword(ctx, userstore.PasswordChange{UserID: none.ID, NewHash: "", At: f.now}))
	is(t, f.UpgradeHash(ctx, none.ID, "", "a first password"), userstore.ErrConflict)

	g := f.grant(t, u)
	before := f.factorRows(t, u)
	for range 2 { // a retry finds its own result
		must(t, f.UpgradeHash(ctx, u.ID, u.PasswordHash, "better"))
	}
	after := f.factorRows(t, u)
	equal(t, "the hash", after.user.PasswordHash, "better")
	after.user.PasswordHash = before.user.PasswordHash
	equal(t, "all else", after, before)
	f.live(t, g)

	must(t, f.SetActive(ctx, u.ID, false, f.now))
	is(t, f.UpgradeHash(ctx, u.ID, "better", "best"), userstore.ErrConflict)
}
