package bymail_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// asked asks for a new password of u and returns the message.
func asked(s *apitest.Server, u apitest.User) apitest.Mail {
	s.T.Helper()
	forgot(s, u.Email)
	m := s.MailOf(outbox.ResetPassword)
	s.Advance(time.Minute)
	return m
}

// secondOfReset presents a message, and returns how the reset goes on.
func secondOfReset(s *apitest.Server, body apitest.Fields) (login string, methods []string) {
	s.T.Helper()
	var answer struct {
		Login     string
		Methods   []string
		ExpiresIn int `json:"expires_in"`
	}
	post(s, "/v1/password/reset", body).Want(401, "second_factor_required").JSON(&answer)
	if answer.ExpiresIn != 300 {
		s.T.Errorf("expires_in %d", answer.ExpiresIn)
	}
	return answer.Login, answer.Methods
}

// P-04: the mailbox is stolen, and the owner holds the second factor. A reset by link or code goes no
// further than the question for the factor; with it, and each way of showing it, the password is new.
func TestP04AResetNeedsTheSecondFactor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, mallory := s.SignUp("alice"), s.SignUp("mallory")
		app, recovery := s.WithApp(alice)
		key, _ := s.WithPasskey(alice)
		theirs, theirCodes := s.WithApp(mallory)
		next, tried := s.Secret(nextPassword), 0
		for _, way := range []string{"app", "recovery code", "passkey"} {
			s.Advance(2 * time.Minute)
			tokens := s.LoginByApp(alice, app)
			handle := forgot(s, alice.Email)
			mail := s.MailOf(outbox.ResetPassword)
			for _, body := range []apitest.Fields{{"token": mail.Token()}, {"handle": handle, "code": mail.Code}} {
				body = body.With("new_password", next)
				var login string
				s.Unchanged(func() {
					var methods []string
					login, methods = secondOfReset(s, body)
					if fmt.Sprint(methods) != "[passkey totp recovery_code]" {
						t.Errorf("P-04 the methods: %q", methods)
					}
					for what, wrong := range map[string]apitest.Fields{
						"nothing":          {"login": login, "new_password": next},
						"no login":         {"code": "123456", "new_password": next},
						"no new":           {"login": login, "code": "123456"},
						"two codes":        {"login": login, "new_password": next, "code": "123456", "recovery_code": recovery[0]},
						"a short password": {"login": login, "new_password": "short", "code": "123456"},
					} {
						if res := post(s, "/v1/password/reset/second", wrong); res.Status != 400 {
							t.Errorf("P-04 %s: %d %s", what, res.Status, res.Body)
						}
					}
					post(s, "/v1/password/reset/second", apitest.Fields{"login": "x" + login, "new_password": next, "code": "123456"}).
						Want(401, "login_expired")
				})
				wrong := apitest.Fields{"login": login, "new_password": next}
				switch tried++; tried % 3 { // not all at once, or the account waits
				case 0:
					wrong["code"] = app.Wrong()
				case 1:
					wrong["code"] = theirs.Shown(0)
				case 2:
					wrong["recovery_code"] = theirCodes[0]
				}
				post(s, "/v1/password/reset/second", wrong).Want(401, "invalid_code")
				s.Advance(time.Minute)
			}
			body := apitest.Fields{"token": mail.Token(), "new_password": next}
			login, _ := secondOfReset(s, body)
			proof := apitest.Fields{"login": login, "new_password": next}
			switch way {
			case "app":
				proof["code"] = app.Code()
			case "recovery code":
				proof["recovery_code"] = recovery[1]
			case "passkey":
				var o struct{ Options json.RawMessage }
				post(s, "/v1/password/reset/passkey/options", apitest.Fields{"login": login}).Want(200, "").JSON(&o)
				proof["response"] = key.Get(o.Options)
			}
			post(s, "/v1/password/reset/second", proof).Want(204, "")
			post(s, "/v1/password/reset/second", proof).Want(400, "one_time_token_invalid")
			post(s, "/v1/password/reset", body).Want(400, "one_time_token_invalid")
			s.Refresh(tokens.Refresh).Want(401, "token_invalid")
			alice.Password = next
			s.FirstStep(alice) // the factors are as they were
			sent := map[outbox.Kind]int{}
			for _, m := range s.Mails() {
				sent[m.Kind]++
				if m.Kind == outbox.RecoveryCodeUsed && m.Contents.Left != 9 {
					t.Errorf("codes left: %d", m.Contents.Left)
				}
			}
			if sent[outbox.PasswordChanged] != 1 || (sent[outbox.RecoveryCodeUsed] == 1) != (way == "recovery code") {
				t.Errorf("messages after %s: %v", way, sent)
			}
			next = s.Secret(nextPassword + " after " + way)
		}
	})
}

