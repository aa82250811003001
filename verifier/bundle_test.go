package verifier_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

const week = 7 * 24 * time.Hour

// bundleOf signs the key set of an issuer with one of its keys.
func bundleOf(
	t testing.TB, issuer string, at time.Time, life time.Duration, jwks []byte, key crypto.Signer, kid, alg string,
) []byte {
	t.Helper()
	signer, err := jose.NewSigner(key, kid, alg, jose.TypeBundle)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jose.SignBundle(signer, issuer, at, at.Add(life), jwks)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text + "\n")
}

// bundle is what `signet keys bundle` would print now.
func (s *stand) bundle(alg string) []byte {
	return bundleOf(s.t, s.issuer.URL, s.issuer.Now(), week, s.issuer.JWKS(), s.keys[alg], s.kids[alg], alg)
}

// offline restarts with a bundle and without network.
func (s *stand) offline(bundle []byte, change ...func(*verifier.Config)) {
	s.restart(append(change, func(c *verifier.Config) {
		c.Bundle, c.Offline = bundle, true
		c.HTTPClient = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			s.t.Error("an offline verifier called somebody")
			return nil, errors.New("no network")
		})}
	})...)
}

func TestABundleReplacesTheNetworkUntilItEnds(t *testing.T) {
	s := newStand(t)
	s.offline(s.bundle("RS256"))
	for _, alg := range []string{"RS256", "EdDSA", "ES256"} {
		s.accepted(t, s.genuine(alg))
	}
	s.refused(t, mk(t, s.header("RS256", nil), s.claims(nil), rsaKeys()[1]), verifier.ErrSignature)
	s.issuer.Advance(week - time.Second)
	s.accepted(t, s.genuine("RS256"))
	// Of a kid that the bundle lacks nobody can tell here whether it is one of the issuer's by now.
	unavailable(t, s, mk(t, s.header("RS256", map[string]any{"kid": "x"}), s.claims(nil), rsaKeys()[1]))
	s.issuer.Advance(time.Second)
	unavailable(t, s, s.genuine("RS256"))
	// The clock goes back to before the bundle was made.
	s.issuer.Advance(-week - time.Hour)
	unavailable(t, s, s.genuine("RS256"))
}

