package verifier_test

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
)

func remembering(n int) func(*verifier.Config) {
	return func(c *verifier.Config) { c.CacheSize = n }
}

// A remembered token is refused as soon as a new one would be.
func TestARememberedTokenIsCheckedLikeANewOne(t *testing.T) {
	s := newStand(t, remembering(10))
	at := func() string { return mk(t, s.header("EdDSA", nil), s.claims(nil), s.keys["EdDSA"]) }
	raw := at()
	for range 3 {
		s.accepted(t, raw)
	}
	if n := verifier.CacheLen(s.v); n != 1 {
		t.Fatalf("%d tokens are remembered", n)
	}
	s.issuer.Advance(659 * time.Second) // the skew is a minute
	s.accepted(t, raw)
	s.issuer.Advance(time.Second)
	s.refused(t, raw, verifier.ErrExpired)
	s.issuer.Advance(-661 * time.Second) // the clock is set back behind iat
	s.accepted(t, raw)
	s.issuer.Advance(-60 * time.Second)
	s.refused(t, raw, verifier.ErrNotYetValid)

	s = newStand(t, remembering(10))
	raw = at()
	s.accepted(t, raw)
	s.issuer.Revoke(s.kids["EdDSA"])
	s.issuer.Advance(5 * time.Minute) // max-age is over: a remembered token asks for the keys, too
	s.refused(t, raw, verifier.ErrUnknownKey)
	other := edKey(t)
	s.issuer.AddKey(other, "EdDSA")
	s.issuer.Advance(time.Minute)
	s.refused(t, raw, verifier.ErrUnknownKey)

	// Another key under the same kid did not sign it.
	s = newStand(t, remembering(10))
	raw = at()
	s.accepted(t, raw)
	s.keys["twin"], s.kids["twin"] = edKey(t), s.kids["EdDSA"]
	set := string(publicSet(t, s.keys["twin"], s.kids["twin"], "EdDSA"))
	s.issuer.Break(keySetHandler(s, set))
	s.issuer.Advance(5 * time.Minute)
	s.refused(t, raw, verifier.ErrSignature)
	s.accepted(t, mk(t, s.header("EdDSA", nil), s.claims(nil), s.keys["twin"]))

	// The known keys become too old to be used.
	s = newStand(t, remembering(10), func(c *verifier.Config) { c.StaleLimit = 6 * time.Minute })
	raw = at()
	s.accepted(t, raw)
	s.issuer.Break(status(503))
	s.issuer.Advance(6 * time.Minute)
	unavailable(t, s, raw)
}

// D-21: scopes, roles, logins and the age of a login are judged for each request.
func TestD21ARememberedTokenIsNoRememberedDecision(t *testing.T) {
	s := newStand(t, remembering(10))
	raw := mk(t, s.header("EdDSA", nil), s.claims(map[string]any{"roles": []string{"editor"}, "acr": "1",
		"auth_time": s.issuer.Now().Unix()}), s.keys["EdDSA"])
	for range 3 {
		for _, c := range []struct {
			need   verifier.Requirement
			status int
		}{
			{verifier.Requirement{}, 200},
			{verifier.Requirement{Scopes: []string{"profile"}}, 200},
			{verifier.Requirement{Scopes: []string{"admin"}}, 403},
			{verifier.Requirement{Roles: []string{"editor"}}, 200},
			{verifier.Requirement{Roles: []string{"admin"}}, 403},
			{verifier.Requirement{ACRValues: []string{"1"}}, 200},
			{verifier.Requirement{ACRValues: []string{"2"}}, 401},
			{verifier.Requirement{MaxAge: time.Minute}, 200},
		} {
			if w := serve(s.v.Require(c.need)(status(200)), request("GET", "/", "Bearer "+raw)); w.Code != c.status {
				t.Errorf("%+v: %d", c.need, w.Code)
			}
		}
	}
	s.issuer.Advance(3 * time.Minute)
	if w := serve(s.v.RequireRecentLogin(time.Minute)(status(200)), request("GET", "/", "Bearer "+raw)); w.Code != 401 {
		t.Errorf("an old login: %d", w.Code)
	}
	// Two verifiers of one process remember apart: the other one has another audience.
	other := newVerifier(t, func() verifier.Config {
		c := s.issuer.Config("https://other.example.com")
		c.CacheSize = 10
		return c
	}())
	for range 2 {
		if token, err := other.Verify(t.Context(), raw); token != nil || err == nil {
			t.Errorf("%v, %v", token, err)
		}
	}
}

