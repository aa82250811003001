package signups_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// signedUp is a pending sign-up and what came of it.
type signedUp struct {
	*apitest.Server
	user   apitest.User
	handle string
	mail   apitest.Mail
}

func TestPendingSignUp(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		for number, row := range []struct {
			name  string
			proof func(p signedUp) apitest.Fields
		}{
			{"code and handle of the sign-up", func(p signedUp) apitest.Fields {
				return apitest.Fields{"handle": p.handle, "code": p.mail.Code[:4] + "-" + p.mail.Code[4:]}
			}},
			{"link and handle of the sign-up", func(p signedUp) apitest.Fields {
				return apitest.Fields{"token": p.mail.Token(), "handle": p.handle}
			}},
			{"link and password", func(p signedUp) apitest.Fields {
				return apitest.Fields{"token": p.mail.Token(), "password": p.user.Password}
			}},
			{"link and new password", func(p signedUp) apitest.Fields {
				return apitest.Fields{"token": p.mail.Token(), "new_password": p.Secret(nextPassword + " by link")}
			}},
			{"a newer link, days later, and the handle of the sign-up", func(p signedUp) apitest.Fields {
				p.Advance(6 * 24 * time.Hour)
				again(p.Server, strings.ToUpper(p.user.Email))
				return apitest.Fields{"token": p.MailOf(outbox.VerifyEmail).Token(), "handle": p.handle}
			}},
			{"a newer code and the password", func(p signedUp) apitest.Fields {
				handle := again(p.Server, p.user.Email)
				code := p.MailOf(outbox.VerifyEmail).Code
				return apitest.Fields{"handle": handle, "code": code, "password": p.user.Password}
			}},
			{"a newer code and a new password", func(p signedUp) apitest.Fields {
				handle := again(p.Server, p.user.Email)
				code, next := p.MailOf(outbox.VerifyEmail).Code, p.Secret(nextPassword+" by code")
				return apitest.Fields{"handle": handle, "code": code, "new_password": next}
			}},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				u := apitest.User{
					Email:    fmt.Sprintf("User%d@Example.test", number),
					Password: s.Secret("planted password of the sign-up " + row.name),
				}
				var answer struct{ Handle string }
				post(
					s,
					"/v1/signup",
					apitest.Fields{
						"email":              u.Email,
						"password":           u.Password,
						"given_name":         "Ada",
						"preferred_username": fmt.Sprint("ada", number),
						"locale":             "de-CH",
					},
				).Want(202, "").
					JSON(&answer)
				mail := s.MailOf(outbox.VerifyEmail)
				if mail.Contents.To != u.Email || mail.Contents.Locale != "de-CH" ||
					!strings.HasPrefix(mail.Link, "/verify/") ||
					len(mail.Code) != 8 {
					t.Fatalf("%+v", mail)
				}
				loginFails(s, u)
				if _, made := account(s, u.Email); made {
					t.Fatal("the account is there before the proof")
				}
				body := row.proof(signedUp{s, u, answer.Handle, mail})
				post(s, "/v1/email/verify", body).Want(204, "")
				if next, chosen := body["new_password"].(string); chosen {
					loginFails(s, u)
					u.Password = next
				}
				tokens := s.Login(u)
				var p struct {
					Email    string `json:"email"`
					Verified bool   `json:"email_verified"`
					Name     string `json:"given_name"`
					Username string `json:"preferred_username"`
					Locale   string `json:"locale"`
				}
				s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(200, "").JSON(&p)
				if p.Email != u.Email || !p.Verified || p.Name != "Ada" || p.Username != fmt.Sprint("ada", number) ||
					p.Locale != "de-CH" {
					t.Errorf("%+v", p)
				}
				s.Unchanged(func() { post(s, "/v1/email/verify", body).Want(400, "one_time_token_invalid") })
				again(s, u.Email)
				if sent := s.Mails(); len(sent) != 0 {
					t.Errorf("%+v", sent)
				}
				s.Advance(time.Minute)
			})
		}
	})
}

