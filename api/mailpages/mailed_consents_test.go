package mailpages_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// P-03: what a hostile sign-up allowed to an app is not allowed by the owner of the address. What
// the owner allowed stays when the owner forgets the password later.
func TestP03ConsentsOfAHostileSignUp(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "app", Name: "App", Scopes: []string{"openid", "email", "offline_access"}})
		silently := authorizePath(c, set("scope", "openid email offline_access", "prompt", "none"))
		wantRevoked := func(s *apitest.Server, want int) {
			s.T.Helper()
			all, err := s.DB.ListEvents(s.T.Context(), userstore.EventQuery{Limit: 1000})
			n := 0
			for _, e := range all {
				if e.Name == audit.ConsentRevoked && e.Target.ID == c.ID && e.Actor.Type == audit.ByUser {
					n++
				}
			}
			if err != nil || n != want {
				s.T.Errorf("P-03 %d entries consent_revoked, want %d: %v", n, want, err)
			}
		}
		for i, way := range []string{"verify", "reset"} {
			t.Run("P-03 "+way, func(t *testing.T) {
				s := s.With(t)
				email := way + "@example.test"
				attacker := s.Browser()
				signUp(attacker, apitest.User{Email: email, Password: s.Secret("a planted password of an attacker")})
				ask := authorizePath(c, set("scope", "openid email offline_access"))
				attacker.Open(ask).WantPage(200, "consent-approve").Submit("consent-approve", nil)
				first := s.MailOf(outbox.VerifyEmail)

				reset := func(b *apitest.Browser, next string) {
					t.Helper()
					s.Advance(2 * time.Minute)
					b.Open("/forgot").WantPage(200, "ask-submit").Submit("ask-submit", map[string]string{"email": email})
					b.Open(s.MailOf(outbox.ResetPassword).Link).WantPage(200, "reset-submit").
						Submit("reset-submit", map[string]string{"new_password": next})
				}
				b, next := s.Browser(), s.Secret("a planted password of the owner of "+email)
				if way == "verify" {
					b.Open(first.Link).WantPage(200, "verify-submit").Submit("verify-submit", nil).
						WantPage(409, "verify-submit").
						Submit("verify-submit", map[string]string{"new_password": next})
				} else {
					reset(b, next)
				}
				b.SignIn("/login", apitest.User{Email: email, Password: next})
				wantError(t, b.Open(silently), "consent_required")
				wantRevoked(s, i+1)

				b.Open(ask).WantPage(200, "consent-approve").Submit("consent-approve", nil)
				next = s.Secret("another planted password of the owner of " + email)
				reset(b, next)
				b.SignIn("/login", apitest.User{Email: email, Password: next})
				wantCode(t, b.Open(silently))
				wantRevoked(s, i+1)
			})
		}
	}, apitest.Verifying)
}
