package verifier_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

// with names more issuers. All of a test have the clock of the stand, so that Advance moves them all.
func with(issuers ...verifier.Issuer) func(*verifier.Config) {
	return func(c *verifier.Config) { c.MoreIssuers = issuers }
}

func TestSeveralIssuersAtOnce(t *testing.T) {
	other := issuertest.New(t)
	s := newStand(t, with(verifier.Issuer{Identifier: other.URL, Audience: []string{"https://old.example.com"}}))
	theirs := func(change map[string]any) string {
		now := s.issuer.Now().Unix()
		claims := map[string]any{"aud": "https://old.example.com", "iat": now, "exp": now + 600}
		for name, value := range change {
			claims[name] = value
		}
		return other.Token(claims)
	}
	s.accepted(t, s.genuine("RS256"))
	s.accepted(t, theirs(nil))
	token, err := s.v.Verify(t.Context(), theirs(map[string]any{"sub": "bob"}))
	if err != nil || token.Issuer != other.URL || token.Subject != "bob" {
		t.Errorf("%+v, %v", token, err)
	}
	claims := s.claims(map[string]any{"iss": other.URL, "aud": "https://old.example.com"})
	ours := mk(t, s.header("RS256", nil), claims, s.keys["RS256"])
	for name, c := range map[string]struct {
		raw  string
		want error
	}{
		"the audience of the other one":     {theirs(map[string]any{"aud": audience}), verifier.ErrWrongAudience},
		"one's name under the other's key":  {theirs(map[string]any{"iss": s.issuer.URL, "aud": audience}), verifier.ErrUnknownKey},
		"the other's name under one's key":  {ours, verifier.ErrUnknownKey},
		"a name that is almost the other's": {theirs(map[string]any{"iss": other.URL + "/"}), verifier.ErrWrongIssuer},
	} {
		s.refused(t, c.raw, c.want)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// A stranger's issuer is refused without a fetch, even when there are no keys yet.
func TestAnUnknownIssuerCausesNoFetch(t *testing.T) {
	other := issuertest.New(t)
	s := newStand(t, with(verifier.Issuer{Identifier: other.URL}))
	stranger := issuertest.New(t)
	for range 10 {
		s.refused(t, stranger.Token(map[string]any{"aud": audience}), verifier.ErrWrongIssuer)
		s.issuer.Advance(time.Minute)
	}
	if n := s.issuer.Requests() + other.Requests() + stranger.Requests(); n != 0 {
		t.Errorf("%d fetches", n)
	}
}

// Caches, cooldowns and outages of issuers are apart.
func TestAnIssuerThatIsDownHarmsNoOther(t *testing.T) {
	down := issuertest.New(t)
	s := newStand(t, with(verifier.Issuer{Identifier: down.URL, JWKSURL: down.URL + "/.well-known/jwks.json"}))
	down.Break(status(http.StatusServiceUnavailable))
	theirs := func() string {
		now := s.issuer.Now().Unix()
		return down.Token(map[string]any{"aud": audience, "iat": now, "exp": now + 600})
	}
	for range 20 {
		if _, err := s.v.Verify(t.Context(), theirs()); !isUnavailable(err) {
			t.Errorf("of the issuer that is down: %v", err)
		}
		s.accepted(t, s.genuine("EdDSA"))
	}
	// A flood of unknown kids of the one takes no fetch from the other.
	s.issuer.Advance(20 * time.Second)
	unknown := mk(t, s.header("EdDSA", map[string]any{"kid": "x"}), s.claims(map[string]any{"iss": down.URL}), s.keys["EdDSA"])
	for range 20 {
		if _, err := s.v.Verify(t.Context(), unknown); !isUnavailable(err) {
			t.Error(err)
		}
	}
	addUnexpectedKey(t, s.issuer)
	s.accepted(t, s.issuer.Token(map[string]any{"aud": audience}))
	if got := s.issuer.Requests(); got != 2 {
		t.Errorf("%d fetches from the issuer that is up", got)
	}
	verifier.AwaitFetch(s.v)
	down.Break(nil)
	s.issuer.Advance(13 * time.Second)
	if _, err := s.v.Verify(t.Context(), theirs()); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

func TestFaultsOfMoreIssuers(t *testing.T) {
	good := verifier.Issuer{Identifier: "https://other.example.com"}
	for name, change := range map[string]func(*verifier.Issuer){
		"no identifier":       func(i *verifier.Issuer) { i.Identifier = "" },
		"a query":             func(i *verifier.Issuer) { i.Identifier += "?x=1" },
		"the first again":     func(i *verifier.Issuer) { i.Identifier = "https://id.example.com" },
		"an empty audience":   func(i *verifier.Issuer) { i.Audience = []string{""} },
		"one empty audience":  func(i *verifier.Issuer) { i.Audience = []string{audience, ""} },
		"lists in a file":     func(i *verifier.Issuer) { i.StatusBaseURL = "file:///lists" },
		"alg none":            func(i *verifier.Issuer) { i.Algorithms = []string{"none"} },
		"a key set in a file": func(i *verifier.Issuer) { i.JWKSURL = "file:///keys" },
	} {
		bad := verifier.Issuer{Identifier: "https://third.example.com"}
		change(&bad)
		config := verifier.Config{
			Issuer: "https://id.example.com", Audience: []string{audience}, MoreIssuers: []verifier.Issuer{good, bad},
		}
		if v, err := verifier.New(config); err == nil || v != nil || !strings.Contains(err.Error(), "MoreIssuers[1]") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheMetadataNameAllIssuers(t *testing.T) {
	v := newVerifier(t, verifier.Config{
		Issuer: "https://id.example.com", Resource: verifier.Resource{URI: audience},
		MoreIssuers: []verifier.Issuer{{Identifier: "https://other.example.com"}},
	})
	w := serve(v.Middleware(http.NotFoundHandler()), request("GET", verifier.MetadataPath))
	if !strings.Contains(w.Body.String(), `"authorization_servers":["https://id.example.com","https://other.example.com"]`) {
		t.Error(w.Body)
	}
}

// The key set is fetched from the address that is configured, and the issuer stays the public name.
func TestAnInternalAddressOfTheKeySet(t *testing.T) {
	s := newStand(t)
	var asked []string
	internal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Host+r.URL.Path)
		_, _ = w.Write(s.issuer.JWKS())
	}))
	defer internal.Close()
	const public = "https://id.example.com" // which nobody answers
	v := newVerifier(t, verifier.Config{
		Issuer: public, Audience: []string{audience}, JWKSURL: internal.URL + "/keys",
		Now: s.issuer.Now, Logger: slog.New(slog.DiscardHandler),
	})
	raw := mk(t, s.header("RS256", nil), s.claims(map[string]any{"iss": public}), s.keys["RS256"])
	if token, err := v.Verify(t.Context(), raw); err != nil || token.Issuer != public {
		t.Errorf("%+v, %v", token, err)
	}
	// The internal address is no issuer's name.
	raw = mk(t, s.header("RS256", nil), s.claims(map[string]any{"iss": internal.URL}), s.keys["RS256"])
	if _, err := v.Verify(t.Context(), raw); !errors.Is(err, verifier.ErrWrongIssuer) {
		t.Error(err)
	}
	if u, _ := url.Parse(internal.URL); len(asked) != 1 || asked[0] != u.Host+"/keys" {
		t.Errorf("asked %q", asked)
	}
}