// A username is judged before the address: it is taken whether or not the address is.
func TestUsernamesOfPendingSignUps(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		s.Operated("known@example.test", true)
		_, err := s.Replicas[0].Accounts.RegisterByOperator(
			t.Context(),
			userstore.OperatorUser{NewUser: userstore.NewUser{
				Email: "ada@example.test", Username: "Ada",
				Password: s.Secret("planted password of Ada, the operator's")}},
		)
		if err != nil {
			t.Fatal(err)
		}
		for _, email := range []string{"known@example.test", "nobody@example.test"} {
			res := post(
				s,
				"/v1/signup",
				apitest.Fields{
					"email":    email,
					"username": "ADA",
					"password": s.Secret("planted password for a taken name"),
				},
			)
			if res.Want(409, "user_already_exists").Faults() != "username:taken" {
				t.Errorf("%s", res.Body)
			}
		}
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("%+v", sent)
		}
		// A pending sign-up reserves no name. Of two that want one, who proves first has it, and the
		// other gets an account all the same.
		var users []apitest.User
		var handles []string
		for _, email := range []string{"first@example.test", "second@example.test"} {
			u := apitest.User{Email: email, Password: s.Secret("planted password of " + email)}
			var answer struct{ Handle string }
			post(
				s,
				"/v1/signup",
				apitest.Fields{"email": email, "username": "Grace", "password": u.Password},
			).Want(202, "").
				JSON(&answer)
			users, handles = append(users, u), append(handles, answer.Handle)
		}
		codes := map[string]string{}
		for _, mail := range s.Mails() {
			codes[mail.Contents.To] = mail.Code
		}
		for i, want := range []string{"Grace", ""} {
			post(
				s,
				"/v1/email/verify",
				apitest.Fields{"handle": handles[i], "code": codes[users[i].Email]},
			).Want(204, "")
			if u, _ := account(s, users[i].Email); u.Username != want || !u.EmailVerified {
				t.Errorf("%s: %+v", users[i].Email, u)
			}
			s.Login(users[i])
		}
	})
}

// Pending sign-ups end after seven days, and their messages after one.
func TestPendingSignUpsEnd(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		u, handle := s.SignUpPending("alice@example.test")
		mail := s.MailOf(outbox.VerifyEmail)
		s.Advance(24 * time.Hour)
		for _, body := range []apitest.Fields{
			{"handle": handle, "code": mail.Code}, {"token": mail.Token(), "handle": handle},
		} {
			post(s, "/v1/email/verify", body).Want(400, "one_time_token_invalid")
		}
		s.Advance(5 * 24 * time.Hour)
		again(s, u.Email)
		mail = s.MailOf(outbox.VerifyEmail)
		s.Advance(24 * time.Hour)
		post(
			s,
			"/v1/email/verify",
			apitest.Fields{"token": mail.Token(), "handle": handle},
		).Want(400, "one_time_token_invalid")
		again(s, u.Email)
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("after the end: %+v", sent)
		}
		if _, err := s.DB.RemoveExpiredTokens(t.Context(), s.Clock.Now(), 100); err != nil {
			t.Fatal(err)
		}
		before := s.Clock.Now().Add(-30 * 24 * time.Hour)
		left, err := s.DB.PendingSignups(t.Context(), "alice@example.test", userstore.BrowserKey{}, before, 9)
		if err != nil || len(left) != 0 {
			t.Errorf("%d are left, %v", len(left), err)
		}
	})
}

// U-37: where sign-up is closed nobody signs up, and no pending sign-up becomes an account.
func TestU37PendingSignUpsWhereSignUpIsClosed(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		u, handle := s.SignUpPending("alice@example.test")
		mail := s.MailOf(outbox.VerifyEmail)
		s.Replicas[0].Accounts.SignupEnabled = false
		s.Unchanged(func() {
			post(
				s,
				"/v1/signup",
				apitest.Fields{"email": "bob@example.test", "password": s.Secret("planted password of bob, too late")},
			).Want(403, "signup_closed")
			for _, body := range []apitest.Fields{
				{"handle": handle, "code": mail.Code}, {"token": mail.Token(), "handle": handle},
				{"token": mail.Token(), "new_password": s.Secret(nextPassword)},
			} {
				for range 6 { // which costs no try
					post(s, "/v1/email/verify", body).Want(403, "signup_closed")
				}
			}
		})
		s.Replicas[0].Accounts.SignupEnabled = true
		post(s, "/v1/email/verify", apitest.Fields{"handle": handle, "code": mail.Code}).Want(204, "")
		s.Login(u)
	})
}

// Where proofs are not required any more, a sign-up that waits for one goes on.
func TestPendingSignUpsOutliveTheSetting(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		u, handle := s.SignUpPending("alice@example.test")
		s.Replicas[0].Accounts.Verification = userstore.VerificationOptional
		mail := s.MailOf(outbox.VerifyEmail)
		post(s, "/v1/email/verify", apitest.Fields{"handle": handle, "code": mail.Code}).Want(204, "")
		s.Login(u)
	})
}
