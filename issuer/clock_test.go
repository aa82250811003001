package issuer_test

import (
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// F-26: a replica whose clock runs ahead, while the database's is right, must not tell a client
// that a token has expired: clients take that as final.
func TestF26AClockThatRunsAheadEndsNoSession(t *testing.T) {
	w := newWorld(t, sqltest.SQLite(t))
	tokens := w.login("profile email")
	ahead := &clock{now: w.clock.Now()}
	ring := &keys.Manager{
		Store: w.ring.Store, Policy: w.ring.Policy, KEKs: w.ring.KEKs, Now: ahead.Now, Generate: w.ring.Generate,
		DatabaseNow: w.ring.DatabaseNow, TypesToSign: issuer.TokenTypes,
	}
	w.must(ring.Start(t.Context()))
	w.Issuer.Keys, w.Issuer.Now = ring, ahead.Now
	ahead.add(40 * 24 * time.Hour)
	if ring.Step(t.Context()) == nil {
		t.Fatal("the manager did not notice")
	}
	_, err := w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: tokens.RefreshToken, FirstParty: true})
	wantUnavailable(t, err)
	_, err = w.Bearer(t.Context(), tokens.AccessToken)
	wantUnavailable(t, err)

	ahead.add(-40 * 24 * time.Hour)
	w.must(ring.Step(t.Context()))
	if _, err := w.Bearer(t.Context(), tokens.AccessToken); err != nil {
		t.Errorf("once the clock is right: %v", err)
	}
	if _, err := w.Refresh(t.Context(),
		issuer.RefreshRequest{RefreshToken: tokens.RefreshToken, FirstParty: true}); err != nil {
		t.Errorf("once the clock is right: %v", err)
	}
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if e := (*issuer.Error)(nil); !errors.As(err, &e) || e.Code != issuer.Unavailable {
		t.Errorf("got %v, want %s", err, issuer.Unavailable)
	}
}
