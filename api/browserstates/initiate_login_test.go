package browserstates_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// A person whose sign-in is over is offered the address where the app begins one, with the iss that
// tells the app who asks (OIDC Core section 4). Nothing leads there by itself.
func TestASignInThatIsOverLeadsToWhereItsAppBeginsOne(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		register := func(id, initiate string) apitest.Client {
			return s.Register(userstore.Client{ID: id, Name: "App " + id, ClientMetadata: userstore.ClientMetadata{
				RedirectURIs: []string{"https://" + id + ".test/cb"}, InitiateLoginURI: initiate,
			}})
		}
		plain, starts := register("plain", ""), register("starts", "https://start.test/login?a=b")
		const link = "https://start.test/login?a=b&iss=https%3A%2F%2Fid.test"

		for _, c := range []apitest.Client{plain, starts} {
			want := ""
			if c.ID == starts.ID {
				want = link
			}
			t.Run(c.ID, func(t *testing.T) {
				s := s.With(t)
				b := s.Browser()
				consent := b.SignIn(authorizePath(c), alice).WantPage(http.StatusOK, "consent-approve")
				wantCode(t, consent.Submit("consent-approve", nil))
				s.Advance(2 * time.Minute)
				check := func(what string, p *apitest.Page) {
					t.Helper()
					p.WantPage(http.StatusBadRequest, "")
					if got := p.Link("https://"); got != want || p.Has("start-again") != (want != "") ||
						strings.Contains(string(p.Body), "refresh") {
						t.Errorf("%s leads to %q, want %q: %s", what, got, want, p.Text())
					}
				}
				check("the page of before", b.Open(consent.Path))
				check("its button", consent.Submit("consent-approve", nil))

				stranger := s.Browser() // who was sent the address
				stranger.Open("/login")
				if p := stranger.Open(consent.Path); p.Link("https://") != "" {
					t.Errorf("another browser is led to %q", p.Link("https://"))
				}

				late := b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(http.StatusOK, "consent-approve")
				s.Advance(25 * time.Hour)
				check("a page that was open for too long", b.Open(late.Path))

				b = s.SignedIn(alice)
				if got := b.Open("/account/apps").Link("https://start.test/"); got != want {
					t.Errorf("the account leads to %q", got)
				}
				if err := s.DB.SetClientActive(t.Context(), c.ID, false, s.Clock.Now()); err != nil {
					t.Fatal(err)
				}
				if got := b.Open("/account/apps").Link("https://start.test/"); got != "" {
					t.Errorf("the account leads to the disabled app at %q", got)
				}
				active(s, c, true)
			})
		}
		p := s.Browser().Open("/consent?request=" + url.QueryEscape("https://evil.test"))
		if p.Link("https://") != "" || p.To != "" {
			t.Errorf("a handle that is none leads to %q, %q", p.Link("https://"), p.To)
		}
	})
}
