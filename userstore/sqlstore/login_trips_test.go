package sqlstore

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// trips records the calls of an engine. Each statement changes one row.
type trips struct {
	engine
	calls []string
}

func (e *trips) batch(_ context.Context, s []stmt) ([]int64, error) {
	e.calls = append(e.calls, "batch")
	return slices.Repeat([]int64{1}, len(s)), nil
}

func (e *trips) transact(_ context.Context, fn func(exec) error) error {
	e.calls = append(e.calls, "transaction")
	return fn(func(s ...stmt) ([]int64, error) {
		e.calls = append(e.calls, "statements")
		return slices.Repeat([]int64{1}, len(s)), nil
	})
}

// A login that spends nothing is one round trip, as it was before second factors: with a factor that
// a passkey without a counter proved long ago, and without. One that spends needs a transaction, in
// which its first statement locks the user's row before the others read.
func TestALoginThatSpendsNothingIsOneRoundTrip(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	one := []string{"batch"}
	spending := []string{"transaction", "statements", "statements"}
	for _, test := range []struct {
		name string
		step userstore.SecondStep
		want []string
	}{
		{"one factor", userstore.SecondStep{}, one},
		{"a proof of before", userstore.SecondStep{FactorVersion: 3, Proved: true}, one},
		{"a code", userstore.SecondStep{Proved: true, Use: userstore.FactorUse{App: "a", Counter: 5}}, spending},
		{"a recovery code", userstore.SecondStep{Proved: true, Use: userstore.FactorUse{Recovery: [][]byte{{1}}}}, spending},
		{"a passkey", userstore.SecondStep{Proved: true, Use: userstore.FactorUse{Passkey: "p"}}, spending},
		{"a trusted browser", userstore.SecondStep{Proved: true, Use: userstore.FactorUse{Trusted: userstore.SessionHash{1}}}, spending},
		{"a handle", userstore.SecondStep{Use: userstore.FactorUse{Handles: []userstore.Handle{{ID: "h"}}}}, spending},
	} {
		e := &trips{}
		db := &DB{engine: e, dialect: postgresDialect}
		if err := db.StartGrant(t.Context(), userstore.StartGrant{Second: test.step,
			Grant: userstore.Grant{SessionID: "s", UserID: "u", CreatedAt: now}}); err != nil || !slices.Equal(e.calls, test.want) {
			t.Errorf("%s, a grant: %v, %v", test.name, e.calls, err)
		}
		e.calls = nil
		session := userstore.StartSession{Second: test.step, Session: userstore.BrowserSession{ID: "b", UserID: "u", CreatedAt: now}}
		if err := db.StartSession(t.Context(), session); err != nil || !slices.Equal(e.calls, test.want) {
			t.Errorf("%s, a session: %v, %v", test.name, e.calls, err)
		}
		e.calls = nil
		session.Second.Trust = &userstore.NewTrust{ID: "t", EndsAt: now}
		if err := db.StartSession(t.Context(), session); err != nil || !slices.Equal(e.calls, spending) {
			t.Errorf("%s, a session in a browser that is trusted: %v, %v", test.name, e.calls, err)
		}
	}
}