// P-04: what a reset waits with ends with the message, the password and the factors, and after five
// minutes; the code of the message is not used up by codes of the app that are wrong.
func TestP04TheSecondStepOfAResetEnds(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		next := s.Secret(nextPassword)
		second := func(login, code string) *apitest.Response {
			return post(s, "/v1/password/reset/second", apitest.Fields{"login": login, "new_password": next, "code": code})
		}
		s.Advance(2 * time.Minute)
		handle := forgot(s, alice.Email)
		mail := s.MailOf(outbox.ResetPassword)
		body := apitest.Fields{"handle": handle, "code": mail.Code, "new_password": next}
		for range 7 { // more often than a code may be wrong
			login, _ := secondOfReset(s, body)
			second(login, app.Wrong()).Want(401, "invalid_code")
			s.Advance(2 * time.Minute) // wrong codes wait longer and longer
		}
		login, _ := secondOfReset(s, body)
		s.Advance(5 * time.Minute)
		second(login, app.Code()).Want(401, "login_expired")

		s.Advance(time.Hour)
		for what, change := range map[string]func() error{
			"a newer message": func() error { asked(s, alice); return nil },
			"another password": func() error {
				return s.Replicas[0].Accounts.SetPassword(t.Context(), alice.ID, s.Secret("an operator sets this one"))
			},
			"disabling": func() error { return s.DB.SetActive(t.Context(), alice.ID, false, s.Clock.Now()) },
		} {
			mail := asked(s, alice)
			login, _ := secondOfReset(s, apitest.Fields{"token": mail.Token(), "new_password": next})
			if err := change(); err != nil {
				t.Fatal(err)
			}
			code := app.Code()
			s.Unchanged(func() { second(login, code).Want(400, "one_time_token_invalid") })
			if err := s.DB.SetActive(t.Context(), alice.ID, true, s.Clock.Now()); err != nil {
				t.Fatal(what, err)
			}
			s.Mails()
			s.Advance(time.Hour)
		}
		// A right code that changed nothing is no wrong one.
		have, err := s.DB.SecondFactors(t.Context(), alice.ID)
		if err != nil || have.WrongCodes > 7 {
			t.Errorf("wrong codes: %d, %v", have.WrongCodes, err)
		}
	})
}

// P-02: of resets with one message and several codes, and of a login with the same code, at three
// replicas at once, each code and the message count once.
func TestP02ResetsWithASecondFactorAtOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		for round := range 4 {
			s.Advance(2 * time.Minute)
			mail := asked(s, alice)
			next := s.Secret(fmt.Sprintf("%s in round %d", nextPassword, round))
			login, _ := secondOfReset(s, apitest.Fields{"token": mail.Token(), "new_password": next})
			waits := s.FirstStep(alice)
			code := app.Code()
			answers := make([]*apitest.Response, 4)
			var racing sync.WaitGroup
			for i := range answers {
				racing.Go(func() {
					q := apitest.Request{Method: "POST", Path: "/v1/password/reset/second", Replica: i % 3,
						Body: apitest.Fields{"login": login, "new_password": next, "code": code}}
					switch i {
					case 2:
						q.Body = apitest.Fields{"login": login, "new_password": next, "recovery_code": recovery[round]}
					case 3:
						q.Path, q.Body = "/v1/login/totp", apitest.Fields{"login": waits, "code": code}
					}
					answers[i] = s.Do(q)
				})
			}
			racing.Wait()
			resets := 0
			for i, a := range answers[:3] {
				switch a.Status {
				case 204:
					resets++
				case 400, 401, 429:
				default:
					t.Errorf("P-02 reset %d: %d %s", i, a.Status, a.Body)
				}
			}
			byCode := answers[0].Status == 204 || answers[1].Status == 204
			if resets > 1 || byCode && answers[3].Status == 200 {
				t.Errorf("P-02 %d resets, by the code: %t, the login: %d", resets, byCode, answers[3].Status)
			}
			if resets == 1 {
				alice.Password = next
				if answers[3].Status == 200 { // the login was first, and the reset ended it
					var tokens apitest.Tokens
					answers[3].JSON(&tokens)
					s.Refresh(tokens.Refresh).Want(401, "token_invalid")
				}
			}
			s.Advance(time.Hour)
			s.FirstStep(alice)
			s.Mails()
		}
	}, func(o *apitest.Options) { o.Replicas = 3 })
}

// P-03: a hostile sign-up with the victim's address, to which second factors were moved, as an import
// does. The victim proves the address, chooses a password, and none of the factors is left.
func TestP03AProofTakesTheFactorsAway(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, way := range []string{"verify", "reset"} {
			alice := s.SignUp("alice-" + way)
			s.WithApp(alice)
			u, err := s.Replicas[0].Accounts.EditByOperator(t.Context(), alice.ID, func(u *userstore.User) error {
				u.EmailVerified = false
				return nil
			})
			if err != nil || !u.SecondFactor {
				t.Fatal(err)
			}
			s.Mails()
			s.Advance(2 * time.Minute)
			next := s.Secret(nextPassword + " by " + way)
			if way == "verify" {
				post(s, "/v1/email/verification", apitest.Fields{"email": alice.Email}).Want(202, "")
				mail := s.MailOf(outbox.VerifyEmail)
				post(s, "/v1/email/verify", apitest.Fields{"token": mail.Token()}).Want(409, "new_password_required")
				post(s, "/v1/email/verify", apitest.Fields{"token": mail.Token(), "new_password": next}).Want(204, "")
			} else {
				post(s, "/v1/password/reset", apitest.Fields{"token": asked(s, alice).Token(), "new_password": next}).Want(204, "")
			}
			have, err := s.DB.SecondFactors(t.Context(), alice.ID)
			if err != nil || have.App != nil || have.RecoveryCodes != 0 {
				t.Errorf("P-03 left after %s: %+v %v", way, have, err)
			}
			post(s, "/v1/login", apitest.Fields{"email": alice.Email, "password": alice.Password}).Want(401, "invalid_credentials")
			alice.Password = next
			s.Login(alice)
			sent := map[outbox.Kind]int{}
			for _, m := range s.Mails() {
				sent[m.Kind]++
			}
			if sent[outbox.FactorRemoved] != 1 || sent[outbox.PasswordChanged] != 1 {
				t.Errorf("P-03 messages: %v", sent)
			}
		}
	})
}
