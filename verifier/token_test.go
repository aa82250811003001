package verifier

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/signet-id/signet/internal/jose"
)

// FuzzReadClaims compares the hand-written reader with encoding/json: encoding/json must read the
// same claims from every payload that the reader accepts.
func FuzzReadClaims(f *testing.F) {
	const full = `{"iss":"https://i","sub":"a","aud":["b","c"],"exp":1799999999,"nbf":1.5,"iat":1799999399,"jti":"j","client_id":"c","scope":"x y","sid":"s","auth_time":0,"acr":"1","amr":["pwd"],"roles":["admin"],"x":{"y":[1]}}`
	for _, seed := range []string{full, `{}`, `[]`, strings.Replace(full, `["b","c"]`, `"b"`, 1),
		strings.Replace(full, "1.5", "1e400", 1),
		strings.Replace(full, `"sub"`, `"\u0073ub"`, 1), strings.Replace(full, `"x":`, `"Sub":`, 1),
		strings.Replace(full, `"x":`, `"cnf":`, 1),
		strings.Replace(full, `"x":{"y":[1]}`, `"cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`, 1), strings.Replace(full, `"x y"`, `"x\u0020y"`, 1)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		claims, err := jose.ReadAccessClaims(payload)
		if err != nil {
			if !reflect.DeepEqual(claims, jose.AccessClaims{}) {
				t.Fatal("claims beside an error")
			}
			return
		}
		got := newToken(claims, payload)
		var want struct {
			Iss, Sub, Jti, Scope, Sid, Acr string
			ClientID                       string `json:"client_id"`
			Aud                            any
			Amr, Roles                     []string
			Exp, Nbf, Iat                  float64
			AuthTime                       float64 `json:"auth_time"`
			Cnf                            struct{ Jkt string }
		}
		if err := json.Unmarshal(payload, &want); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", payload, err)
		}
		audience := []string{}
		switch aud := want.Aud.(type) {
		case string:
			audience = append(audience, aud)
		case []any:
			for _, a := range aud {
				audience = append(audience, a.(string))
			}
		}
		same := func(t time.Time, f float64) bool { return t.Unix() == int64(f) || t.IsZero() && f == 0 }
		if got.Issuer != want.Iss || got.Subject != want.Sub || got.ID != want.Jti || got.ClientID != want.ClientID ||
			got.SessionID != want.Sid ||
			got.AuthenticationContext != want.Acr || strings.Join(got.Scopes, " ") != want.Scope ||
			!reflect.DeepEqual(got.Audience, audience) ||
			strings.Join(got.AuthenticationMethods, "\n") != strings.Join(want.Amr, "\n") ||
			strings.Join(got.Roles, "\n") != strings.Join(want.Roles, "\n") ||
			!same(got.Expiry, want.Exp) || !same(got.IssuedAt, want.Iat) || !same(got.NotBefore, want.Nbf) ||
			!same(got.AuthenticatedAt, want.AuthTime) || claims.KeyThumbprint != want.Cnf.Jkt {
			t.Fatalf("%q\ngot  %+v\nwant %+v", payload, got, want)
		}
	})
}

func TestFreshness(t *testing.T) {
	for _, c := range []struct {
		cacheControl, age string
		want              time.Duration
	}{
		{"", "", -1}, {"public", "", -1}, {"public, max-age=300", "", 300 * time.Second},
		{"Max-Age=300", "", 300 * time.Second}, {`max-age="300"`, "", 300 * time.Second},
		{"max-age=300", "100", 200 * time.Second}, {"max-age=300", "400", 0}, {"max-age=300", "-1", 300 * time.Second},
		{"max-age=300", "x", 300 * time.Second},
		{"max-age=300, no-store", "", 0}, {"no-cache", "", 0}, {"max-age=-5", "", -1},
		{"max-age=99999999999999999999", "", -1}, {"s-maxage=5", "", -1}, {"max-age=", "", -1},
		{"max-age=2147483647", "", 2147483647 * time.Second},
	} {
		h := http.Header{}
		h.Set("Cache-Control", c.cacheControl)
		h.Set("Age", c.age)
		if got := freshness(h); got != c.want {
			t.Errorf("%q, age %q: %v", c.cacheControl, c.age, got)
		}
	}
}

