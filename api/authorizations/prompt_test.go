package authorizations_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
)

func TestA19PromptNoneShowsNothing(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		native := s.NativeClient()
		first := s.Register(userstore.Client{ID: "first", FirstParty: true})
		public := func(id, uri string) apitest.Client {
			return s.Register(userstore.Client{ID: id, FirstParty: true, AuthMethod: userstore.AuthNone,
				ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{uri}}})
		}
		ours, desktop, phone := public("ours", "https://ours.test/cb"), public("desktop", "http://127.0.0.1/cb"),
			public("phone", "com.example.app:/cb")
		askedOnce := s.SignedIn(s.SignUp("dave"))
		for _, c := range []apitest.Client{desktop, phone} {
			wantCode(t, askedOnce.Open(authorizePath(c)).WantPage(200, "consent-approve").Submit("consent-approve", nil))
		}
		b, p := s.Allowed(alice, c)
		idToken := s.TokensOf(c, p).ID
		_, p = s.Allowed(bob, c)
		bobs := s.TokensOf(c, p).ID
		fresh := s.SignedIn(s.SignUp("carol"))
		s.Advance(10 * time.Second)

		rows := []struct {
			name    string
			browser *apitest.Browser
			client  apitest.Client
			edit    func(url.Values)
			want    string // empty: a code
		}{
			{"nobody is logged in", s.Browser(), c, set(), "login_required"},
			{"no consent", fresh, c, set(), "consent_required"},
			{"all is well", b, c, set(), ""},
			{"with the user's own hint", b, c, set("id_token_hint", idToken), ""},
			{"with another user's hint", b, c, set("id_token_hint", bobs), "login_required"},
			{"for another sub", b, c, set("claims", `{"id_token":{"sub":{"value":"`+bob.ID+`"}}}`), "login_required"},
			{"for this very sub", b, c, set("claims", `{"id_token":{"sub":{"value":"`+alice.ID+`"}}}`), ""},
			{"the login is too old", b, c, set("max_age", "9"), "login_required"},
			{"the login is as old as it may be", b, c, set("max_age", "10"), ""},
			{"max_age=0", b, c, set("max_age", "0"), "login_required"},
			{"max_age beyond all time", b, c, set("max_age", "9223372036854775807"), ""},
			{"for more than was allowed", b, c, set("scope", "openid phone"), "consent_required"},
			{"for less than was allowed", b, c, set("scope", "openid"), ""},
			{"a native app is never sure to be the same", b, native, set(), "consent_required"},
			{"a first-party client needs no consent", fresh, first, set(), ""},
			{"nor does a public one at an address of its own", fresh, ours, set(), ""},
			{"A-33 one on the user's machine does", fresh, desktop, set(), "consent_required"},
			{"A-33 one with a scheme does", fresh, phone, set(), "consent_required"},
			{"A-33 each time, on the user's machine", askedOnce, desktop, set(), "consent_required"},
			{"A-33 each time, with a scheme", askedOnce, phone, set(), "consent_required"},
			{"but only an administrator is one", fresh, first, set("scope", "openid admin"), "invalid_scope"},
		}
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				p := row.browser.With(s).Open(authorizePath(row.client, row.edit, set("prompt", "none")))
				if row.want == "" {
					wantCode(t, p)
				} else {
					wantError(t, p, row.want)
				}
			})
		}
		t.Run("after logging out", func(t *testing.T) {
			b := b.With(s.With(t))
			b.Open("/logout").Submit("logout-confirm", nil)
			wantError(t, b.Open(authorizePath(c, set("prompt", "none"))), "login_required")
		})
	})
}

