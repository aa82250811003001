package authorizations_test

import (
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

func leftOf512(text string) string {
	sum := sha512.Sum512([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:32])
}

// grantsOf returns the live grants of a user.
func grantsOf(s *apitest.Server, u apitest.User) []userstore.Grant {
	s.T.Helper()
	list, err := s.DB.ListGrants(s.T.Context(), u.ID, s.Clock.Now(), time.Time{})
	if err != nil {
		s.T.Fatal(err)
	}
	return list
}

// dead checks that nothing takes an access token any more.
func dead(s *apitest.Server, c apitest.Client, access string) {
	s.T.Helper()
	s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: access}).Want(http.StatusUnauthorized, "invalid_token")
	if seen := s.Introspect(c, access); seen["active"] != false {
		s.T.Errorf("introspection says %v", seen)
	}
}

// a double click, the page reloaded, and the form in a second tab: one code, one access
// token, one grant; on any replica and at any moment.
func TestA31OneRequestIsOneCodeAndOneTokenAndOneGrant(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		for n, responseType := range frontTypes {
			alice := s.SignUp("alice" + strings.Repeat("x", n))
			c := frontClient(s, "web"+strings.Repeat("x", n))
			page := s.SignedIn(alice).Open(authorizePath(c, set("response_type", responseType))).WantPage(200, "consent-approve")
			var mu sync.Mutex
			var all []url.Values
			var clicks sync.WaitGroup
			for range 8 {
				clicks.Go(func() {
					got := page.Submit("consent-approve", nil).Fragment()
					mu.Lock()
					defer mu.Unlock()
					all = append(all, got)
				})
			}
			clicks.Wait()
			s.Advance(50 * time.Second)
			again := page.Submit("consent-approve", nil).Fragment()
			if strings.HasSuffix(responseType, " token") && expiresIn(t, again) != 550 {
				t.Errorf("%s: later, expires_in is %s", responseType, again.Get("expires_in"))
			}
			for _, got := range append(all, again) {
				for _, name := range []string{"code", "access_token", "id_token"} {
					if got.Get(name) != again.Get(name) {
						t.Errorf("%s: another %s", responseType, name)
					}
				}
			}
			if list := grantsOf(s, alice); len(list) != 1 {
				t.Errorf("%s: %d grants", responseType, len(list))
			}
			// After the minute of a code there is no answer any more, and no second grant.
			s.Advance(20 * time.Second)
			page.Submit("consent-approve", nil).WantPage(http.StatusBadRequest, "")
			if _, err := s.DB.RemoveExpiredCodes(t.Context(), s.Clock.Now(), 1000); err != nil {
				t.Fatal(err)
			}
			page.Submit("consent-approve", nil).WantPage(http.StatusBadRequest, "")
			if list := grantsOf(s, alice); len(list) != 1 {
				t.Errorf("%s: %d grants after the code's end", responseType, len(list))
			}
		}
	})
}

// Once the code is used, the page gives nothing any more.
func TestA31AfterTheCodeIsUsed(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		c := frontClient(s, "web")
		page := s.SignedIn(s.SignUp("alice")).Open(authorizePath(c, set("response_type", "code id_token token"))).
			WantPage(200, "consent-approve")
		s.Do(s.CodeRequest(c, page.Submit("consent-approve", nil).Fragment().Get("code"))).Want(200, "")
		s.Unchanged(func() { page.Submit("consent-approve", nil).WantPage(http.StatusBadRequest, "") })
	})
}

// T-01: whoever replays a code ends what came of its request, from both endpoints.
func TestT01AReplayEndsTheTokensOfTheFragmentToo(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		c := frontClient(s, "web")
		other := frontClient(s, "other")
		b := s.SignedIn(s.SignUp("alice"))
		got := allow(b.Open(authorizePath(c, set("response_type", "code token")))).Fragment()
		apart := allow(b.Open(authorizePath(other, set("response_type", "code token")))).Fragment()
		code, front := got.Get("code"), got.Get("access_token")
		var tokens apitest.Tokens
		s.Do(s.CodeRequest(c, code)).Want(200, "").JSON(&tokens)
		userinfoOf(s, apitest.Tokens{Access: front})
		userinfoOf(s, tokens)
		s.Advance(30 * time.Second)
		s.Do(s.CodeRequest(c, code)).Want(400, "invalid_grant")
		dead(s, c, front)
		dead(s, c, tokens.Access)
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
		userinfoOf(s, apitest.Tokens{Access: apart.Get("access_token")})
	})
}

