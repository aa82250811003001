package issuer

import (
	"errors"
	"fmt"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// Clients that made themselves share one count, and so do those of operators beyond the first
// hundred: the number of series is bounded, whatever clients there are.
func TestTokensAreCountedForABoundedNumberOfClients(t *testing.T) {
	c := &Counts{}
	for n := range 150 {
		c.token(kindAccess, &userstore.Client{ID: fmt.Sprintf("client-%d", n)})
		c.token(kindRefresh, &userstore.Client{ID: fmt.Sprintf("registered-%d", n), Kind: userstore.KindRegistered})
		c.token(kindID, &userstore.Client{ID: fmt.Sprintf("https://%d.example", n), Kind: userstore.KindMetadata})
	}
	c.token(kindAccess, &userstore.Client{ID: "client-7"})
	got, series := map[string]uint64{}, 0
	c.Tokens(func(client, kind string, n uint64) {
		got[client+" "+kind] = n
		series++
	})
	for name, want := range map[string]uint64{
		"client-0 access": 1, "client-7 access": 2, "client-99 access": 1, "client-100 access": 0, "client-7 id": 0,
		"(other) access": 50, "(other) refresh": 0,
		"(self-made) refresh": 150, "(self-made) id": 150, "(self-made) access": 0,
	} {
		if got[name] != want {
			t.Errorf("%s: %d, want %d", name, got[name], want)
		}
	}
	if want := 102 * len(TokenKinds); series != want {
		t.Errorf("%d series, want %d", series, want)
	}
}

// A token of a client that is known costs no memory to count.
func TestCountingATokenTakesNoMemory(t *testing.T) {
	c := &Counts{}
	client := userstore.Client{ID: "app"}
	c.token(kindAccess, &client)
	if n := testing.AllocsPerRun(100, func() {
		c.token(kindAccess, &client)
		c.request(userstore.GrantRefreshToken, nil)
		c.refresh(Current, nil)
		c.code(nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Every ending of a refresh and of a code is one outcome.
func TestOutcomes(t *testing.T) {
	down := errUnavailable.because(errors.New("down"))
	for _, c := range []struct {
		found Standing
		err   error
		want  string
	}{
		{Current, nil, "rotated"},
		{InWindow, nil, "repeated"},
		{Late, nil, "late"},
		{Replayed, errRefreshToken, "replay"},
		{Ahead, errRefreshToken, "generation_ahead"},
		{Current, errRefreshExpired, "expired"},
		{Current, errRefreshToken, "refused"},
		{Late, userstore.ErrUnavailable, "failed"},
		{Current, down, "failed"},
	} {
		counts := &Counts{}
		counts.refresh(c.found, c.err)
		counts.Refreshes.Each(RefreshOutcomes, func(outcome string, n uint64) {
			if (n == 1) != (outcome == c.want) {
				t.Errorf("%v, %v: %s is %d, want %s", c.found, c.err, outcome, n, c.want)
			}
		})
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "redeemed"},
		{errCode.because(errUsedCode), "replay"},
		{errCode.because(errExpiredCode), "expired"},
		{errVerifier, "refused"},
		{userstore.ErrUnavailable, "failed"},
	} {
		counts := &Counts{}
		counts.code(c.err)
		counts.Codes.Each(CodeOutcomes, func(outcome string, n uint64) {
			if (n == 1) != (outcome == c.want) {
				t.Errorf("%v: %s is %d, want %s", c.err, outcome, n, c.want)
			}
		})
	}
	var none *Counts
	none.refresh(Current, nil)
	none.code(nil)
	none.request("", nil)
	none.token(kindID, &userstore.Client{})
	none.device()
}
