package verifier_test

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/statuslist"
	"github.com/signet-id/signet/verifier"
)

// A list counts only if one of the issuer's own keys signed it, with an algorithm that is allowed: in
// these rows everything else about the list is right.
func TestWhoSignsAStatusList(t *testing.T) {
	claims := func(s *statusStand) string {
		list, err := s.places.Encode()
		if err != nil {
			t.Fatal(err)
		}
		now := s.issuer.Now().Unix()
		return toJSON(t, map[string]any{"iss": s.issuer.URL, "sub": s.address("/status/0"), "iat": now, "exp": now + 600,
			"ttl": 15, "status_list": list})
	}
	signed := func(s *statusStand, alg string) string {
		return mk(t, s.header(alg, map[string]any{"typ": statuslist.Type}), claims(s), s.keys[alg])
	}
	for name, row := range map[string]struct {
		change func(*verifier.Config)
		list   func(*statusStand) string
		want   error
	}{
		"a key of the issuer": {nil, func(s *statusStand) string { return signed(s, "RS256") }, nil},
		"a stranger under the issuer's kid": {nil, func(s *statusStand) string {
			return mk(t, s.header("RS256", map[string]any{"typ": statuslist.Type}), claims(s), rsaKeys()[1])
		}, verifier.ErrStatusUnavailable},
		"a stranger under a kid of its own": {nil, func(s *statusStand) string {
			return mk(t, s.header("RS256", map[string]any{"typ": statuslist.Type, "kid": "x"}), claims(s), rsaKeys()[1])
		}, verifier.ErrStatusUnavailable},
		"a key that was revoked": {nil, func(s *statusStand) string {
			list := signed(s, "ES256")
			s.issuer.Revoke(s.kids["ES256"])
			return list
		}, verifier.ErrStatusUnavailable},
		"an algorithm that is not allowed": {func(c *verifier.Config) { c.Algorithms = []string{"EdDSA"} },
			func(s *statusStand) string { return signed(s, "ES256") }, verifier.ErrStatusUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var change []func(*verifier.Config)
			if row.change != nil {
				change = append(change, row.change)
			}
			s := newStatusStand(t, change...)
			list := row.list(s)
			s.serve(func() string { return list })
			s.check(t, "the list", 1, row.want)
		})
	}
}

// What is no good list leaves the known one in its place, until that one expires.
func TestABadStatusListDoesNotReplaceAGoodOne(t *testing.T) {
	for name, bad := range map[string]func(s *statusStand) http.Handler{
		"one that has expired": func(s *statusStand) http.Handler {
			return listHandler(200, s.listToken(nil, map[string]any{"exp": s.issuer.Now().Unix()}))
		},
		"an error with a list": func(s *statusStand) http.Handler { return listHandler(500, s.listToken(nil, nil)) },
		"another list": func(s *statusStand) http.Handler {
			return listHandler(200, s.listToken(nil, map[string]any{"sub": s.address("/status/1")}))
		},
		"a shorter list": func(s *statusStand) http.Handler {
			older := s.issuer.Now().Unix() - 60
			s.places = statuslist.New(8)
			return listHandler(200, s.listToken(nil, map[string]any{"iat": older}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStatusStand(t)
			s.places.Revoke(3)
			s.check(t, "at first", 3, verifier.ErrRevoked)
			s.issuer.Advance(20 * time.Second)
			s.places = statuslist.New(64) // the bad answers say that nothing is revoked
			s.list.Store(http.HandlerFunc(bad(s).ServeHTTP))
			asked := s.asked.Load()
			s.check(t, "while the answers are bad", 3, verifier.ErrRevoked)
			s.check(t, "while the answers are bad", 9, nil)
			if s.asked.Load() == asked {
				t.Error("the list was not asked for")
			}
			s.issuer.Advance(10 * time.Minute)
			s.check(t, "after the good one has expired", 9, verifier.ErrStatusUnavailable)
		})
	}
}

func listHandler(code int, token string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", statuslist.MediaType)
		w.WriteHeader(code)
		_, _ = w.Write([]byte(token))
	})
}

