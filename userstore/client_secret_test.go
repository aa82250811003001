package userstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// Every refused credential is counted, and one per quarter of an hour is recorded: for each client,
// network and reason; for unknown clients, for each network.
func TestRefusedClientsAreCountedAndSampled(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		a := w.replicas[0].Accounts
		from := func(n int) string { return fmt.Sprintf("192.0.2.%d", n) }
		chosen, err := a.Hasher.Hash(t.Context(), "chosen by an operator")
		if err != nil {
			t.Fatal(err)
		}
		made := userstore.Client{ID: "made", AuthMethod: userstore.AuthBasic,
			SecretHash: userstore.ClientSecretHash("made by us")}
		picked := userstore.Client{ID: "picked", AuthMethod: userstore.AuthBasic, SecretHash: chosen}
		check := func(c userstore.Client, id, refused, secret, address string) error {
			ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: address, RequestID: "r"})
			return a.CheckClientSecret(ctx, userstore.ClientAttempt{ID: id, Client: c, Refused: refused}, secret)
		}
		is := func(err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Fatalf("%v, want %v", err, want)
			}
		}
		for range 2 {
			for range 10 {
				is(check(made, "made", "", "wrong", from(1)), userstore.ErrInvalidCredentials)
				is(check(picked, "picked", "", "wrong", from(1)), userstore.ErrInvalidCredentials)
			}
			// A client that is not allowed is refused even with the right secret.
			is(check(made, "made", "client_disabled", "made by us", from(2)), userstore.ErrInvalidCredentials)
			is(check(picked, "picked", "wrong_method", "chosen by an operator", from(2)), userstore.ErrInvalidCredentials)
			for n := range 40 {
				is(check(userstore.Client{}, fmt.Sprint("nobody", n), "unknown_client", "wrong", from(3)),
					userstore.ErrInvalidCredentials)
			}
			is(check(made, "made", "", "wrong", from(1)), userstore.ErrRateLimited)
			is(check(userstore.Client{}, "nobody", "unknown_client", "x", from(4)), userstore.ErrInvalidCredentials)
			// The budget counts wrong secrets of one network.
			is(check(made, "made", "", "made by us", from(1)), nil)
			is(check(picked, "picked", "", "chosen by an operator", from(5)), nil)
			is(check(picked, "picked", "", "chosen by an operator", from(1)), nil) // proved a moment ago
			is(check(made, "made", "", "wrong", from(5)), userstore.ErrInvalidCredentials)
			w.wait(16 * time.Minute)
		}
		a.Throttle.Drain()
		events, err := a.Store.ListEvents(t.Context(), userstore.EventQuery{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, e := range events {
			got[fmt.Sprint(e.Name, " ", e.Reason, " ", e.Target.Type, " ", e.Target.ID, " from ", e.Address)]++
		}
		want := map[string]int{
			"client_auth_failed wrong_secret client made from 192.0.2.1":    2,
			"client_auth_failed wrong_secret client picked from 192.0.2.1":  2,
			"client_auth_failed client_disabled client made from 192.0.2.2": 2,
			"client_auth_failed wrong_method client picked from 192.0.2.2":  2,
			"client_auth_failed unknown_client   from 192.0.2.3":            2,
			"client_auth_failed unknown_client   from 192.0.2.4":            2,
			"client_auth_failed wrong_secret client made from 192.0.2.5":    2,
			"rate_limited guesses_at_client client made from 192.0.2.1":     2,
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("recorded\n%v, want\n%v", got, want)
		}
		if n := a.Hasher.Stats().Started; n != 1 {
			t.Errorf("%d hashes in the slots of passwords, want the one of the registration", n)
		}
	})
}
