package accountpages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// proofIsOver fails the test unless the page says that the proof is over, and offers to begin again.
func proofIsOver(t *testing.T, p *apitest.Page, button string) {
	t.Helper()
	if p.Status != 403 || !p.Has("problems") || !p.Has(button) || p.Has("totp-secret") || p.Has("passkey-form") ||
		!p.Has("current_password") {
		t.Errorf("%d %s", p.Status, p.Text())
	}
}

// P-06: the password that was typed to set up the first second factor proves for ten minutes, however
// many forms come after it: a form that is left open is no key to the account.
func TestP06TheProofOfTheFirstFactorDoesNotSlide(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		b := s.SignedIn(alice)
		password := map[string]string{"current_password": alice.Password}
		app := b.Open("/account/authenticator").Submit("totp-begin", password).WantPage(200, "totp-confirm")
		key := b.Open("/account/passkeys").Submit("passkey-begin", password).WantPage(200, "passkey-form")
		begun := scan(s, app)
		for range 3 { // each of the forms brings the next
			s.Clock.Move(3 * time.Minute)
			app = app.Submit("totp-confirm", map[string]string{"code": begun.Wrong()}).WantPage(403, "code-problem")
			p := key.Submit("passkey-create", map[string]string{"passkey": "x", "response": "{}"})
			key = p.WantPage(403, "problems")
		}
		s.Clock.Move(59 * time.Second)
		app = app.Submit("totp-confirm", map[string]string{"code": begun.Wrong()}).WantPage(403, "code-problem")
		s.Clock.Move(time.Second)
		sameFactors(s, alice, func() {
			s.Unchanged(func() {
				proofIsOver(t, app.Submit("totp-confirm", map[string]string{"code": begun.Shown(0)}), "totp-begin")
				proofIsOver(t, key.Submit("passkey-create", map[string]string{"passkey": "x", "response": "{}"}), "passkey-begin")
			})
		})
	}, apitest.WithoutMail)
}

// P-06: with mail, the code of the message does not begin the ten minutes anew.
func TestP06TheMailboxDoesNotRenewTheProofOfThePassword(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.AddressProved(alice)
		b := s.SignedIn(alice)
		s.Mails()
		p := b.Open("/account/authenticator").Submit("totp-begin", map[string]string{"current_password": alice.Password}).
			WantPage(200, "mail-submit")
		code := s.MailOf(outbox.FactorCode).Code
		s.Clock.Move(5 * time.Minute)
		p = p.Submit("mail-submit", map[string]string{"mail_code": "00000001"}).WantPage(400, "mail_code-problem")
		s.Clock.Move(4 * time.Minute)
		p = p.Submit("mail-submit", map[string]string{"mail_code": code}).WantPage(200, "totp-confirm")
		app := scan(s, p)
		s.Clock.Move(time.Minute)
		sameFactors(s, alice, func() {
			proofIsOver(t, p.Submit("totp-confirm", map[string]string{"code": app.Shown(0)}), "totp-begin")
		})
	})
}

// P-06: the proof of the first factor ends with the password, the address and the factors it was of.
func TestP06TheProofOfTheFirstFactorEndsWithTheAccount(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for name, change := range map[string]func(s *apitest.Server, u apitest.User, b *apitest.Browser){
			"password": func(s *apitest.Server, u apitest.User, b *apitest.Browser) {
				b.Open("/account/password").Submit("password-submit", map[string]string{
					"current_password": u.Password, "new_password": s.Secret("the next planted password"),
				}).WantPage(200, "done")
			},
			"address": func(s *apitest.Server, u apitest.User, _ *apitest.Browser) {
				_, err := s.Replicas[0].Accounts.EditByOperator(s.T.Context(), u.ID, func(u *userstore.User) error {
					u.Email, u.EmailVerified = "moved-"+u.Email, true
					return nil
				})
				if err != nil {
					s.T.Fatal(err)
				}
			},
		} {
			t.Run("P-06 "+name, func(t *testing.T) {
				s := s.With(t)
				u := s.SignUp("of-" + name)
				b := s.SignedIn(u)
				password := map[string]string{"current_password": u.Password}
				app := b.Open("/account/authenticator").Submit("totp-begin", password).WantPage(200, "totp-confirm")
				key := b.Open("/account/passkeys").Submit("passkey-begin", password).WantPage(200, "passkey-form")
				made := makePasskey(s, b, key, accountOptions, s.NewPasskey())
				begun := scan(s, app)
				change(s, u, b)
				sameFactors(s, u, func() {
					proofIsOver(t, app.Submit("totp-confirm", map[string]string{"code": begun.Shown(0)}), "totp-begin")
					proofIsOver(t, key.Submit("passkey-create", made.Fields("")), "passkey-begin")
				})
			})
		}
	}, apitest.WithoutMail)
}

// P-06: the options of a further passkey end with the password and the address that they were made for,
// though the session goes on and has a proof.
func TestP06AChangeVoidsTheOptionsOfAPasskeyAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, b, app := withApp(s, "alice")
		p := proveSecond(b.Open("/account/passkeys").Submit("passkey-begin", nil), app)
		made := makePasskey(s, b, p, accountOptions, s.NewPasskey())
		b.Open("/account/password").Submit("password-submit", map[string]string{
			"current_password": alice.Password, "new_password": s.Secret("the next planted password"),
		}).WantPage(200, "done")
		refused := func() {
			t.Helper()
			sameFactors(s, alice, func() {
				res := b.Open("/account/passkeys").WantPage(200, "passkey-create").Submit("passkey-create", made.Fields(""))
				res.WantPage(403, "problems")
			})
		}
		refused()
		made = makePasskey(s, b, b.Open("/account/passkeys"), accountOptions, s.NewPasskey())
		_, err := s.Replicas[0].Accounts.EditByOperator(t.Context(), alice.ID, func(u *userstore.User) error {
			u.Email = "moved@example.test"
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		refused()
		b.Open("/account/passkeys").Submit("passkey-create",
			makePasskey(s, b, b.Open("/account/passkeys"), accountOptions, s.NewPasskey()).Fields("")).WantPage(200, "done")
	}, apitest.WithoutMail)
}

// P-06: such options say when they end: with the proof of the second factor, at the latest.
func TestP06TheOptionsOfAPasskeyAtThePageEndWithTheProof(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, b, app := withApp(s, "alice")
		p := proveSecond(b.Open("/account/passkeys").Submit("passkey-begin", nil), app)
		s.Clock.Move(9 * time.Minute)
		q := p.Form("passkey-create", nil)
		q.Path, q.Header = accountOptions, http.Header{"Accept": {"*/*"}}
		var got creationOptions
		b.Send(q).Want(200, "").JSON(&got)
		if got.ExpiresIn != 60 || got.Options.Timeout != 60_000 {
			t.Errorf("%+v", got)
		}
		s.Clock.Move(time.Minute)
		sameFactors(s, alice, func() {
			res := b.Send(q)
			if res.Status == 200 || strings.Contains(string(res.Body), "challenge") {
				t.Errorf("%d %s", res.Status, res.Body)
			}
		})
	}, apitest.WithoutMail)
}

type creationOptions struct {
	ExpiresIn int `json:"expires_in"`
	Options   struct{ Timeout int }
}