// Without a network a token that names a list is accepted only where the configuration says so.
func TestStatusWithoutANetwork(t *testing.T) {
	s := newStatusStand(t)
	raw, bare := s.token(reference(s.address("/status/0"), 1)), s.token(nil)
	bundle := s.bundle("EdDSA")
	for policy, want := range map[verifier.StatusPolicy]error{
		verifier.StatusRequire: verifier.ErrStatusUnavailable, verifier.StatusIgnore: nil,
	} {
		s.restart(func(c *verifier.Config) {
			c.Bundle, c.Offline, c.Status = bundle, true, policy
			c.HTTPClient = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				t.Error("an offline verifier called somebody")
				return nil, errors.New("no network")
			})}
		})
		if _, err := s.v.Verify(t.Context(), raw); !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", policy, err, want)
		}
		if _, err := s.v.Verify(t.Context(), bare); err != nil {
			t.Errorf("%d, a token that names no list: %v", policy, err)
		}
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("a list was fetched %d times", n)
	}
}

// D-21: a remembered token is checked against its list each time.
func TestStatusOfARememberedToken(t *testing.T) {
	s := newStatusStand(t, remembering(10))
	raw := s.token(reference(s.address("/status/0"), 5))
	for range 3 {
		s.accepted(t, raw)
	}
	s.places.Revoke(5)
	s.issuer.Advance(15 * time.Second)
	if _, err := s.v.Verify(t.Context(), raw); !errors.Is(err, verifier.ErrRevoked) {
		t.Errorf("after its revocation: %v", err)
	}
	if n := verifier.CacheLen(s.v); n != 1 {
		t.Errorf("%d tokens are remembered", n)
	}
}

// After the clock was set back, no list is believed whose age nobody knows.
func TestStatusListAfterTheClockWasSetBack(t *testing.T) {
	s := newStatusStand(t)
	now := s.issuer.Now().Unix()
	raw := mk(t, s.header("EdDSA", nil), s.claims(map[string]any{"iat": now - 300, "exp": now + 600,
		"status": reference(s.address("/status/0"), 5)}), s.keys["EdDSA"])
	verify := func() error { _, err := s.v.Verify(t.Context(), raw); return err }
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	s.list.Store(http.HandlerFunc(status(503).ServeHTTP))
	s.issuer.Advance(-2 * time.Minute)
	if err := verify(); !errors.Is(err, verifier.ErrStatusUnavailable) {
		t.Errorf("with a list of the future: %v", err)
	}
	s.serve(func() string { return s.listToken(nil, nil) })
	s.issuer.Advance(10 * time.Second)
	if err := verify(); err != nil {
		t.Errorf("with a new list: %v", err)
	}
}

// A list is fetched in the background before its ttl is over, and, whatever ttl it has, every five minutes.
func TestWhenAStatusListIsFetched(t *testing.T) {
	s := newStatusStand(t)
	s.check(t, "at first", 1, nil)
	s.issuer.Advance(10 * time.Second) // less than 70 percent of ttl
	s.check(t, "while it is fresh", 1, nil)
	verifier.AwaitStatus(s.v)
	if n := s.asked.Load(); n != 1 {
		t.Errorf("%d fetches of a fresh list", n)
	}
	s.issuer.Advance(4 * time.Second) // more than 90 percent
	s.check(t, "when it is soon stale", 1, nil)
	verifier.AwaitStatus(s.v)
	if n := s.asked.Load(); n != 2 {
		t.Errorf("%d fetches of a list that is soon stale", n)
	}

	s = newStatusStand(t)
	s.serve(func() string {
		return s.listToken(nil, map[string]any{"ttl": 86400, "exp": s.issuer.Now().Unix() + 86400})
	})
	s.check(t, "at first", 1, nil)
	s.places.Revoke(1)
	s.issuer.Advance(5 * time.Minute)
	s.check(t, "after five minutes of a day", 1, verifier.ErrRevoked)
}

// The longest lists there are: as many are kept as fit into the memory for them.
func TestManyLongStatusLists(t *testing.T) {
	s := newStatusStand(t)
	s.places = statuslist.New(8 * statuslist.MaxBytes)
	s.list.Store(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", statuslist.MediaType)
		_, _ = w.Write([]byte(s.listToken(nil, map[string]any{"sub": s.address(r.URL.Path)})))
	}))
	for n := range 12 {
		s.issuer.Advance(time.Millisecond)
		raw := s.token(reference(s.address("/status/"+strconv.Itoa(n)), 8*statuslist.MaxBytes-1))
		if _, err := s.v.Verify(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	if n, bytes := verifier.StatusLists(s.v); n != 8 || bytes != 32<<20 {
		t.Errorf("%d lists of %d bytes are kept", n, bytes)
	}
}
