package mailpages_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// The proof of an address signs in, in the browser in which the password was typed. Of an account
// with a second factor, or that has to get one, it leads to the step that is left, and no session
// exists before.
func TestP05AProvedAddressOpensNoAccountPastItsSecondFactor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		accounts := s.Replicas[0].Accounts
		t.Run("with a second factor", func(t *testing.T) {
			s := s.With(t)
			accounts.Verification = userstore.VerificationOff
			u := s.SignUp("ada")
			app, _ := s.WithApp(u)
			if _, err := accounts.EditByOperator(t.Context(), u.ID, func(u *userstore.User) error {
				u.EmailVerified = false
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			accounts.Verification = userstore.VerificationRequired
			b := s.Browser()
			p := b.SignIn(authorizePath(c), u).WantPage(200, "verify-submit")
			p = p.Submit("verify-submit", map[string]string{"code": s.MailOf(outbox.VerifyEmail).Contents.Code})
			p = p.WantPage(200, "second-code")
			if cookieName(b, "signet-session-") != "" {
				t.Error("there is a session before the second step")
			}
			apitest.WantError(t, b.Open(authorizePath(c, apitest.Param("prompt", "none"))), "login_required")
			tokens := s.TokensOf(c, p.Submit("second-submit", map[string]string{"code": app.Code()}))
			if claims := apitest.Claims(tokens.ID); claims["acr"] != "2" {
				t.Errorf("%v", claims)
			}
		})
		t.Run("that has to get one", func(t *testing.T) {
			s := s.With(t)
			accounts.Verification = userstore.VerificationRequired
			accounts.SecondFactor = userstore.SecondFactorRequired
			defer func() { accounts.SecondFactor = userstore.SecondFactorOptional }()
			u, b := pendingUser(s, "bob"), s.Browser()
			p := signUpAt(s, b, authorizePath(c), u)
			got := b.Send(p.Form("verify-submit", map[string]string{"code": s.MailOf(outbox.VerifyEmail).Contents.Code}))
			to := got.Header.Get("Location")
			if got.Status != http.StatusSeeOther || !strings.HasPrefix(to, "/login/setup?login=") ||
				!strings.Contains(to, "request=") || cookieName(b, "signet-session-") != "" {
				t.Errorf("%d %q %s", got.Status, to, got.Text())
			}
		})
	})
}
