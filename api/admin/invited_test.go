package admin_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// invitedUser is what an admin reads about an invitation.
type invitedUser struct {
	ID          string     `json:"sub"`
	Email       string     `json:"email"`
	Active      bool       `json:"is_active"`
	Verified    bool       `json:"email_verified"`
	HasPassword bool       `json:"has_password"`
	Until       *time.Time `json:"invited_until"`
}

// An admin reads of each account whether it has a password, and until when its invitation is open.
func TestAdminsSeeOpenInvitations(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		do := func(method, path string, body any) *apitest.Response {
			return s.Do(
				apitest.Request{Method: method, Path: "/v1/admin/users" + path, Token: admin.Access, Body: body},
			)
		}
		user := func(a *apitest.Response) (u invitedUser) { a.JSON(&u); return u }
		// open fails unless the answer, the account and the list agree.
		open := func(what string, got invitedUser, want time.Time) {
			t.Helper()
			var list struct{ Users []invitedUser }
			do("GET", "?search="+got.Email, nil).Want(200, "").JSON(&list)
			for where, u := range map[string]invitedUser{
				"the answer": got, "the account": user(do("GET", "/"+got.ID, nil).Want(200, "")), "the list": list.Users[0],
			} {
				switch {
				case u.ID != got.ID || u.HasPassword != got.HasPassword:
					t.Errorf("%s, %s: %+v", what, where, u)
				case want.IsZero() && u.Until != nil, !want.IsZero() && (u.Until == nil || !u.Until.Equal(want)):
					t.Errorf("%s, %s: invited until %v, not %v", what, where, u.Until, want)
				}
			}
		}
		const week = 7 * 24 * time.Hour
		now := func() time.Time { return s.Clock.Now().UTC().Truncate(time.Microsecond) }

		until := now().Add(week)
		ada := user(do("POST", "", apitest.Fields{"email": "ada@example.test", "invite": true}).Want(201, ""))
		open("before it is sent", ada, until)
		first := s.MailOf(outbox.Invite)
		read := func() invitedUser { return user(do("GET", "/"+ada.ID, nil).Want(200, "")) }
		open("sent", read(), until)

		s.Advance(time.Minute)
		until = now().Add(week)
		open("again", user(do("POST", "/"+ada.ID+"/invite", nil).Want(200, "")), until)
		second := s.MailOf(outbox.Invite)
		open("sent again", read(), until)
		if p := s.Browser().Open(first.Link).Submit("reset-submit",
			map[string]string{"new_password": apitest.GoodPassword + "!"}); p.Status != 400 {
			t.Errorf("the older invitation works: %d", p.Status)
		}

		disabled := user(do("POST", "/"+ada.ID+"/disable", nil).Want(200, ""))
		open("disabled", disabled, time.Time{})
		do("POST", "/"+ada.ID+"/invite", nil).Want(403, "account_disabled")
		open("enabled again", user(do("POST", "/"+ada.ID+"/enable", nil).Want(200, "")), time.Time{})
		if p := s.Browser().Open(second.Link).Submit("reset-submit",
			map[string]string{"new_password": apitest.GoodPassword + "!"}); p.Status != 400 {
			t.Errorf("an invitation from before the account was disabled works: %d", p.Status)
		}

		s.Advance(time.Minute)
		do("POST", "/"+ada.ID+"/invite", nil).Want(200, "")
		moved := user(do("PATCH", "/"+ada.ID, apitest.Fields{"email": "ada2@example.test"}).Want(200, ""))
		open("the address is another", moved, time.Time{})
		for _, m := range s.Mails() {
			if m.Kind == outbox.Invite {
				t.Errorf("an invitation went to %s", m.Contents.To)
			}
		}

		s.Advance(time.Minute)
		do("POST", "/"+ada.ID+"/invite", nil).Want(200, "")
		third := s.MailOf(outbox.Invite)
		s.Browser().
			Open(third.Link).
			Submit("reset-submit", map[string]string{"new_password": s.Secret("a planted password of ada")})
		accepted := read()
		if !accepted.HasPassword || !accepted.Verified {
			t.Errorf("accepted: %+v", accepted)
		}
		open("accepted", accepted, time.Time{})
	})
}

// verify-email says what is: again changes nothing, a disabled account stays disabled, and a
// message that was under way is no longer needed.
func TestVerifyEmailOfAnAdmin(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		bob := s.SignUp("bob")
		s.Mails()
		s.Advance(time.Hour)
		_, admin := s.Admin("root")
		do := func(method, path string, body any) *apitest.Response {
			return s.Do(
				apitest.Request{Method: method, Path: "/v1/admin/users/" + path, Token: admin.Access, Body: body},
			)
		}
		s.Do(apitest.Request{Method: "POST", Path: "/v1/email/verification", Body: apitest.Fields{"email": bob.Email}}).
			Want(202, "")
		do("POST", bob.ID+"/disable", nil).Want(200, "")
		var u invitedUser
		do("POST", bob.ID+"/verify-email", nil).Want(200, "").JSON(&u)
		if !u.Verified || u.Active {
			t.Errorf("of a disabled account: %+v", u)
		}
		s.Unchanged(func() { do("POST", bob.ID+"/verify-email", apitest.Fields{}).Want(200, "") })
		do("POST", bob.ID+"/enable", nil).Want(200, "")
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("the owner of a verified address is sent %v", mails)
		}
		s.Unchanged(func() {
			do("POST", bob.ID+"/verify-email", apitest.Fields{"email": "x@example.test"}).Want(400, "validation_error")
			do("GET", bob.ID+"/verify-email", nil).Want(405, "method_not_allowed")
		})
		own := s.Login(bob).Access
		s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users/" + bob.ID + "/verify-email", Token: own}).
			Want(403, "insufficient_scope")
		do("PATCH", bob.ID, apitest.Fields{"email": "bob2@example.test"}).Want(200, "").JSON(&u)
		if u.Verified {
			t.Error("the proof of one address counts for another")
		}
		do("DELETE", bob.ID, nil).Want(204, "")
		s.Unchanged(func() { do("POST", bob.ID+"/verify-email", nil).Want(404, "not_found") })
	})
}
