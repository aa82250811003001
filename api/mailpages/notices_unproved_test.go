package mailpages_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// P-12: an account with another person's address, who has proved nothing, sends that person no more
// notices of a kind than requests would, however often its password changes and new browsers log
// in. A person who has proved the address hears of each change.
func TestP12NoticesToAnUnprovedAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const victim = "victim@example.test"
		u := apitest.User{Email: victim, Password: s.Secret("a planted password of another person")}
		post := func(path, token string, body apitest.Fields) *apitest.Response {
			return s.Do(apitest.Request{Method: "POST", Path: path, Token: token, Body: body})
		}
		post("/v1/signup", "", apitest.Fields{"email": u.Email, "password": u.Password}).Want(201, "")
		access := s.Login(u).Access
		change := func() {
			t.Helper()
			next := s.Secret(fmt.Sprintf("a planted password at %s", s.Clock.Now()))
			post("/v1/profile/password", access,
				apitest.Fields{"current_password": u.Password, "new_password": next}).Want(204, "")
			u.Password = next
			s.Advance(time.Second)
		}
		login := func() {
			s.Browser().SignIn("/login", u)
			s.Advance(time.Second)
		}
		sent := func() map[outbox.Kind]int {
			n := map[outbox.Kind]int{}
			for _, m := range s.Mails() {
				if m.Contents.To == victim {
					n[m.Kind]++
				}
			}
			return n
		}
		for range 20 {
			change()
			login()
		}
		if n := sent(); n[outbox.PasswordChanged] != 5 || n[outbox.NewDevice] != 5 {
			t.Errorf("P-12 within minutes: %v", n)
		}
		for range 10 {
			s.Advance(time.Hour)
			access = s.Login(u).Access
			change()
			login()
		}
		if n := sent(); n[outbox.PasswordChanged] != 5 || n[outbox.NewDevice] != 5 {
			t.Errorf("P-12 within the day: %v", n)
		}
		post("/v1/password/forgot", "", apitest.Fields{"email": victim}).Want(202, "")
		next := s.Secret("a planted password of the owner")
		post("/v1/password/reset", "", apitest.Fields{
			"token": s.MailOf(outbox.ResetPassword).Token(), "new_password": next,
		}).Want(204, "")
		u.Password = next
		access = s.Login(u).Access
		sent()
		for range 12 {
			change()
			login()
		}
		if n := sent(); n[outbox.PasswordChanged] != 12 || n[outbox.NewDevice] != 12 {
			t.Errorf("P-12 to an owner: %v", n)
		}
	}, apitest.Verifying, notifying)
}
