package pages

import (
	"testing"
	"time"

	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// The end of a proof is that of the newest one that holds. What does not hold counts for nothing,
// however new it is; and where none holds there is none, which is over at once.
func TestSecondEnds(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	mark, before := []byte("mark of the password"), []byte("mark of the password before")
	proved := func(factor string, ago time.Duration) userstore.ProvedFactor {
		return userstore.ProvedFactor{Factor: factor, At: now.Add(-ago), FactorVersion: 3, PasswordMark: mark}
	}
	with := func(p userstore.ProvedFactor, version int64, mark []byte) userstore.ProvedFactor {
		p.FactorVersion, p.PasswordMark = version, mark
		return p
	}
	older := proved(userstore.FactorApp, 4*time.Minute)
	for _, row := range []struct {
		name   string
		proofs []userstore.ProvedFactor
		want   time.Time // zero: none holds
	}{
		{"nothing", nil, time.Time{}},
		{"the password alone", []userstore.ProvedFactor{proved(userstore.FactorPassword, 0)}, time.Time{}},
		{"an app", []userstore.ProvedFactor{older}, now.Add(6 * time.Minute)},
		{"a passkey", []userstore.ProvedFactor{proved(userstore.FactorPasskey, 0)}, now.Add(10 * time.Minute)},
		{"a recovery code", []userstore.ProvedFactor{proved(userstore.FactorRecoveryCode, time.Minute)},
			now.Add(9 * time.Minute)},
		{"two, the newer first", []userstore.ProvedFactor{proved(userstore.FactorPasskey, time.Minute), older},
			now.Add(9 * time.Minute)},
		{"two, the newer last", []userstore.ProvedFactor{older, proved(userstore.FactorSyncedPasskey, time.Minute)},
			now.Add(9 * time.Minute)},
		{"a newer one of before the password changed",
			[]userstore.ProvedFactor{older, with(proved(userstore.FactorPasskey, time.Minute), 3, before)},
			now.Add(6 * time.Minute)},
		{"a newer one of before the factors changed",
			[]userstore.ProvedFactor{with(proved(userstore.FactorPasskey, time.Minute), 2, mark), older},
			now.Add(6 * time.Minute)},
		{"a newer password", []userstore.ProvedFactor{older, proved(userstore.FactorPassword, 0)}, now.Add(6 * time.Minute)},
		{"all of before a change",
			[]userstore.ProvedFactor{with(older, 2, mark), with(older, 3, before), with(older, 3, nil)}, time.Time{}},
		{"almost too old", []userstore.ProvedFactor{proved(userstore.FactorApp, 10*time.Minute-time.Second)},
			now.Add(time.Second)},
		{"too old", []userstore.ProvedFactor{proved(userstore.FactorApp, 10*time.Minute)}, time.Time{}},
	} {
		h := &Handlers{Now: func() time.Time { return now }}
		o := owner{Browser: &issuer.Browser{
			Session: userstore.BrowserSession{Proved: row.proofs, AuthTime: now, PasswordMark: mark},
			User:    userstore.User{ID: "alice", SecondFactor: true, FactorVersion: 3},
		}}
		got := h.secondEnds(o)
		if row.want.IsZero() != got.Over(now) || !row.want.IsZero() && got.Ends != row.want.Unix() {
			t.Errorf("%s: ends at %s, want %s", row.name, time.Unix(got.Ends, 0).UTC(), row.want)
		}
		if holds := h.provedSecond(o); holds == row.want.IsZero() {
			t.Errorf("%s: provedSecond is %t", row.name, holds)
		}
	}
}
