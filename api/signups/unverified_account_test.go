package signups_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// U-01: an account whose address is not proved looks like none until its password is right.
func TestU01UnverifiedAccounts(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		u := s.Operated("unverified@example.test", false)
		for i := range 14 {
			var first *apitest.Response
			for _, name := range []string{u.Email, "nobody@example.test"} {
				a := login(s, 0, name, wrong, nil)
				for _, own := range []string{"X-Request-Id", "Date"} {
					a.Header.Del(own)
				}
				if i < 10 {
					a.Want(401, "invalid_credentials")
				} else {
					limited(s, a, time.Minute)
				}
				if first == nil {
					first = a
				} else if a.Status != first.Status || !bytes.Equal(a.Body, first.Body) ||
					!reflect.DeepEqual(a.Header, first.Header) {
					t.Errorf("U-01 attempt %d: %v %s and %v %s", i+1, a.Header, a.Body, first.Header, first.Body)
				}
			}
		}
	})
}

// After the right password the owner of an unverified account is told, and proves the address.
func TestLoginOfAnUnverifiedAccount(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		for way, body := range map[string]func(u apitest.User, handle string, mail apitest.Mail) apitest.Fields{
			"code and password": func(u apitest.User, handle string, mail apitest.Mail) apitest.Fields {
				return apitest.Fields{"handle": handle, "code": mail.Code, "password": u.Password}
			},
			"link and password": func(u apitest.User, _ string, mail apitest.Mail) apitest.Fields {
				return apitest.Fields{"token": mail.Token(), "password": u.Password}
			},
		} {
			t.Run(way, func(t *testing.T) {
				s := s.With(t)
				u := s.Operated(strings.ReplaceAll(way, " ", ".")+"@example.test", false)
				s.Unchanged(func() {
					for range 20 { // which is no guess
						post(
							s,
							"/v1/login",
							apitest.Fields{"email": u.Email, "password": u.Password},
						).Want(403, "email_not_verified")
					}
				})
				handle := again(s, u.Email)
				mail := s.MailOf(outbox.VerifyEmail)
				s.Unchanged(func() {
					post(
						s,
						"/v1/email/verify",
						apitest.Fields{"token": mail.Token()},
					).Want(409, "new_password_required")
				})
				post(s, "/v1/email/verify", body(u, handle, mail)).Want(204, "")
				s.Login(u)
			})
		}
		refused, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Name: "login_failed", Limit: 100})
		if err != nil || len(refused) != 40 || refused[0].Reason != "email_not_verified" {
			t.Errorf("%d entries, %v", len(refused), err)
		}
	})
}

// A server that begins to demand proofs ends no session: accounts that were there stay, and so do
// their sessions.
func TestSessionsOfBeforeGoOn(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		tokens := s.Login(alice)
		s.Replicas[0].Accounts.Verification = userstore.VerificationRequired
		s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
		s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(200, "")
		post(
			s,
			"/v1/login",
			apitest.Fields{"email": alice.Email, "password": alice.Password},
		).Want(403, "email_not_verified")
		if _, there := account(s, alice.Email); !there {
			t.Error("the account is gone")
		}
		// The session itself is a proof that the account is theirs.
		s.Mails()
		again(s, alice.Email)
		body := apitest.Fields{"token": s.MailOf(outbox.VerifyEmail).Token()}
		s.Do(apitest.Request{Method: "POST", Path: "/v1/email/verify", Token: tokens.Access, Body: body}).
			Want(204, "")
		s.Login(alice)
	}, apitest.Verifying)
}