// What ends the grant between the response and the redemption of its code ends both.
func TestT24EndedBetweenResponseAndCode(t *testing.T) {
	type world struct {
		s      *apitest.Server
		u      apitest.User
		c      apitest.Client
		b      *apitest.Browser
		access string
	}
	for name, end := range map[string]func(*testing.T, world) error{
		"the user is disabled": func(t *testing.T, w world) error {
			return w.s.DB.SetActive(t.Context(), w.u.ID, false, w.s.Clock.Now())
		},
		"the user logs out": func(_ *testing.T, w world) error {
			w.b.Open("/logout").WantPage(200, "logout-confirm").Submit("logout-confirm", nil)
			return nil
		},
		"the token is revoked": func(_ *testing.T, w world) error {
			w.s.Do(w.s.Authenticated(w.c, "/oauth2/revoke", url.Values{"token": {w.access}})).Want(200, "")
			return nil
		},
		"the session is revoked": func(t *testing.T, w world) error {
			return w.s.DB.RevokeSession(t.Context(), w.u.ID, apitest.Tokens{Access: w.access}.SessionID(), w.s.Clock.Now())
		},
		"the consent is taken back": func(t *testing.T, w world) error {
			return w.s.DB.RevokeConsent(t.Context(), w.u.ID, w.c.ID, w.s.Clock.Now())
		},
		"everything of the user ends": func(t *testing.T, w world) error {
			_, err := w.s.DB.RevokeUserGrants(t.Context(), w.u.ID, "", w.s.Clock.Now())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachAnswering(t, func(t *testing.T, s *apitest.Server) {
				alice, c := s.SignUp("alice"), frontClient(s, "web")
				b := s.SignedIn(alice)
				page := b.Open(authorizePath(c, set("response_type", "code token"))).WantPage(200, "consent-approve")
				got := page.Submit("consent-approve", nil).Fragment()
				if err := end(t, world{s, alice, c, b, got.Get("access_token")}); err != nil {
					t.Fatal(err)
				}
				dead(s, c, got.Get("access_token"))
				s.Do(s.CodeRequest(c, got.Get("code"))).Want(400, "invalid_grant")
				dead(s, c, got.Get("access_token"))
				if list := grantsOf(s, alice); len(list) != 0 {
					t.Errorf("%d grants live", len(list))
				}
				// The page brings nothing back.
				if p := page.Submit("consent-approve", nil); p.To != "" {
					t.Errorf("the page sends %q", p.To)
				}
			})
		})
	}
}

// The scope admin is in no token of the authorization endpoint, and an ID token alone has no scope
// that only an access token could carry. A code keeps its scopes.
func TestFrontChannelTokensNeverHoldAdmin(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		root, _ := s.Admin("root")
		console := s.Register(userstore.Client{ID: "console", FirstParty: true,
			GrantTypes:     []string{"authorization_code", "implicit", "refresh_token"},
			ClientMetadata: userstore.ClientMetadata{ResponseTypes: userstore.ResponseTypes}})
		b := s.SignedIn(root)
		for _, row := range []struct{ responseType, scope, front, later string }{
			{"id_token token", "openid admin", "openid", ""},
			{"code token", "openid admin offline_access", "openid offline_access", "openid offline_access"},
			{"code id_token token", "openid admin", "openid", "openid"},
			{"code id_token", "openid admin", "", "openid admin"},
			{"code", "openid admin", "", "openid admin"},
			{"id_token token", "openid offline_access", "openid", ""},
		} {
			p := b.Open(authorizePath(console, set("response_type", row.responseType, "scope", row.scope)))
			got := p.Query()
			if row.responseType != "code" {
				got = p.Fragment()
			}
			if got.Get("scope") != row.front {
				t.Errorf("%s for %s: scope %q", row.responseType, row.scope, got.Get("scope"))
			}
			if access := got.Get("access_token"); access != "" && apitest.Claims(access)["scope"] != row.front {
				t.Errorf("%s for %s: the token has %v", row.responseType, row.scope, apitest.Claims(access)["scope"])
			} else if access != "" {
				s.Do(apitest.Request{Path: "/v1/admin/users", Token: access}).Want(http.StatusForbidden, "insufficient_scope")
			}
			if code := got.Get("code"); code != "" {
				var tokens apitest.Tokens
				s.Do(s.CodeRequest(console, code)).Want(200, "").JSON(&tokens)
				if scope := apitest.Claims(tokens.Access)["scope"]; scope != row.later {
					t.Errorf("%s for %s: the code gives %v", row.responseType, row.scope, scope)
				}
			}
		}
		for _, responseType := range []string{"id_token", "id_token token", "code token"} {
			if e := b.Open(authorizePath(console, set("response_type", responseType, "scope", "admin"))).Fragment().Get("error"); e != "invalid_scope" {
				t.Errorf("%s for admin alone: %q", responseType, e)
			}
		}
	})
}

