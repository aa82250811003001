package pages_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

// Short names of what most tests here use.
var (
	authorizePath = apitest.AuthorizePath
	param         = apitest.Param
	set           = apitest.Params
	wantCode      = apitest.WantCode
	wantError     = apitest.WantError

	wantPageOrCode = apitest.WantPageOrCode
)

func TestAWholeLoginByCodeFlow(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, client, b := s.SignUp("alice"), s.WebClient(), s.Browser()

		p := b.Open(authorizePath(client)).WantPage(200, "login-submit")
		if p.Has("consent-approve") || !strings.Contains(p.Text(), "Web") {
			t.Errorf("the login page says %q", p.Text())
		}
		p = p.Submit("login-submit",
			map[string]string{"email": alice.Email, "password": alice.Password}).WantPage(200, "consent-approve")
		for _, part := range []string{"Web", "web.test", alice.Email} {
			if !strings.Contains(p.Text(), part) {
				t.Errorf("the consent page does not say %q: %q", part, p.Text())
			}
		}
		p = p.Submit("consent-approve", nil)
		if base, _, _ := strings.Cut(p.To, "?"); base != "https://web.test/cb" {
			t.Fatalf("sent to %q", p.To)
		}
		q := p.Query()
		if q.Get("state") != "the state" || q.Get("iss") != apitest.IssuerURL || len(q) != 4 || len(q.Get("code")) != 43 ||
			q.Get("session_state") == "" {
			t.Errorf("the response has %v", q)
		}
		tokens := s.TokensOf(client, p)
		id := apitest.Claims(tokens.ID)
		if id["sub"] != alice.ID || id["aud"] != "web" || id["nonce"] != "the nonce" ||
			id["auth_time"] != float64(s.Clock.Now().Unix()) {
			t.Errorf("the ID token says %v", id)
		}
		if tokens.Refresh == "" || tokens.Scope != "openid profile email" {
			t.Errorf("tokens %+v", tokens)
		}

		// The session and the consent are remembered: the next request is answered at once, a
		// minute of idle time later, too.
		s.Advance(90 * time.Second)
		if again := b.Open(authorizePath(client)); again.Query().Get("code") == "" ||
			again.Query().Get("code") == q.Get("code") {
			t.Errorf("the second request led to %q", again.To)
		}
		// For one that wants more, the user is asked again.
		b.Open(authorizePath(client, param("scope", "openid profile email address"))).WantPage(200, "consent-approve")
	})
}
