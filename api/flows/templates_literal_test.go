package flows_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// S-07: names that look like templates, or like the placeholders of our texts, are shown as they
// are on the pages, and no mail shows them at all.
func TestS07NamesAreLiteral(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for n, name := range []string{
			"{{7*7}}", "{{.CSRF}}", "${7*7}", "<%= 7*7 %>", "{client}", "{service} {time}", "%s%d", "[[7*7]]", "{{",
			"{app}", "<b>49</b>",
		} {
			alice := s.SignUp("alice")
			c := s.Register(userstore.Client{ID: fmt.Sprintf("app%d", n), Name: name})
			tokens := s.Login(alice)
			s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: tokens.Access,
				Body: apitest.Fields{"given_name": name, "family_name": name, "nickname": name}}).Want(200, "")

			shown := func(where string, p *apitest.Page) {
				t.Helper()
				if !strings.Contains(p.Text(), name) {
					t.Errorf("S-07 %s: %q is not shown as it is:\n%s", where, name, p.Text())
				}
				if strings.Contains(string(p.Body), "<b>49") ||
					strings.Contains(p.Text(), "49") && !strings.Contains(name, "49") {
					t.Errorf("S-07 %s: %q became more than text", where, name)
				}
			}
			b := s.Browser()
			path := apitest.AuthorizePath(c)
			shown("login", b.Open(path).WantPage(200, "login-submit"))
			consent := b.SignIn(path, alice).WantPage(200, "consent-approve")
			shown("consent", consent)
			consent.Submit("consent-approve", nil)
			shown("apps", b.Open("/account/apps"))
			if got := b.Open("/account/profile").Value("given_name"); got != name {
				t.Errorf("S-07 profile: %q, not %q", got, name)
			}

			next := s.Secret("the next planted password")
			s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: tokens.Access,
				Body: apitest.Fields{"current_password": alice.Password, "new_password": next}}).Want(204, "")
			s.Advance(3 * time.Hour) // for the budget of the address
			s.Do(apitest.Request{Method: "POST", Path: "/v1/password/forgot", Body: apitest.Fields{"email": alice.Email}}).
				Want(202, "")
			letters := s.Letters()
			if len(letters) != 2 {
				t.Errorf("S-07 %d letters, %s and %s", len(letters), outbox.PasswordChanged, outbox.ResetPassword)
			}
			for _, l := range letters {
				if all := l.Subject.String() + l.Text + l.HTML; strings.Contains(all, name) ||
					strings.Contains(all, "7*7") {
					t.Errorf("S-07 a mail shows %q:\n%s", name, l.Text)
				}
			}
			if err := s.DB.DeleteUser(t.Context(), alice.ID); err != nil {
				t.Fatal(err)
			}
		}
	})
}
