package accountpages_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

func TestDataAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		b := s.SignedIn(alice)
		s.Unchanged(func() {
			account(s, alice, b, "/account/data").Submit("data-submit", nil).WantPage(403, "current_password-problem")
			account(s, alice, b, "/account/data").Submit("data-submit",
				map[string]string{"current_password": wrongPassword}).WantPage(403, "current_password-problem")
		})
		p := account(s, alice, b, "/account/data").Submit("data-submit",
			map[string]string{"current_password": alice.Password})
		var doc struct {
			Profile  struct{ Sub string }
			Sessions []struct {
				Kind    string
				Current bool
			}
		}
		if err := json.Unmarshal(p.Body, &doc); err != nil || doc.Profile.Sub != alice.ID || len(doc.Sessions) != 1 ||
			!doc.Sessions[0].Current ||
			!strings.HasPrefix(p.Header.Get("Content-Disposition"), "attachment;") {
			t.Errorf("%v %+v %v", err, doc, p.Header)
		}
	})
}

func TestDeletionAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, _ := s.Admin("root")
		alice := s.SignUp("alice")
		b, other := s.SignedIn(alice), s.SignedIn(alice)
		app := s.Login(alice)
		s.Unchanged(func() {
			account(s, alice, b, "/account/delete").Submit("delete-submit", nil).WantPage(403, "current_password-problem")
			account(s, alice, b, "/account/delete").Submit("delete-submit",
				map[string]string{"current_password": wrongPassword}).WantPage(403, "current_password-problem")
		})
		roots := s.SignedIn(root)
		s.Unchanged(func() {
			account(s, root, roots, "/account/delete").Submit("delete-submit",
				map[string]string{"current_password": root.Password}).WantPage(409, "problems")
		})
		account(s, alice, b, "/account/delete").Submit("delete-submit",
			map[string]string{"current_password": alice.Password}).WantPage(200, "account-deleted")
		for _, browser := range []*apitest.Browser{b, other} {
			browser.Open("/account").WantPage(200, "login-submit")
		}
		s.Do(apitest.Request{Path: "/v1/profile", Token: app.Access}).Want(401, "token_invalid")
		if _, err := s.DB.UserByID(t.Context(), alice.ID); err == nil {
			t.Error("the account is there")
		}
	})
}
