package bymail_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// signUp makes an account and returns the handle of its sign-up with the message that it causes.
func signUp(s *apitest.Server, name string) (apitest.User, string, apitest.Mail) {
	s.T.Helper()
	name += strings.ToLower(rand.Text())
	u := apitest.User{Email: name + "@example.test", Password: s.Secret("planted password of the one who made " + name)}
	var account struct{ Sub, Handle string }
	post(s, "/v1/signup",
		apitest.Fields{"email": u.Email, "password": u.Password, "locale": "de-CH"}).Want(201, "").JSON(&account)
	u.ID = account.Sub
	return u, account.Handle, s.MailOf(outbox.VerifyEmail)
}

func verified(s *apitest.Server, u apitest.User) bool {
	s.T.Helper()
	user, err := s.DB.UserByID(s.T.Context(), u.ID)
	if err != nil {
		s.T.Fatal(err)
	}
	return user.EmailVerified
}

func TestVerifyEmail(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for name, proof := range map[string]func(u apitest.User, handle string, mail apitest.Mail) apitest.Request{
			"code and handle of the sign-up": func(_ apitest.User, handle string, mail apitest.Mail) apitest.Request {
				return apitest.Request{Body: apitest.Fields{"handle": handle, "code": mail.Code}}
			},
			"link and handle of the sign-up": func(_ apitest.User, handle string, mail apitest.Mail) apitest.Request {
				return apitest.Request{Body: apitest.Fields{"token": mail.Token(), "handle": handle}}
			},
			"link and password": func(u apitest.User, _ string, mail apitest.Mail) apitest.Request {
				return apitest.Request{Body: apitest.Fields{"token": mail.Token(), "password": u.Password}}
			},
			"link and access token": func(u apitest.User, _ string, mail apitest.Mail) apitest.Request {
				return apitest.Request{Body: apitest.Fields{"token": mail.Token()}, Token: s.Login(u).Access}
			},
			"the newer link and the handle of the sign-up": func(u apitest.User, handle string, _ apitest.Mail) apitest.Request {
				s.Advance(time.Minute)
				post(s, "/v1/email/verification", apitest.Fields{"email": u.Email}).Want(202, "")
				return apitest.Request{Body: apitest.Fields{"token": s.MailOf(outbox.VerifyEmail).Token(), "handle": handle}}
			},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				u, handle, mail := signUp(s, "u")
				if mail.Contents.To != u.Email || mail.Contents.Locale != "de-CH" || verified(s, u) {
					t.Fatalf("%+v", mail)
				}
				tokens := s.Login(u)
				q := proof(u, handle, mail)
				q.Method, q.Path = "POST", "/v1/email/verify"
				s.Do(q).Want(204, "")
				if !verified(s, u) {
					t.Error("not verified")
				}
				s.Refresh(tokens.Refresh).Want(200, "") // password and sessions stay
				s.Login(u)
				s.Do(q).Want(400, "one_time_token_invalid")
				s.Advance(time.Minute)
				post(s, "/v1/email/verification", apitest.Fields{"email": u.Email}).Want(202, "")
				if sent := s.Mails(); len(sent) != 0 {
					t.Errorf("a message about an address that is verified: %+v", sent)
				}
			})
		}
	}, apitest.Verifying)
}

// P-03: somebody signed up with the address of somebody else, who then proves it. Whoever made the
// account keeps nothing.
func TestP03AHostileSignUp(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, way := range []string{"the first link", "a link of their own", "a code of their own", "a reset"} {
			t.Run("P-03 "+way, func(t *testing.T) {
				s := s.With(t)
				account, theirs, mail := signUp(s, "victim")
				tokens := s.Login(account)
				another, other, _ := signUp(s, "attacker")
				attacker := s.Login(another)
				body := apitest.Fields{"token": mail.Token()}
				if way != "the first link" && way != "a reset" {
					s.Advance(time.Minute)
					var answer struct{ Handle string }
					post(s, "/v1/email/verification", apitest.Fields{"email": account.Email}).Want(202, "").JSON(&answer)
					mail = s.MailOf(outbox.VerifyEmail)
					body = apitest.Fields{"token": mail.Token()}
					if way == "a code of their own" {
						body = apitest.Fields{"handle": answer.Handle, "code": mail.Code}
					}
				}
				next := s.Secret("the planted password after " + way)
				if way == "a reset" {
					s.Advance(time.Minute)
					forgot(s, account.Email)
					post(s, "/v1/password/reset",
						apitest.Fields{"token": s.MailOf(outbox.ResetPassword).Token(), "new_password": next}).Want(204, "")
				} else {
					s.Unchanged(func() {
						for range 6 { // which costs no try
							post(s, "/v1/email/verify", body).Want(409, "new_password_required")
						}
						if way != "a code of their own" {
							// Handles and tokens of another account show nothing.
							post(s, "/v1/email/verify", body.With("handle", other)).Want(409, "new_password_required")
							post(s, "/v1/email/verify", body.With("password", "not the planted password")).Want(403, "wrong_password")
						}
						s.Do(apitest.Request{Method: "POST", Path: "/v1/email/verify", Token: attacker.Access,
							Body: body}).Want(409, "new_password_required")
					})
					post(s, "/v1/email/verify", body.With("new_password", next)).Want(204, "")
				}
				if !verified(s, account) {
					t.Error("not verified")
				}
				s.Refresh(tokens.Refresh).Want(401, "token_invalid")
				s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(401, "token_invalid")
				post(s, "/v1/login",
					apitest.Fields{"email": account.Email, "password": account.Password}).Want(401, "invalid_credentials")
				post(s, "/v1/email/verify", apitest.Fields{"handle": theirs, "code": mail.Code}).Want(400, "one_time_token_invalid")
				account.Password = next
				s.Login(account)
			})
		}
	}, apitest.Verifying)
}

// P-12: sign-ups are no way to send mail to somebody again and again.
func TestP12SignUpsShareTheBudgetOfAnAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		sent := 0
		for range 30 {
			var account struct{ Sub string }
			post(s, "/v1/signup", apitest.Fields{"email": "alice@example.test",
				"password": s.Secret("a planted password of sign-up")}).Want(201, "").JSON(&account)
			sent += len(s.Mails())
			if err := s.DB.DeleteUser(t.Context(), account.Sub); err != nil {
				t.Fatal(err)
			}
			s.Advance(10 * time.Minute)
		}
		if sent != 10 {
			t.Errorf("P-12 %d messages in five hours, want 10", sent)
		}
	}, apitest.Verifying)
}

func TestNoMessageAtSignUpWhereNobodyHasToProve(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		var account struct{ Handle string }
		post(s, "/v1/signup", apitest.Fields{"email": "alice@example.test",
			"password": s.Secret("a planted password of sign-up")}).Want(201, "").JSON(&account)
		if sent := s.Mails(); len(sent) != 0 || account.Handle != "" {
			t.Errorf("%+v %q", sent, account.Handle)
		}
		post(s, "/v1/email/verification", apitest.Fields{"email": "alice@example.test"}).Want(202, "")
		s.MailOf(outbox.VerifyEmail)
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.Accounts.Verification = userstore.VerificationOff }
	})
}
