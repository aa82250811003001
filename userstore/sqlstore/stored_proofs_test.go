package sqlstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// A session of an older binary has proofs without a factor version and a mark of the password. They
// are read, and no change by that session makes them good.
func TestProofsOfAnOlderBinary(t *testing.T) {
	t.Parallel()
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		ctx := t.Context()
		u, _ := withFactors(t, db)
		s := newSession(u)
		err := db.StartSession(ctx, userstore.StartSession{Session: s, PasswordHash: u.PasswordHash,
			Second: userstore.SecondStep{FactorVersion: u.FactorVersion, Proved: true}})
		if err != nil {
			t.Fatal(err)
		}
		old := fmt.Sprintf(`[{"method":"password","at":%d},{"method":"app","at":%[1]d}]`, now.UnixMicro())
		if err := sqlstore.Exec(ctx, db, `UPDATE browser_sessions SET proved = '`+old+`'`); err != nil {
			t.Fatal(err)
		}
		provesNobody := func(what string) {
			t.Helper()
			got, user, err := db.BrowserSession(ctx, s.Hash, now, time.Time{})
			if err != nil || len(got.Proved) != 2 {
				t.Fatalf("%s: %+v, %v", what, got, err)
			}
			for n, method := range []string{userstore.ByPassword, userstore.ByApp} {
				p := got.Proved[n]
				if p.Method != method || !p.At.Equal(now) || p.ProvesOwner(user.FactorVersion, got.PasswordMark) {
					t.Errorf("%s: %+v", what, p)
				}
			}
		}
		provesNobody("as stored")
		for range 2 {
			if u, err = db.UserByID(ctx, u.ID); err != nil {
				t.Fatal(err)
			}
			err = db.ChangeFactors(ctx, userstore.FactorChange{UserID: u.ID, Version: u.FactorVersion,
				PasswordHash: u.PasswordHash, At: now, RecoveryCodes: [][]byte{{1}}, KeepSession: userstore.KeepAll, BySession: s.ID})
			if err != nil {
				t.Fatal(err)
			}
			provesNobody("after a change of the factors")
		}
		err = db.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, OldHash: u.PasswordHash, NewHash: "next",
			KeepSession: s.ID, BySession: s.ID, At: now})
		if err != nil {
			t.Fatal(err)
		}
		provesNobody("after a new password")
	})
}