// prompt=none, max_age, id_token_hint and the claims parameter are as for a code; a silent renewal
// answers, and the user's grants stay bounded.
func TestSilentRenewalOfAnImplicitClient(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		c := frontClient(s, "web", "id_token", "id_token token")
		b := s.SignedIn(alice)
		ask := func(edit ...string) url.Values {
			t.Helper()
			return b.Open(authorizePath(c, set(append([]string{"response_type", "id_token token"}, edit...)...))).Fragment()
		}
		if e := ask("prompt", "none").Get("error"); e != "consent_required" {
			t.Errorf("before the consent: %q", e)
		}
		first := allow(b.Open(authorizePath(c, set("response_type", "id_token token")))).Fragment()
		hint := first.Get("id_token")
		s.Advance(time.Minute)
		got := ask("prompt", "none", "id_token_hint", hint, "nonce", "another")
		id := apitest.Claims(got.Get("id_token"))
		if id["nonce"] != "another" || id["auth_time"] != apitest.Claims(hint)["auth_time"] || id["sid"] == apitest.Claims(hint)["sid"] {
			t.Errorf("renewed: %v", id)
		}
		theirs := allow(s.SignedIn(bob).Open(authorizePath(c, set("response_type", "id_token")))).Fragment().Get("id_token")
		for edit, want := range map[string]string{"id_token_hint=" + theirs: "login_required", "max_age=10": "login_required"} {
			name, value, _ := strings.Cut(edit, "=")
			if e := ask("prompt", "none", name, value).Get("error"); e != want {
				t.Errorf("%s: %q", name, e)
			}
		}
		got = ask("claims", `{"id_token":{"email":null},"userinfo":{"name":null}}`)
		if id := apitest.Claims(got.Get("id_token")); id["email"] != alice.Email || id["name"] != nil {
			t.Errorf("with claims: %v", id)
		}
		for range userstore.MaxGrantsPerClient + 2 {
			ask("prompt", "none")
		}
		if n := len(grantsOf(s, alice)); n != userstore.MaxGrantsPerClient {
			t.Errorf("%d grants", n)
		}
		// A grant from here ends with its token.
		s.Advance(10*time.Minute + time.Second)
		if n := len(grantsOf(s, alice)); n != 0 {
			t.Errorf("%d grants outlive their tokens", n)
		}
	})
}

// Pushed requests and request objects carry these response types; a pushed one that was finished in
// one browser begins no grant in another.
func TestD10APushedRequestOfAHybridClient(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		c := frontClient(s, "web")
		path := byReference(c, push(s, pushRequest(s, c, set("response_type", "code id_token token"))))
		first := s.SignedIn(alice).Open(path).WantPage(200, "consent-approve")
		second := s.SignedIn(bob).Open(path).WantPage(200, "consent-approve")
		got := first.Submit("consent-approve", nil).Fragment()
		again := first.Submit("consent-approve", nil).Fragment()
		for _, name := range []string{"code", "access_token", "id_token"} {
			if got.Get(name) == "" || got.Get(name) != again.Get(name) {
				t.Errorf("%s: the response has %q, then %q", name, parameterNames(got), parameterNames(again))
			}
		}
		second.Submit("consent-approve", nil).WantPage(http.StatusBadRequest, "")
		if n := len(grantsOf(s, bob)); n != 0 {
			t.Errorf("%d grants of the second browser", n)
		}
		if n := len(grantsOf(s, alice)); n != 1 {
			t.Errorf("%d grants", n)
		}
	})
}

// Tokens go to the client's address and nowhere else: no Referer says them, no cache keeps them,
// and no script but the one that sends the form runs beside them.
func TestFrontChannelTokensStayOutOfCachesAndReferers(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		c := frontClient(s, "web")
		b, _ := s.Allowed(s.SignUp("alice"), c)
		for _, mode := range []string{"fragment", "form_post"} {
			p := b.Send(apitest.Request{Path: authorizePath(c, set("response_type", "code id_token token", "response_mode", mode))})
			h := p.Header
			if h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "same-origin" {
				t.Errorf("%s: %v", mode, h)
			}
			policy := h.Get("Content-Security-Policy")
			if mode == "form_post" && (!strings.HasPrefix(policy, "default-src 'none'; script-src 'sha256-") || strings.Contains(policy, "unsafe")) {
				t.Errorf("%s: %q", mode, policy)
			}
		}
		if log := s.Log.String(); strings.Contains(log, "eyJ") || strings.Contains(log, "access_token") {
			t.Error("the log holds a token")
		}
	})
}

// withoutSigners are the keys of a replica that may not sign now.
type withoutSigners struct{ issuer.Keys }

func (withoutSigners) Signer(string) (*jose.Signer, error) {
	return nil, errors.New("this replica may not sign")
}

// A replica that cannot sign begins nothing; the same form then succeeds elsewhere. A grant that
// was stored, and whose answer was lost, is answered by the next try, on another replica as well.
func TestNothingBeginsWithoutSigners(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), frontClient(s, "web")
		page := s.SignedIn(alice).Open(authorizePath(c, set("response_type", "code id_token token"))).WantPage(200, "consent-approve")
		keys := s.Replicas[0].Issuer.Keys
		s.Replicas[0].Issuer.Keys = withoutSigners{keys}
		s.Unchanged(func() { page.Submit("consent-approve", nil).WantPage(http.StatusServiceUnavailable, "") })
		s.Replicas[0].Issuer.Keys = keys
		got := page.Submit("consent-approve", nil).Fragment()
		checkFront(t, s, c, alice, "code id_token token", got)
	})
}