func TestA21LoggingInAgainWhereItIsAskedFor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		b, p := s.Allowed(alice, c)
		before := apitest.Claims(s.TokensOf(c, p).ID)["auth_time"].(float64)
		for _, row := range []struct {
			name    string
			edit    func(url.Values)
			prompts bool
		}{
			{"prompt=login", set("prompt", "login"), true},
			{"prompt=select_account", set("prompt", "select_account"), true},
			{"max_age=0", set("max_age", "0"), true},
			{"max_age=1 after two seconds", set("max_age", "1"), true},
			{"max_age=10000", set("max_age", "10000"), false},
			{"no demand", set(), false},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				b := b.With(s)
				s.Advance(2 * time.Second)
				p := b.Open(authorizePath(c, row.edit))
				if row.prompts {
					p.WantPage(200, "login-submit")
					if p.Value("email") != alice.Email {
						t.Errorf("the name %q is filled in", p.Value("email"))
					}
					p = p.Submit("login-submit", alice.Credentials())
				}
				at := apitest.Claims(s.TokensOf(c, p).ID)["auth_time"].(float64)
				if row.prompts && at != float64(s.Clock.Now().Unix()) || !row.prompts && at != before {
					t.Errorf("auth_time %v, was %v", at, before)
				}
				before = at
			})
		}
	})
}

func TestALoginIsEnoughThoughClocksDiffer(t *testing.T) {
	// The replica that takes the password is a little behind the one that took the request.
	s := apitest.New(t, apitest.Options{Replicas: 2, Configure: behind()})
	alice, c := s.SignUp("alice"), s.WebClient()
	b, _ := s.Allowed(alice, c)
	p := b.Open(authorizePath(c, set("prompt", "login"))).WantPage(200, "login-submit")
	b.Replica = 1
	wantCode(t, p.Submit("login-submit", alice.Credentials()))
}

// behind makes every replica but the first one's issuer ten seconds slow.
func behind() func(*apitest.Replica) {
	first := true
	return func(r *apitest.Replica) {
		if !first {
			now := r.Issuer.Now
			r.Issuer.Now = func() time.Time { return now().Add(-10 * time.Second) }
		}
		first = false
	}
}

func TestA22AHintOfAnotherUser(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		_, p := s.Allowed(bob, c)
		hint := s.TokensOf(c, p).ID
		b, _ := s.Allowed(alice, c)

		p = b.Open(authorizePath(c, set("id_token_hint", hint))).WantPage(200, "login-submit")
		wantError(t, p.Submit("login-submit", alice.Credentials()), "login_required") // the wrong one again
		p = b.Open(authorizePath(c, set("id_token_hint", hint))).WantPage(200, "login-submit")
		if sub := apitest.Claims(s.TokensOf(c, p.Submit("login-submit", bob.Credentials())).ID)["sub"]; sub != bob.ID {
			t.Errorf("sub %v", sub)
		}

		// An expired one says it as well; one of another client, one that was changed, an access
		// token or one under a revoked key say nothing.
		s.Advance(24*time.Hour - time.Minute)
		other := s.Register(userstore.Client{ID: "other"})
		b = s.SignedIn(bob)
		wantCode(t, b.Open(authorizePath(c, set("id_token_hint", hint, "prompt", "none"))))
		wantError(t, b.Open(authorizePath(other, set("id_token_hint", hint, "prompt", "none"))), "invalid_request")
		wantError(t, b.Open(authorizePath(c, set("id_token_hint", hint[:len(hint)-6]+"AAAAAA"))), "invalid_request")
		access := s.TokensOf(c, b.Open(authorizePath(c))).Access
		wantError(t, b.Open(authorizePath(c, set("id_token_hint", access))), "invalid_request") // J-16
		kid, key := s.Key(jose.RS256)
		if _, err := s.Replicas[0].Keys.Revoke(t.Context(), []string{kid}, false); err != nil {
			t.Fatal(err)
		}
		s.Advance(time.Second)
		forged := apitest.Sign(key, `{"alg":"RS256","kid":"`+kid+`","typ":"JWT"}`, apitest.Claims(hint).Text())
		wantError(t, b.Open(authorizePath(c, set("id_token_hint", forged))), "invalid_request")
		wantError(t, b.Open(authorizePath(c, set("id_token_hint", hint))), "invalid_request")
	})
}
