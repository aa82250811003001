package protocol_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// Wrong proofs leave one entry in the audit log in a quarter of an hour: of each client, network
// and reason.
func TestClientsThatAreNotProvedAreRecorded(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.Register(userstore.Client{ID: "web"})
		_, ed := newAssertive(s, "ed", jose.EdDSA)
		off := s.Register(userstore.Client{ID: "off"})
		if err := s.DB.SetClientActive(t.Context(), "off", false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		basic := func(id, secret string) apitest.Request {
			q := machineRequest(nil)
			q.Basic = [2]string{id, secret}
			return q
		}
		wrong := func() {
			for range 12 {
				s.Do(basic("web", "wrong"))
				s.Do(basic("ed", "a secret where an assertion is due"))
				s.Do(basic("off", off.Secret))
				s.Do(ed.request(ed.header(), ed.claims(s, apitest.Fields{"aud": "https://evil.test"})))
				s.Do(ed.request(ed.header().With("alg", "HS256"), ed.claims(s, nil)))
			}
			for n := range 30 {
				s.Do(basic(fmt.Sprint("nobody", n), "wrong")) // strangers can name any number of clients
			}
			s.Replicas[0].Accounts.Throttle.Drain()
		}
		reasons := func() map[string]int {
			t.Helper()
			events, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 100, Name: audit.ClientAuthFailed})
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]int{}
			for _, e := range events {
				if out[e.Reason+" of "+e.Target.ID]++; e.Outcome != audit.Failure || e.Address == "" || e.RequestID == "" ||
					e.Target.ID != "" && e.Target.Type != audit.OnClient {
					t.Errorf("%+v", e)
				}
			}
			return out
		}
		for n := 1; n <= 2; n++ {
			wrong()
			want := map[string]int{"wrong_secret of web": n, "wrong_method of ed": n, "client_disabled of off": n,
				"unknown_client of ": n}
			got := reasons()
			// The budget of ten is one for all that a client does wrong, so that of an assertion comes in as
			// long as it lasts.
			for _, reason := range []string{"assertion_aud of ed", "assertion_unreadable of ed"} {
				if got[reason] != n {
					t.Errorf("%s: %d entries, want %d", reason, got[reason], n)
				}
				delete(got, reason)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("recorded %v, want %v", got, want)
			}
			s.Do(ed.request(ed.header(), ed.claims(s, nil))).Want(200, "")
			s.Advance(16 * time.Minute)
		}
	})
}

// A wrong proof that could not be counted is no verdict: whoever guesses would do so without end.
func TestF03AWrongAssertionThatCannotBeRecorded(t *testing.T) {
	var store *deaf
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, ed := newAssertive(s, "ed", jose.EdDSA)
		wrong := func() *apitest.Response {
			t.Helper()
			return s.Do(ed.request(ed.header(), ed.claims(s, apitest.Fields{"aud": "https://evil.test"})))
		}
		wrong().Want(401, "invalid_client")
		for what, broken := range map[string]*atomic.Bool{"to count it": &store.reserve, "to settle it": &store.settle} {
			broken.Store(true)
			res := wrong().Want(503, "temporarily_unavailable")
			if res.Header.Get("Retry-After") == "" || res.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("%s: %v", what, res.Header)
			}
			if n := recorded(t, s); n != 1 {
				t.Errorf("%s: %d entries, want the one from before", what, n)
			}
			// Who is proved needs none of that.
			s.Do(ed.request(ed.header(), ed.claims(s, nil))).Want(200, "")
			broken.Store(false)
		}
		wrong().Want(401, "invalid_client")
		if n := recorded(t, s); n != 1 {
			t.Errorf("%d entries within a quarter of an hour, want 1", n)
		}
		s.Advance(16 * time.Minute)
		wrong().Want(401, "invalid_client")
		if n := recorded(t, s); n != 2 {
			t.Errorf("%d entries, want 2", n)
		}
	}, func(o *apitest.Options) {
		o.Store = func(db *sqlstore.DB) apitest.Store { store = &deaf{DB: db}; return store }
	})
}

// recorded counts the proofs of clients that were refused.
func recorded(t *testing.T, s *apitest.Server) int {
	t.Helper()
	s.Replicas[0].Accounts.Throttle.Drain()
	events, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 100, Name: audit.ClientAuthFailed})
	if err != nil {
		t.Fatal(err)
	}
	return len(events)
}

// deaf is a store that, when told so, takes no attempts, or no word of how one ended.
type deaf struct {
	*sqlstore.DB
	reserve, settle atomic.Bool
}

func (d *deaf) ReserveAttempt(ctx context.Context, r userstore.Reserve) error {
	if d.reserve.Load() {
		return userstore.ErrUnavailable
	}
	return d.DB.ReserveAttempt(ctx, r)
}

func (d *deaf) FailAttempt(ctx context.Context, a userstore.Attempt, events ...audit.Event) error {
	if d.settle.Load() {
		return userstore.ErrUnavailable
	}
	return d.DB.FailAttempt(ctx, a, events...)
}
