package secondsteps_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// P-06: ten wrong codes with a stolen access token, and its successors, end the proofs by code of that
// session. The owner logs in by a code, and proves in another session.
func TestP06AStolenTokenDoesNotBlockTheCodesOfTheOwner(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		stolen := s.LoginByApp(alice, app)
		prove := func(body apitest.Fields) *apitest.Response {
			s.Refresh(stolen.Refresh).Want(200, "").JSON(&stolen)
			return caller{s, stolen.Access}.send("POST", "/v1/profile/prove", body)
		}
		for range 10 {
			s.Advance(5 * time.Minute)
			prove(apitest.Fields{"code": app.Wrong()}).Want(401, "invalid_code")
		}
		for range 5 {
			s.Advance(time.Hour)
			prove(apitest.Fields{"code": app.Shown(0)}).Want(403, "codes_blocked")
			prove(apitest.Fields{"code": app.Wrong()}).Want(403, "codes_blocked")
		}
		have, err := s.DB.SecondFactors(t.Context(), alice.ID)
		if err != nil || have.WrongCodes != 10 {
			t.Errorf("%d wrong codes: %v", have.WrongCodes, err)
		}
		prove(apitest.Fields{"recovery_code": recovery[0]}).Want(200, "")
		c := caller{s, s.LoginByApp(alice, app).Access}
		c.proofOf(apitest.Fields{"code": app.Code()})
		if have, err = s.DB.SecondFactors(t.Context(), alice.ID); err != nil || have.WrongCodes != 0 {
			t.Errorf("%d wrong codes after right ones: %v", have.WrongCodes, err)
		}
	})
}

// P-04: the holder of the mailbox, who asks for one message after another, tries ten codes of the app in
// all, and blocks neither the owner's logins nor a reset by a recovery code.
func TestP04AStolenMailboxDoesNotBlockTheCodesOfTheOwner(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		next := s.Secret("the next planted password of Alice")
		login := ""
		ask := func() {
			t.Helper()
			s.Mails()
			s.Advance(3 * time.Hour) // an address gets ten messages a day
			s.Do(apitest.Request{Method: "POST", Path: "/v1/password/forgot", Body: apitest.Fields{"email": alice.Email}}).Want(202, "")
			var first step
			post(s, "/v1/password/reset", apitest.Fields{"token": s.MailOf(outbox.ResetPassword).Token(), "new_password": next}).
				Want(401, "second_factor_required").JSON(&first)
			login = first.Login
		}
		reset := func(name, code string) *apitest.Response {
			return post(s, "/v1/password/reset/second", apitest.Fields{"login": login, "new_password": next, name: code})
		}
		for n := range 10 {
			if n%2 == 0 {
				ask()
			}
			reset("code", app.Wrong()).Want(401, "invalid_code")
		}
		for range 3 {
			ask()
			s.Unchanged(func() {
				reset("code", app.Shown(0)).Want(403, "codes_blocked")
				reset("code", app.Wrong()).Want(403, "codes_blocked")
			})
		}
		have, err := s.DB.SecondFactors(t.Context(), alice.ID)
		if err != nil || have.WrongCodes != 10 {
			t.Errorf("%d wrong codes: %v", have.WrongCodes, err)
		}
		s.LoginByApp(alice, app)
		reset("recovery_code", recovery[0]).Want(204, "")
	})
}
