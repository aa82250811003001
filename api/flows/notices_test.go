package flows_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// Whichever way a password gets to an account, its owner hears of it once; and a notice stands for
// a change. Those of the command line are in cmd/signet/scripts/testdata/mail.txt.
func TestEveryWayToAPasswordSendsANotice(t *testing.T) {
	const next = "the next planted password"
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.Secret(next)
		root, admin := s.Admin("root")
		type person struct {
			apitest.User
			browser *apitest.Browser
			access  string
		}
		json := func(s *apitest.Server, path, token string, body any) *apitest.Response {
			return s.Do(apitest.Request{Method: "POST", Path: path, Token: token, Body: body})
		}
		atPage := func(p person, fields map[string]string) *apitest.Page {
			fields["current_password"], fields["new_password"] = p.Password, next
			return p.browser.Open("/account/password").
				WantPage(200, "password-submit").
				Submit("password-submit", fields)
		}
		// asked asks for a message about the address, and returns it with the handle of the
		// request.
		asked := func(s *apitest.Server, path string, kind outbox.Kind, p person) (apitest.Mail, string) {
			var answer struct{ Handle string }
			json(s, path, "", apitest.Fields{"email": p.Email}).Want(202, "").JSON(&answer)
			return s.MailOf(kind), answer.Handle
		}
		for name, c := range map[string]struct {
			change func(s *apitest.Server, p person)
			kind   outbox.Kind
		}{
			"JSON": {func(s *apitest.Server, p person) {
				json(s, "/v1/profile/password", p.access,
					apitest.Fields{"current_password": p.Password, "new_password": next}).Want(204, "")
			}, outbox.PasswordChanged},
			"page, and the other sessions end": {func(_ *apitest.Server, p person) {
				atPage(p, map[string]string{}).WantPage(200, "done")
			}, outbox.PasswordChanged},
			"page, and the other sessions stay": {func(_ *apitest.Server, p person) {
				atPage(p, map[string]string{"others": ""}).WantPage(200, "sessions-end-others")
			}, outbox.PasswordChanged},
			"reset by link": {func(s *apitest.Server, p person) {
				m, _ := asked(s, "/v1/password/forgot", outbox.ResetPassword, p)
				json(s, "/v1/password/reset", "", apitest.Fields{"token": m.Token(), "new_password": next}).Want(204, "")
			}, outbox.PasswordChanged},
			"reset by code": {func(s *apitest.Server, p person) {
				m, handle := asked(s, "/v1/password/forgot", outbox.ResetPassword, p)
				json(s, "/v1/password/reset", "",
					apitest.Fields{"handle": handle, "code": m.Code, "new_password": next}).Want(204, "")
			}, outbox.PasswordChanged},
			"reset at the page": {func(s *apitest.Server, p person) {
				m, _ := asked(s, "/v1/password/forgot", outbox.ResetPassword, p)
				if done := s.Browser().Open(m.Link).Submit("reset-submit",
					map[string]string{"new_password": next}); done.Status != 200 {
					s.T.Errorf("%d", done.Status)
				}
			}, outbox.PasswordChanged},
			"verification with a new password": {func(s *apitest.Server, p person) {
				m, _ := asked(s, "/v1/email/verification", outbox.VerifyEmail, p)
				json(s, "/v1/email/verify", "", apitest.Fields{"token": m.Token(), "new_password": next}).Want(204, "")
			}, outbox.PasswordChanged},
			"verification with a new password at the page": {func(s *apitest.Server, p person) {
				m, _ := asked(s, "/v1/email/verification", outbox.VerifyEmail, p)
				due := s.Browser().Open(m.Link).Submit("verify-submit", nil).WantPage(409, "verify-submit")
				if done := due.Submit("verify-submit", map[string]string{"new_password": next}); done.Status != 200 {
					s.T.Errorf("%d", done.Status)
				}
			}, outbox.PasswordChanged},
			"an admin": {func(s *apitest.Server, p person) {
				json(s, "/v1/admin/users/"+p.ID+"/password", admin.Access, apitest.Fields{"new_password": next}).Want(204, "")
			}, outbox.PasswordSet},

			"a verification that keeps the password": {func(s *apitest.Server, p person) {
				m, _ := asked(s, "/v1/email/verification", outbox.VerifyEmail, p)
				json(s, "/v1/email/verify", p.access, apitest.Fields{"token": m.Token()}).Want(204, "")
			}, ""},
			"an admin who declares the address verified": {func(s *apitest.Server, p person) {
				json(s, "/v1/admin/users/"+p.ID+"/verify-email", admin.Access, nil).Want(200, "")
			}, ""},
			"a wrong password": {func(s *apitest.Server, p person) {
				json(s, "/v1/profile/password", p.access,
					apitest.Fields{"current_password": next, "new_password": next}).Want(403, "wrong_password")
			}, ""},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				alice := s.SignUp("alice")
				p := person{alice, s.SignedIn(alice), s.Login(alice).Access}
				s.Mails()
				c.change(s, p)
				mails := s.Mails()
				switch {
				case c.kind == "" && len(mails) != 0, c.kind != "" && len(mails) != 1:
					t.Fatalf("%d messages: %+v", len(mails), mails)
				case c.kind != "" &&
					(mails[0].Kind != c.kind || mails[0].Contents.To != alice.Email || mails[0].UserID != alice.ID):
					t.Errorf("%+v", mails[0])
				}
				if c.kind != "" {
					s.Login(apitest.User{Email: alice.Email, Password: next, ID: alice.ID})
				}
				s.Do(apitest.Request{Method: "DELETE", Path: "/v1/admin/users/" + alice.ID, Token: admin.Access}).
					Want(204, "")
				s.Advance(15 * time.Minute) // for the budget of the address
			})
			admin = s.Login(root, apitest.Fields{"scope": "profile admin"})
		}

		// An invitation.
		json(
			s,
			"/v1/admin/users",
			admin.Access,
			apitest.Fields{"email": "ada@example.test", "invite": true},
		).Want(201, "")
		if done := s.Browser().Open(s.MailOf(outbox.Invite).Link).Submit("reset-submit",
			map[string]string{"new_password": next}); done.Status != 200 {
			t.Errorf("%d", done.Status)
		}
		if m := s.MailOf(outbox.PasswordChanged); m.Contents.To != "ada@example.test" {
			t.Errorf("%+v", m)
		}
	})
}