func TestTimesOfASnapshot(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	k := newKeySet(Config{}, func() time.Time { return now }, nil)
	for _, c := range []struct{ said, used time.Duration }{
		{-1, 5 * time.Minute}, {0, 10 * time.Second}, {time.Second, 10 * time.Second}, {300 * time.Second, 300 * time.Second},
		{240 * time.Hour, time.Hour},
	} {
		for range 20 {
			s := k.snapshot(document{maxAge: c.said})
			early := s.refreshAt.Sub(now)
			if s.staleAt.Sub(now) != c.used || early < c.used*7/10 || early > c.used*9/10 || s.deadAt.Sub(now) != 24*time.Hour {
				t.Errorf("max-age %v: refresh at %v, stale at %v, dead at %v", c.said, early, s.staleAt.Sub(now), s.deadAt.Sub(now))
			}
		}
	}
}

func TestTheCooldownHasARandomQuarter(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for random, want := range map[float64]time.Duration{0: 10 * time.Second, 0.5: 11250 * time.Millisecond,
		1: 12500 * time.Millisecond} {
		k := newKeySet(Config{JWKSURL: "http://127.0.0.1:1/", FetchTimeout: time.Nanosecond}, func() time.Time { return now },
			slog.New(slog.DiscardHandler))
		k.random = func() float64 { return random }
		wait, _ := k.refresh(now)
		<-wait
		if got := k.nextAttempt.Sub(now); got != want {
			t.Errorf("random %v: next attempt after %v", random, got)
		}
		if wait, failing := k.refresh(now.Add(want - 1)); wait != nil || !failing {
			t.Error("the cooldown was not kept")
		}
		if wait, _ := k.refresh(now.Add(want)); wait == nil {
			t.Error("the cooldown does not end")
		} else {
			<-wait
		}
	}
}

// suspended returns t after d in which the monotonic clock stood still, as it does on a suspended
// machine. Package time has no function for such a time, hence unsafe.
func suspended(t time.Time, d time.Duration) time.Time {
	t = t.Add(d)
	(*struct {
		wall uint64
		ext  int64 // the monotonic reading
	})(unsafe.Pointer(&t)).ext -= int64(d)
	return t
}

func TestTheOlderOfTwoAgesCounts(t *testing.T) {
	base := time.Now()
	now := base
	k := newKeySet(Config{JWKSURL: "http://127.0.0.1:1/", FetchTimeout: time.Nanosecond}, func() time.Time { return now },
		slog.New(slog.DiscardHandler))
	s := k.snapshot(document{maxAge: 5 * time.Minute})
	s.keys = map[string][]jose.PublicKey{"kid": {{ID: "kid"}}}
	asleep := suspended(base, 5*time.Minute)
	if asleep.Sub(base) != 0 || asleep.Round(0).Sub(base) != 5*time.Minute {
		t.Fatal("time.Time is not made as this test thinks")
	}
	if !reached(asleep, s.staleAt) || !reached(base.Add(5*time.Minute), s.staleAt) ||
		reached(suspended(base, 4*time.Minute), s.staleAt) {
		t.Error("max-age")
	}
	if s.usable(suspended(base, 24*time.Hour)) || !s.usable(suspended(base, 23*time.Hour)) {
		t.Error("the stale limit is not kept across a suspension")
	}
	setBack := suspended(base, -30*time.Second).Add(5 * time.Minute)
	if !reached(setBack, s.staleAt) || !s.usable(setBack) {
		t.Error("a clock that was set back made the key set younger")
	}
	if s.usable(suspended(base, -2*time.Minute)) {
		t.Error("a key set of the future")
	}

	k.current.Store(s)
	if keys, err := k.find(t.Context(), "kid", base, true); err != nil || len(keys) != 1 {
		t.Error(keys, err)
	}
	now = suspended(base, 24*time.Hour)
	if keys, err := k.find(t.Context(), "kid", base, true); err == nil {
		t.Error("keys after the stale limit:", keys)
	}
	now = suspended(now, time.Minute)
	if wait, _ := k.refresh(now); wait == nil {
		t.Error("the cooldown outlives a suspension")
	} else {
		<-wait
	}
}

// J-30: an issuer whose every answer holds other keys fills no memory with those that it withdrew.
func TestJ30WithdrawnKeysAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	k := newKeySet(Config{}, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	var known *snapshot
	for i := range 300 {
		next := &snapshot{date: now, keys: map[string][]jose.PublicKey{}}
		for j := range jose.MaxKeys {
			next.keys[fmt.Sprint(i, " ", j)] = []jose.PublicKey{{}}
		}
		k.remember(known, next)
		known = next
		if n := len(k.withdrawn); n > maxWithdrawn+jose.MaxKeys {
			t.Fatalf("%d withdrawn keys are remembered", n)
		}
	}
	if n := len(k.withdrawn); n < maxWithdrawn {
		t.Errorf("only %d withdrawn keys are remembered", n)
	}
}
