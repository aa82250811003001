package crashes_test

import (
	"crypto"
	"crypto/rand"
	"errors"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

var errNoEntropy = errors.New("no random numbers")

// flaky is a source of random numbers that can be broken.
type flaky struct{ broken atomic.Bool }

func (f *flaky) Read(p []byte) (int, error) {
	if f.broken.Load() {
		return 0, errNoEntropy
	}
	return rand.Read(p)
}

// F-36: where no id can be drawn, nothing is issued and nothing is written: the answer is 503. No id
// takes its place. Afterwards the same request succeeds.
func TestF36AFailingSourceOfIDsIssuesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(*testing.T) *store) {
		st, source := open(t), &flaky{}
		o := apitest.Options{DB: st.direct, Random: source}
		registering(issuer.RegistrationOpen)(&o)
		s := apitest.New(t, o)
		c := s.Register(userstore.Client{ID: "app", AuthMethod: userstore.AuthNone})
		web := s.Register(userstore.Client{ID: "web"})
		u := s.Operated("ada@example.test", true)
		tokens := s.Redeem(u, c)
		browser := s.Browser()
		browser.SignIn(apitest.AuthorizePath(c), u).WantPage(200, "consent-approve").Submit("consent-approve", nil)
		device := s.Register(userstore.Client{ID: "device", AuthMethod: userstore.AuthNone,
			GrantTypes: []string{userstore.GrantDeviceCode}, ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{}}})
		form, _ := url.ParseQuery(apitest.AuthorizePath(web)[len("/oauth2/authorize?"):])
		credentials := apitest.Fields{"email": u.Email, "password": u.Password}
		for _, q := range []struct {
			name string
			q    apitest.Request
		}{
			{"sign-up", apitest.Request{Method: "POST", Path: "/v1/signup",
				Body: apitest.Fields{"email": "new@example.test", "password": s.Secret(apitest.GoodPassword)}}},
			{"login", apitest.Request{Method: "POST", Path: "/v1/login", Body: credentials}},
			{"token", s.CodeRequest(c, s.Code(u, c))},
			{"refresh", s.RefreshRequest(c, tokens.Refresh)},
			{"client credentials", s.Authenticated(web, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})},
			{"client registration", apitest.Request{Method: "POST", Path: "/oauth2/register",
				Body: apitest.Fields{"client_name": "Shop", "redirect_uris": []string{"https://shop.test/cb"}}}},
			{"pushed request", s.Authenticated(web, "/oauth2/par", form)},
			{"device authorization", s.Authenticated(device, "/oauth2/device", url.Values{"scope": {"openid"}})},
			{"forgotten password", apitest.Request{Method: "POST", Path: "/v1/password/forgot",
				Body: apitest.Fields{"email": u.Email}}},
		} {
			t.Run(q.name, func(t *testing.T) {
				s := s.With(t)
				before := st.count()
				source.broken.Store(true)
				a := s.Do(q.q)
				source.broken.Store(false)
				acts := st.count().Since(before)
				if q.name == "refresh" {
					// The grant advances before its tokens are made; the repetition is answered with the same successor.
					delete(acts, "grants.generation")
				}
				if a.Status != 503 || a.Header.Get("Retry-After") == "" || len(acts) != 0 {
					t.Errorf("%d, Retry-After %q, %s: %s", a.Status, a.Header.Get("Retry-After"), acts, a.Body)
				}
				if a := s.Do(q.q); a.Status >= 300 {
					t.Errorf("afterwards: %d %s", a.Status, a.Body)
				}
			})
		}
		t.Run("code", func(t *testing.T) { // it is a MAC of an id that the authorization request gets
			b := browser.With(s.With(t))
			q := apitest.Request{Path: apitest.AuthorizePath(c)}
			before := st.count()
			source.broken.Store(true)
			a := b.Send(q)
			source.broken.Store(false)
			if acts := st.count().Since(before); a.Status != 503 || len(acts) != 0 {
				t.Errorf("%d, %s", a.Status, acts)
			}
			apitest.WantCode(t, b.Follow(q))
		})
		t.Run("key", func(t *testing.T) {
			m := s.Replicas[0].Keys
			works, version := m.Generate, ringVersion(t, st)
			m.Generate = func(string) (crypto.Signer, error) { return nil, errNoEntropy }
			_, err := m.Revoke(t.Context(), nil, true)
			if m.Generate = works; !errors.Is(err, errNoEntropy) || ringVersion(t, st) != version {
				t.Errorf("%v, %d changes of the keys", err, ringVersion(t, st)-version)
			}
			if _, err := m.Revoke(t.Context(), nil, true); err != nil || ringVersion(t, st) != version+1 {
				t.Errorf("afterwards: %v", err)
			}
		})
	})
}
