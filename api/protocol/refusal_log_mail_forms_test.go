package protocol_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// The forms about messages have the same line: each refusal has its reason in the log.
func TestRefusalsOfTheFormsAboutMessagesHaveTheirReasonInTheLog(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Mails()
		s.Advance(time.Hour)
		b := s.Browser()
		ask := func(page string) (code, link *apitest.Page, mail apitest.Mail) {
			s.Advance(2 * time.Minute)
			button := map[string]string{"/forgot": "reset-submit", "/verify": "verify-submit"}[page]
			kind := map[string]outbox.Kind{"/forgot": outbox.ResetPassword, "/verify": outbox.VerifyEmail}[page]
			code = b.Open(page).WantPage(http.StatusOK, "ask-submit").
				Submit("ask-submit", map[string]string{"email": alice.Email}).WantPage(http.StatusOK, button)
			mail = s.MailOf(kind)
			return code, b.Open(mail.Link).WantPage(http.StatusOK, button), mail
		}
		resetByCode, resetByLink, resetMail := ask("/forgot")
		verifyByCode, verifyByLink, verifyMail := ask("/verify")
		forged := map[string]string{"csrf": "x"}
		for name, c := range map[string]struct {
			page   *apitest.Page
			button string
			typed  map[string]string
			status int
			code   string
		}{
			"forgot: no address": {b.Open("/forgot"), "ask-submit", map[string]string{"email": ""}, 400,
				"validation_error"},
			"forgot: a bad address": {b.Open("/forgot"), "ask-submit", map[string]string{"email": "alice"}, 400,
				"validation_error"},
			"forgot: a forged form": {b.Open("/forgot"), "ask-submit", forged, 403, "csrf"},
			"verify: no address": {b.Open("/verify"), "ask-submit", map[string]string{"email": ""}, 400,
				"validation_error"},
			"verify: a bad address": {b.Open("/verify"), "ask-submit", map[string]string{"email": "alice"}, 400,
				"validation_error"},
			"verify: a forged form": {b.Open("/verify"), "ask-submit", forged, 403, "csrf"},
			"reset: no password":    {resetByLink, "reset-submit", nil, 400, "validation_error"},
			"reset: a short password": {resetByLink, "reset-submit", map[string]string{"new_password": "short"}, 400,
				"validation_error"},
			"reset: a forged form": {resetByLink, "reset-submit", forged, 403, "csrf"},
			"reset: code, no password": {resetByCode, "reset-submit", map[string]string{"code": resetMail.Code}, 400,
				"validation_error"},
			"reset: password, no code": {resetByCode, "reset-submit",
				map[string]string{"new_password": apitest.GoodPassword + "!"}, 400, "validation_error"},
			"reset: a wrong code": {resetByCode, "reset-submit",
				map[string]string{"code": "1", "new_password": apitest.GoodPassword + "!"}, 400, "one_time_token_invalid"},
			"verify: no code": {verifyByCode, "verify-submit", map[string]string{"code": ""}, 400,
				"validation_error"},
			"verify: a wrong code": {verifyByCode, "verify-submit", map[string]string{"code": "1"}, 400,
				"one_time_token_invalid"},
			"verify: a password is due": {verifyByCode, "verify-submit", map[string]string{"code": verifyMail.Code}, 409,
				"new_password_required"},
			"verify: the same by link":   {verifyByLink, "verify-submit", nil, 409, "new_password_required"},
			"verify: code, forged form":  {verifyByCode, "verify-submit", forged, 403, "csrf"},
			"reset: another page's link": {b.Open("/reset?request=garbage"), "", nil, 400, "one_time_token_invalid"},
		} {
			p := c.page
			if c.button != "" {
				p = p.Submit(c.button, c.typed)
			}
			want := "code=" + c.code + " reason="
			if got := logLine(s, p.Response); p.Status != c.status || !strings.HasPrefix(got, want) || got == want {
				t.Errorf("%s: answered %d, logged %s", name, p.Status, got)
			}
		}

		// The form that asks for the new password, once it is shown.
		due := verifyByLink.Submit("verify-submit", nil).WantPage(http.StatusConflict, "verify-submit")
		for typed, want := range map[string]string{"": "code=new_password_required reason=",
			"short": "code=validation_error reason="} {
			p := due.Submit("verify-submit", map[string]string{"new_password": typed})
			if got := logLine(s, p.Response); !p.Has("new_password-problem") || !strings.HasPrefix(got, want) ||
				got == want {
				t.Errorf("verify: the password %q: answered %d, logged %s", typed, p.Status, got)
			}
		}

		// An invitation's form.
		_, admin := s.Admin("root")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users", Token: admin.Access,
			Body: apitest.Fields{"email": "ada@example.test", "invite": true}}).Want(201, "")
		p := b.Open(s.MailOf(outbox.Invite).Link).WantPage(200, "reset-submit").Submit("reset-submit", nil)
		if got := logLine(s, p.Response); p.Status != 400 || !strings.HasPrefix(got, "code=validation_error reason=") {
			t.Errorf("invitation: answered %d, logged %s", p.Status, got)
		}
	})
}