func TestCallersMayChangeATokenThatIsRemembered(t *testing.T) {
	s := newStand(t, remembering(10))
	raw := mk(t, s.header("EdDSA", nil), s.claims(map[string]any{"aud": []string{audience, "b"}, "scope": "x y",
		"roles": []string{"r"}, "amr": []string{"pwd", "otp"}}), s.keys["EdDSA"])
	var first *verifier.Token
	for range 4 {
		token, err := s.v.Verify(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			fresh := *token
			fresh.Scopes, fresh.Roles = slices.Clone(token.Scopes), slices.Clone(token.Roles)
			fresh.Audience, fresh.AuthenticationMethods = slices.Clone(token.Audience), slices.Clone(token.AuthenticationMethods)
			first = &fresh
		}
		if !reflect.DeepEqual(token, first) {
			t.Errorf("got %+v, want %+v", token, first)
		}
		token.Subject, token.Scopes[0], token.Roles[0], token.Audience[0] = "root", "admin", "admin", "x"
		token.Scopes = append(token.Scopes, "admin")
		token.AuthenticationMethods[1] = "hwk"
		claims := token.Claims()
		clear(claims)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	s := newStand(t, remembering(8))
	fresh := func(i int) string {
		return mk(t, s.header("EdDSA", nil), s.claims(map[string]any{"jti": fmt.Sprint(i)}), s.keys["EdDSA"])
	}
	busy := fresh(-1)
	for i := range 100 {
		for _, raw := range []string{fresh(i), busy} {
			if _, err := s.v.Verify(t.Context(), raw); err != nil {
				t.Fatal(err)
			}
		}
		if n := verifier.CacheLen(s.v); n > 8 {
			t.Fatalf("%d tokens are remembered", n)
		}
	}
	// Nothing of what was refused is remembered.
	s = newStand(t, remembering(8))
	for i := range 100 {
		raw := mk(t, s.header("EdDSA", nil), s.claims(map[string]any{"jti": fmt.Sprint(i), "aud": "x"}), s.keys["EdDSA"])
		if _, err := s.v.Verify(t.Context(), raw); err == nil {
			t.Fatal("accepted")
		}
	}
	if n := verifier.CacheLen(s.v); n != 0 {
		t.Errorf("%d refused tokens are remembered", n)
	}
	var wait sync.WaitGroup // for the race detector
	for i := range 8 {
		wait.Go(func() {
			for j := range 50 {
				if _, err := s.v.Verify(t.Context(), fresh(i*j%16)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

// A flood of bad tokens, no two of them alike, leaves nothing behind, whatever is wrong with them.
func TestAFloodOfBadTokensLeavesNothingBehind(t *testing.T) {
	s := newStand(t, remembering(100))
	s.accepted(t, s.genuine("EdDSA"))
	now := s.issuer.Now().Unix()
	bad := func(i int) string {
		name := fmt.Sprintf("%d", i)
		claims, header, key := map[string]any{"jti": name}, map[string]any{}, s.keys["EdDSA"]
		switch i % 6 {
		case 0:
			header["kid"] = name
		case 1:
			claims["aud"] = name
		case 2:
			claims["iss"] = s.issuer.URL + "/" + name
		case 3:
			claims["exp"], claims["iat"] = now-100, now-200
		case 4:
			return mk(t, s.header("EdDSA", header), s.claims(claims), s.keys["EdDSA"]) + "A"
		case 5:
			raw := []byte(mk(t, s.header("EdDSA", header), s.claims(claims), key))
			raw[len(raw)-40] ^= 1
			return string(raw)
		}
		return mk(t, s.header("EdDSA", header), s.claims(claims), key)
	}
	flood := func(from, n int) {
		for i := from; i < from+n; i++ {
			if token, err := s.v.Verify(t.Context(), bad(i)); token != nil || err == nil {
				t.Fatalf("token %d was accepted", i)
			}
		}
	}
	heap := func() uint64 {
		verifier.AwaitFetch(s.v)
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	flood(0, 1000)
	before := heap()
	const n = 12_000
	flood(1000, n)
	// Ten bytes a token would already be more.
	if after := heap(); after > before+n*10 {
		t.Errorf("%d bytes are kept of %d bad tokens", after-before, n)
	}
	if got := verifier.CacheLen(s.v); got != 1 {
		t.Errorf("%d tokens are remembered", got)
	}
	if got := s.issuer.Requests(); got != 1 {
		t.Errorf("%d fetches", got)
	}
	runtime.KeepAlive(s)
}