func TestLaterBundles(t *testing.T) {
	s := newStand(t)
	first := s.bundle("RS256")
	s.offline(first)
	update := func(name string, bundle []byte, want error) {
		t.Helper()
		if err := s.v.UpdateBundle(bundle); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	update("the same once more", first, nil)
	update("the same without its line break", bytes.TrimSpace(first), nil)
	update("another one of the same second", s.bundle("EdDSA"), verifier.ErrBundleOlder)

	s.issuer.Advance(time.Hour)
	at, jwks := s.issuer.Now(), s.issuer.JWKS()
	made := func(issuer string, at time.Time, life time.Duration, key crypto.Signer, kid string) []byte {
		return bundleOf(t, issuer, at, life, jwks, key, kid, "RS256")
	}
	rs, kid, url := s.keys["RS256"], s.kids["RS256"], s.issuer.URL
	update("no bundle", []byte("x"), verifier.ErrBundleInvalid)
	update("nothing", nil, verifier.ErrBundleInvalid)
	update("a token", []byte(s.genuine("RS256")), verifier.ErrBundleInvalid)
	update("a key set", jwks, verifier.ErrBundleInvalid)
	update("another issuer", made(url+"/", at, week, rs, kid), verifier.ErrBundleInvalid)
	update("an attacker's key under a good kid", made(url, at, week, rsaKeys()[1], kid), verifier.ErrBundleUnverified)
	update("an attacker's key of its own", made(url, at, week, rsaKeys()[1], "x"), verifier.ErrBundleUnverified)
	theirs := publicSet(t, rsaKeys()[1], "x", "RS256")
	whole := bundleOf(t, url, at, week, theirs, rsaKeys()[1], "x", "RS256")
	update("an attacker's whole key set", whole, verifier.ErrBundleUnverified)
	changed := bytes.Replace(made(url, at, week, rs, kid), []byte(".eyJ"), []byte(".eyK"), 1)
	update("a changed one", changed, verifier.ErrBundleInvalid)
	update("an older one", made(url, at.Add(-2*time.Hour), week, rs, kid), verifier.ErrBundleOlder)
	update("one that has expired", made(url, at.Add(-time.Minute), 30*time.Second, rs, kid), verifier.ErrBundleTime)
	update("one of the future", made(url, at.Add(2*time.Minute), week, rs, kid), verifier.ErrBundleTime)
	s.accepted(t, s.genuine("RS256")) // after all these

	// A chain of bundles outlives the first, and every key of the first.
	for range 5 {
		s.issuer.AddKey(edKey(t), "EdDSA")
		s.issuer.Advance(week - 2*time.Hour)
		update("a later one", s.bundle("RS256"), nil)
		s.accepted(t, s.issuer.Token(map[string]any{"aud": audience}))
		s.accepted(t, s.genuine("RS256"))
	}
	update("the first again", first, verifier.ErrBundleTime)

	s.issuer.Advance(week)
	update("a good one, when the last has ended", s.bundle("RS256"), verifier.ErrBundleUnverified)
	unavailable(t, s, s.genuine("RS256"))
	s.offline(s.bundle("RS256"))
	s.accepted(t, s.genuine("RS256"))
}

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A bundle cannot bring back what was withdrawn, in whatever order bundles and key sets come.
func TestJ33NoBundleBringsAWithdrawnKeyBack(t *testing.T) {
	t.Run("bundles alone", func(t *testing.T) {
		s := newStand(t)
		first := s.bundle("RS256")
		s.offline(first)
		stolen := s.genuine("ES256")
		s.accepted(t, stolen)
		s.issuer.Advance(time.Minute)
		s.issuer.Revoke(s.kids["ES256"])
		if err := s.v.UpdateBundle(s.bundle("RS256")); err != nil {
			t.Fatal(err)
		}
		s.refused(t, stolen, verifier.ErrUnknownKey)
		s.issuer.Advance(time.Minute)
		// The thief has the withdrawn key and signs a newer bundle with it; or it is listed once more.
		if err := s.v.UpdateBundle(s.bundle("ES256")); !errors.Is(err, verifier.ErrBundleUnverified) {
			t.Error(err)
		}
		s.issuer.AddKey(s.keys["ES256"], "ES256")
		for _, again := range [][]byte{first, s.bundle("RS256")} {
			if err := s.v.UpdateBundle(again); !errors.Is(err, verifier.ErrBundleOlder) {
				t.Error(err)
			}
		}
		s.refused(t, stolen, verifier.ErrUnknownKey)
	})
	t.Run("a bundle and the network", func(t *testing.T) {
		s := newStand(t)
		older := s.bundle("RS256")
		s.restart(func(c *verifier.Config) { c.Bundle = older; c.StaleLimit = time.Hour })
		stolen := func() string { return s.genuine("ES256") }
		s.accepted(t, stolen()) // by the bundle, and a fetch begins
		verifier.AwaitFetch(s.v)
		s.issuer.Advance(time.Minute)
		between := s.bundle("RS256")
		s.issuer.Advance(time.Minute)
		s.issuer.Revoke(s.kids["ES256"])
		s.issuer.Advance(5 * time.Minute)
		s.refused(t, stolen(), verifier.ErrUnknownKey)
		s.issuer.Break(status(503))
		for _, bundle := range [][]byte{older, between} {
			if err := s.v.UpdateBundle(bundle); err == nil && !bytes.Equal(bundle, older) {
				t.Error("an older bundle was taken")
			}
			s.refused(t, stolen(), verifier.ErrUnknownKey)
			s.accepted(t, s.genuine("RS256"))
			s.issuer.Advance(time.Minute)
		}
		// The keys that the bundle vouched for are good until its end, though StaleLimit is over.
		s.issuer.Advance(2 * time.Hour)
		s.accepted(t, s.genuine("RS256"))
		s.refused(t, stolen(), verifier.ErrUnknownKey)
		s.issuer.Advance(week)
		unavailable(t, s, s.genuine("RS256"))
		// Only the issuer's own answer brings the key back.
		s.issuer.Break(nil)
		s.issuer.AddKey(s.keys["ES256"], "ES256")
		s.issuer.Advance(time.Minute)
		s.accepted(t, stolen())
	})
	t.Run("a bundle of before the key set that was fetched", func(t *testing.T) {
		s := newStand(t)
		first := s.bundle("RS256")
		s.restart(func(c *verifier.Config) { c.Bundle = first })
		s.issuer.Advance(time.Minute)
		between := s.bundle("RS256")
		s.issuer.Advance(time.Minute)
		s.issuer.AddKey(edKey(t), "EdDSA")
		fresh := s.issuer.Token(map[string]any{"aud": audience})
		s.accepted(t, fresh) // of a key that the bundles lack, so it was fetched
		if err := s.v.UpdateBundle(between); !errors.Is(err, verifier.ErrBundleOlder) {
			t.Error(err)
		}
		s.issuer.Break(status(503))
		s.accepted(t, fresh)
	})
	t.Run("an older copy of the key set after a bundle", func(t *testing.T) {
		s := newStand(t)
		copied, date := string(s.issuer.JWKS()), s.issuer.Now()
		s.issuer.Advance(time.Hour)
		s.issuer.Revoke(s.kids["ES256"])
		bundle := s.bundle("RS256")
		s.restart(func(c *verifier.Config) { c.Bundle = bundle })
		s.issuer.Break(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			keySetHandler(s, copied).ServeHTTP(dated{w, date}, r)
		}))
		for range 20 {
			if token, err := s.v.Verify(t.Context(), s.genuine("ES256")); token != nil || err == nil {
				t.Fatalf("a withdrawn key came back: %v", token)
			}
			s.accepted(t, s.genuine("RS256"))
			verifier.AwaitFetch(s.v)
			s.issuer.Advance(time.Minute)
		}
	})
}

// dated is a cache that hands out what an origin said at another time.
type dated struct {
	http.ResponseWriter
	date time.Time
}

