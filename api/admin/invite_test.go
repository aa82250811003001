package admin_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

func TestInvitations(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, admin := s.Admin("root")
		do := func(path string, body any) *apitest.Response {
			return s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users" + path, Token: admin.Access, Body: body})
		}
		var made struct {
			Sub         string `json:"sub"`
			HasPassword bool   `json:"has_password"`
			Verified    bool   `json:"email_verified"`
		}
		do("", apitest.Fields{"email": "ada@example.test", "invite": true, "locale": "de"}).Want(201, "").JSON(&made)
		if made.HasPassword || made.Verified {
			t.Errorf("%+v", made)
		}
		first := s.MailOf(outbox.Invite)
		if first.Contents.To != "ada@example.test" || first.Contents.Locale != "de" || first.Code != "" {
			t.Errorf("%+v", first)
		}
		s.Unchanged(func() {
			if res := do("", apitest.Fields{"email": "x@example.test", "invite": true, "password": "a planted password of x"}).
				Want(400, "validation_error"); res.Faults() != "password:not_allowed" {
				t.Error(res.Faults())
			}
			if res := do("", apitest.Fields{"email": "x@example.test"}).
				Want(400, "validation_error"); res.Faults() != "password:required" {
				t.Error(res.Faults())
			}
			do("/nobody/invite", nil).Want(404, "not_found")
			s.Do(apitest.Request{Method: "POST", Path: "/v1/login", Body: apitest.Fields{"email": "ada@example.test",
				"password": "a planted password of x"}}).Want(401, "invalid_credentials")
		})
		s.Advance(time.Second)
		do("/"+made.Sub+"/invite", nil).Want(200, "")
		second := s.MailOf(outbox.Invite)
		b := s.Browser()
		old := b.Open(first.Link).WantPage(200, "reset-submit")
		if page := old.Submit("reset-submit",
			map[string]string{"new_password": s.Secret("a planted password of ada")}); page.Status != 400 {
			t.Errorf("replaced by a newer one: %d", page.Status)
		}
		// An invitation is no reset, and the other way round.
		s.Do(apitest.Request{Method: "POST", Path: "/v1/password/reset", Body: apitest.Fields{"token": second.Token(),
			"new_password": "a planted password of ada"}}).Want(400, "one_time_token_invalid")
		s.Advance(7*24*time.Hour - 2*time.Second)
		page := b.Open(second.Link).WantPage(200, "reset-submit")
		page.Submit("reset-submit", map[string]string{"new_password": "short"}).WantPage(400, "reset-submit")
		done := page.Submit("reset-submit", map[string]string{"new_password": "a planted password of ada"})
		if done.Status != 200 {
			t.Fatalf("%d %s", done.Status, done.Text())
		}
		if again := page.Submit("reset-submit",
			map[string]string{"new_password": "a planted password of ada"}); again.Status != 400 {
			t.Errorf("twice: %d", again.Status)
		}
		ada := apitest.User{Email: "ada@example.test", Password: "a planted password of ada", ID: made.Sub}
		s.Login(ada)
		if u, err := s.DB.UserByID(t.Context(), made.Sub); err != nil || !u.EmailVerified {
			t.Errorf("verified: %t %v", u.EmailVerified, err)
		}
		admin = s.Login(root, apitest.Fields{"scope": "profile admin"})
		do("/"+made.Sub+"/invite", nil).Want(409, "has_password")
		events, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{TargetID: made.Sub, Limit: 20})
		if err != nil {
			t.Fatal(err)
		}
		told := map[string]int{}
		for _, e := range events {
			told[string(e.Name)]++
		}
		if told["user_created"] != 1 || told["user_invited"] != 2 || told["password_reset"] != 1 {
			t.Error(fmt.Sprint(told))
		}
	})
}

func TestAnAdminDeclaresAnAddressVerified(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		alice := s.SignUp("alice")
		for range 2 {
			var u struct {
				Verified bool `json:"email_verified"`
			}
			s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users/" + alice.ID + "/verify-email",
				Token: admin.Access}).Want(200, "").JSON(&u)
			if !u.Verified {
				t.Error("not verified")
			}
		}
		s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users/nobody/verify-email",
			Token: admin.Access}).Want(404, "not_found")
	})
}