func (d dated) Write(b []byte) (int, error) {
	d.Header().Set("Date", d.date.UTC().Format(http.TimeFormat))
	return d.ResponseWriter.Write(b)
}

// With a bundle nobody waits for an issuer that hangs, and its key set is used as soon as it comes.
func TestABundleAndTheNetwork(t *testing.T) {
	s := newStand(t)
	bundle := s.bundle("EdDSA")
	release := make(chan struct{})
	s.issuer.Break(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	s.restart(func(c *verifier.Config) { c.Bundle = bundle; c.FetchTimeout = time.Minute })
	start := time.Now()
	for range 10 {
		s.accepted(t, s.genuine("RS256"))
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	close(release)
	verifier.AwaitFetch(s.v)
	s.issuer.Break(nil)
	addUnexpectedKey(t, s.issuer)
	s.issuer.Advance(13 * time.Second)
	s.accepted(t, s.issuer.Token(map[string]any{"aud": audience})) // a key that the bundle lacks
}

// A fetch that began before a bundle came confirms, with 304, the keys from before the bundle. They
// do not take its place.
func TestABundleThatComesDuringAFetch(t *testing.T) {
	s := newStand(t)
	s.accepted(t, s.genuine("RS256"))
	s.issuer.Advance(4*time.Minute + 50*time.Second) // soon stale: the next fetch is beside the request
	begun, release := make(chan struct{}), make(chan struct{})
	s.issuer.Break(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == "" {
			t.Error("the fetch names no ETag")
		}
		close(begun)
		<-release
		w.WriteHeader(http.StatusNotModified)
	}))
	s.accepted(t, s.genuine("RS256"))
	<-begun
	s.issuer.AddKey(edKey(t), "EdDSA")
	fresh := s.issuer.Token(map[string]any{"aud": audience})
	if err := s.v.UpdateBundle(s.bundle("RS256")); err != nil {
		t.Fatal(err)
	}
	close(release)
	verifier.AwaitFetch(s.v)
	s.issuer.Break(status(503))
	s.accepted(t, fresh)
}

// The issuer's clocks differ a little: a key set whose Date is some seconds before the bundle is
// used, but opens no door to bundles of before.
func TestABundleOlderThanTheLastBundle(t *testing.T) {
	s := newStand(t)
	early, date := s.bundle("RS256"), s.issuer.Now().Add(-20*time.Second)
	s.issuer.Advance(10 * time.Second)
	late := s.bundle("RS256")
	s.issuer.Break(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keySetHandler(s, string(s.issuer.JWKS())).ServeHTTP(dated{w, date}, r)
	}))
	s.restart(func(c *verifier.Config) { c.Bundle = late })
	s.accepted(t, s.genuine("RS256"))
	verifier.AwaitFetch(s.v)
	if err := s.v.UpdateBundle(early); !errors.Is(err, verifier.ErrBundleOlder) {
		t.Error(err)
	}
}

func TestTheBundleOfTheConfiguration(t *testing.T) {
	s := newStand(t)
	good := s.bundle("RS256")
	other := issuertest.New(t)
	signed := func(issuer string, key crypto.Signer) []byte {
		return bundleOf(t, issuer, s.issuer.Now(), week, s.issuer.JWKS(), key, s.kids["RS256"], "RS256")
	}
	config := s.issuer.Config(audience)
	attempt := func(bundle []byte, offline bool, change ...func(*verifier.Config)) error {
		c := config
		c.Bundle, c.Offline = bundle, offline
		for _, ch := range change {
			ch(&c)
		}
		_, err := verifier.New(c)
		return err
	}
	if err := attempt(good, true); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		bundle []byte
		change func(*verifier.Config)
	}{
		"no bundle":            {[]byte("x"), nil},
		"a token":              {[]byte(s.genuine("RS256")), nil},
		"another issuer's":     {signed(other.URL, s.keys["RS256"]), nil},
		"signed by a stranger": {signed(s.issuer.URL, rsaKeys()[1]), nil},
		"signed with an algorithm that is not allowed": {good, func(c *verifier.Config) { c.Algorithms = []string{"EdDSA"} }},
	} {
		change := c.change
		if change == nil {
			change = func(*verifier.Config) {}
		}
		for _, offline := range []bool{true, false} {
			if err := attempt(c.bundle, offline, change); !errors.Is(err, verifier.ErrBundleInvalid) {
				t.Errorf("%s, offline %v: %v", name, offline, err)
			}
		}
	}
	if err := attempt(nil, true); err == nil {
		t.Error("offline without a bundle")
	}
	if err := attempt(good, true, func(c *verifier.Config) { c.JWKSURL = s.issuer.URL + "/keys" }); err == nil {
		t.Error("offline with an address of keys, which nobody would ask")
	}
	// One that has expired stops no verifier that can ask the issuer.
	s.issuer.Advance(week)
	if err := attempt(good, true); !errors.Is(err, verifier.ErrBundleTime) {
		t.Error(err)
	}
	s.restart(func(c *verifier.Config) { c.Bundle = good })
	s.accepted(t, s.genuine("RS256"))
}
