package bymail_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// forgot asks for a message and returns the handle.
func forgot(s *apitest.Server, email string) string {
	var answer struct{ Handle string }
	post(s, "/v1/password/forgot", apitest.Fields{"email": email}).Want(202, "").JSON(&answer)
	return answer.Handle
}

func TestResetPassword(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		s.Mails()
		s.Advance(2 * time.Minute)
		for _, way := range []string{"link", "code"} {
			tokens, others := s.Login(alice), s.Login(bob)
			handle := forgot(s, strings.ToUpper(alice.Email))
			mail := s.MailOf(outbox.ResetPassword)
			if mail.Contents.To != alice.Email || !strings.HasPrefix(mail.Link, "/reset/") || len(mail.Code) != 8 {
				t.Fatalf("%+v", mail)
			}
			body := apitest.Fields{"token": mail.Token()}
			if way == "code" {
				body = apitest.Fields{"handle": handle, "code": mail.Code[:4] + " " + mail.Code[4:]}
			}
			next := s.Secret(nextPassword + " by " + way)
			s.Unchanged(func() {
				for _, row := range []struct {
					password any
					faults   string
				}{{nil, "new_password:required"}, {"short", "new_password:too_short"},
					{strings.ToUpper(alice.Email), "new_password:own_name"}} {
					res := post(s, "/v1/password/reset", body.With("new_password", row.password)).Want(400, "validation_error")
					if res.Faults() != row.faults {
						t.Errorf("%v: %s", row.password, res.Faults())
					}
				}
			})
			post(s, "/v1/password/reset", body.With("new_password", next)).Want(204, "")
			s.Unchanged(func() {
				post(s, "/v1/password/reset", body.With("new_password", next)).Want(400, "one_time_token_invalid")
			})
			s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(401, "token_invalid")
			s.Refresh(tokens.Refresh).Want(401, "token_invalid")
			s.Do(apitest.Request{Path: "/v1/profile", Token: others.Access}).Want(200, "")
			post(s, "/v1/login",
				apitest.Fields{"email": alice.Email, "password": alice.Password}).Want(401, "invalid_credentials")
			alice.Password = next
			s.Login(alice)
			if notice := s.MailOf(outbox.PasswordChanged); notice.Contents.To != alice.Email || notice.Link != "" {
				t.Errorf("%+v", notice)
			}
			s.Advance(time.Minute)
		}
	})
}

// U-04: an address that has no account, a disabled one, an impossible domain: the same answer, and
// no message.
func TestU04ForgottenPasswordOfAnUnknownAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, carol := s.SignUp("alice"), s.SignUp("carol")
		s.Mails()
		if err := s.DB.SetActive(t.Context(), carol.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		s.Advance(2 * time.Minute)
		for _, path := range []string{"/v1/password/forgot", "/v1/email/verification"} {
			var first string
			for i, email := range []string{alice.Email, "nobody@example.test", carol.Email, "root@localhost"} {
				res := post(s, path, apitest.Fields{"email": email}).Want(202, "")
				if now := shown(res); i == 0 {
					first = now
				} else if now != first {
					t.Errorf("U-04 %s %s: %s, the known one %s", path, email, now, first)
				}
			}
			if sent := s.Mails(); len(sent) != 1 || sent[0].Contents.To != alice.Email {
				t.Errorf("U-04 P-13 messages: %+v", sent)
			}
			s.Advance(time.Minute)
		}
		for name, row := range map[string]struct {
			body   apitest.Fields
			faults string
		}{
			"no address":              {apitest.Fields{}, "email:required"},
			"none at all":             {apitest.Fields{"email": "nobody"}, "email:invalid"},
			"P-12 a second header":    {apitest.Fields{"email": "a@example.test\r\nBcc: b@example.test"}, "email:invalid"},
			"P-12 a hidden character": {apitest.Fields{"email": "a\u200b@example.test"}, "email:invalid"},
			"something else": {apitest.Fields{"email": "a@example.test", "next": "https://evil.test"},
				"next:unknown_field"},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				s.Refuse(apitest.Request{Method: "POST", Path: "/v1/password/forgot"},
					apitest.Refusal{Body: row.body, Status: 400, Code: "validation_error", Faults: row.faults})
			})
		}
	})
}

// U-28, U-27, P-13: what does not work, and changes nothing.
func TestU28TokensThatDoNotWork(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		s.Mails()
		fresh := func() (string, apitest.Mail) {
			s.Advance(2 * time.Hour)
			handle := forgot(s, alice.Email)
			return handle, s.MailOf(outbox.ResetPassword)
		}
		invalid := func(name string, body apitest.Fields) {
			t.Helper()
			s.Unchanged(func() {
				res := post(s, "/v1/password/reset", body.With("new_password", nextPassword))
				if res.Status != 400 || res.Code() != "one_time_token_invalid" {
					t.Errorf("U-28 %s: %d %s", name, res.Status, res.Body)
				}
			})
		}
		handle, mail := fresh()
		token := mail.Token()
		for name, text := range map[string]string{
			"forged": apitest.FlipLastBit(token), "cut": token[:len(token)-1], "longer": token + "A", "id only": mail.Message.ID,
			"with the code": mail.Message.ID + "." + mail.Code, "empty MAC": mail.Message.ID + ".", "the handle": handle,
			"text": "x", "padded": token + "=",
		} {
			invalid(name, apitest.Fields{"token": text})
		}
		invalid("another's handle", apitest.Fields{"handle": forgot(s, bob.Email), "code": mail.Code})
		invalid("a handle of nothing", apitest.Fields{"handle": forgot(s, "nobody@example.test"), "code": mail.Code})
		invalid("a forged handle", apitest.Fields{"handle": apitest.FlipLastBit(handle), "code": mail.Code})
		invalid("the code of another kind", apitest.Fields{"handle": "s" + handle[1:], "code": mail.Code})
		post(s, "/v1/email/verify", apitest.Fields{"token": token}).Want(400, "one_time_token_invalid")
		for _, body := range []apitest.Fields{{"token": token, "code": mail.Code}, {"token": token, "handle": handle},
			{"handle": handle}, {"code": mail.Code}, {}} {
			post(s, "/v1/password/reset", body.With("new_password", nextPassword)).Want(400, "validation_error")
		}

		// Five tries a handle, right or wrong; the link works still.
		s.Mails()
		handle, mail = fresh()
		wrong := fmt.Sprintf("%08d", 1)
		for range 5 {
			invalid("a guess", apitest.Fields{"handle": handle, "code": wrong})
		}
		invalid("the right code after five guesses", apitest.Fields{"handle": handle, "code": mail.Code})
		unknown := forgot(s, "nobody@example.test")
		for range 7 {
			invalid("a guess where nothing is", apitest.Fields{"handle": unknown, "code": wrong})
		}
		token = mail.Token()
		s.Advance(30*time.Minute - time.Second)
		post(s, "/v1/password/reset", apitest.Fields{"token": token, "new_password": "short"}).Want(400, "validation_error")
		s.Advance(time.Second)
		invalid("ended", apitest.Fields{"token": token})

		// A newer one, and whatever happens to the account.
		_, older := fresh()
		s.Advance(time.Minute)
		forgot(s, alice.Email)
		newer := s.MailOf(outbox.ResetPassword)
		invalid("replaced by a newer one", apitest.Fields{"token": older.Token()})
		tokens := s.Login(alice)
		changed := s.Secret("the planted password of a change")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: tokens.Access,
			Body: apitest.Fields{"current_password": alice.Password, "new_password": changed}}).Want(204, "")
		alice.Password = changed
		invalid("after a change of password", apitest.Fields{"token": newer.Token()})
		for name, act := range map[string]func(){
			"after signing out everywhere": func() {
				s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: s.Login(alice).Access,
					Body: apitest.Fields{"everywhere": true}}).Want(204, "")
			},
			"P-13 after disabling": func() {
				if err := s.DB.SetActive(t.Context(), alice.ID, false, s.Clock.Now()); err != nil {
					t.Fatal(err)
				}
			},
			"U-27 after a change of address": func() {
				_, err := s.Replicas[0].Accounts.EditByOperator(t.Context(), alice.ID,
					func(u *userstore.User) error { u.Email = "x" + u.Email; return nil })
				if err != nil {
					t.Fatal(err)
				}
			},
		} {
			s.Mails()
			_, mail := fresh()
			act()
			invalid(name, apitest.Fields{"token": mail.Token()})
			if err := s.DB.SetActive(t.Context(), alice.ID, true, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			invalid(name+", and enabled again", apitest.Fields{"token": mail.Token()})
			_, _ = s.Replicas[0].Accounts.EditByOperator(t.Context(), alice.ID,
				func(u *userstore.User) error { u.Email = alice.Email; return nil })
			invalid(name+", and as it was", apitest.Fields{"token": mail.Token()})
		}
	})
}

// P-01: whoever asks ten thousand times sends ten messages a day, is answered alike, and locks
// nobody out.
func TestP01ManyRequests(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := signUpAs(s, "alice")
		s.Mails()
		s.Advance(25 * time.Hour)
		sent := 0
		for hour := range 20 {
			for i := range 30 {
				res := s.Do(apitest.Request{Method: "POST", Path: "/v1/password/forgot",
					Header:  from(fmt.Sprintf("192.0.%d.%d", hour, i)),
					Replica: i % 3, Body: apitest.Fields{"email": alice.Email}})
				res.Want(202, "")
				sent += len(s.Mails())
				if i%7 == 0 {
					s.Advance(14 * time.Minute)
				}
			}
		}
		if sent != 10 {
			t.Errorf("P-01 %d messages in a day, want 10", sent)
		}
		s.Login(alice)
		for i := range 3 {
			s.Do(apitest.Request{Method: "POST", Path: "/v1/password/forgot", Header: from("203.0.113.1"),
				Body: apitest.Fields{"email": fmt.Sprintf("%d@example.test", i)}}).Want(202, "")
		}
		limited(s, s.Do(apitest.Request{Method: "POST", Path: "/v1/password/forgot", Header: from("203.0.113.1"),
			Body: apitest.Fields{"email": "x@example.test"}}), time.Hour)
	}, behindProxy, apitest.Configured(func(r *apitest.Replica) { r.Accounts.Throttle.SignupsPerNetwork = 3 }))
}

// P-02: resets at once on three replicas, beside a login with the old password.
func TestP02ResetsAtOnce(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		s := apitest.New(t, apitest.Options{DB: db, Replicas: 3})
		alice := s.SignUp("alice")
		s.Mails()
		for round := range 4 {
			s.Advance(time.Hour)
			handle := forgot(s, alice.Email)
			mail := s.MailOf(outbox.ResetPassword)
			var won atomic.Int64
			var winner atomic.Int64
			var wait sync.WaitGroup
			var login *apitest.Response
			passwords := make([]string, 3)
			for i := range 3 {
				passwords[i] = s.Secret(fmt.Sprintf("%s %d %d", nextPassword, round, i))
				wait.Go(func() {
					body := apitest.Fields{"token": mail.Token(), "new_password": passwords[i]}
					if i == 2 {
						body = apitest.Fields{"handle": handle, "code": mail.Code, "new_password": passwords[i]}
					}
					switch res := s.Do(apitest.Request{Method: "POST", Path: "/v1/password/reset", Replica: i,
						Body: body}); res.Status {
					case 204:
						won.Add(1)
						winner.Store(int64(i))
					default:
						if res.Code() != "one_time_token_invalid" {
							t.Errorf("%d %s", res.Status, res.Body)
						}
					}
				})
			}
			wait.Go(func() {
				login = s.Do(apitest.Request{Method: "POST", Path: "/v1/login", Replica: round % 3,
					Body: apitest.Fields{"email": alice.Email, "password": alice.Password}})
			})
			wait.Wait()
			if won.Load() != 1 {
				t.Fatalf("P-02 %d resets won", won.Load())
			}
			if login.Status == 200 {
				var tokens apitest.Tokens
				login.JSON(&tokens)
				s.Refresh(tokens.Refresh).Want(401, "token_invalid")
			}
			alice.Password = passwords[winner.Load()]
			s.Login(alice)
		}
	})
}

// What people read in a letter leads to the issuer, whatever Host a request for it had (P-12), and
// works.
func TestTheLetterLeadsToTheIssuer(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Mails()
		s.Advance(2 * time.Minute)
		for _, email := range []string{alice.Email, "nobody@example.test"} {
			s.Do(apitest.Request{Method: "POST", Path: "/v1/password/forgot", Host: "evil.test",
				Body: apitest.Fields{"email": email},
				Header: http.Header{"X-Forwarded-Host": {"evil.test"}, "X-Forwarded-Proto": {"http"},
					"Forwarded": {"host=evil.test"}}}).Want(202, "")
		}
		letters := s.Letters()
		if len(letters) != 1 || letters[0].To.String() != alice.Email ||
			strings.Contains(letters[0].Text+letters[0].HTML, "evil") {
			t.Fatalf("P-12 %+v", letters)
		}
		token := s.Secret(linked(letters[0], "/reset/"))
		s.Do(apitest.Request{Method: "POST", Path: "/v1/password/reset",
			Body: apitest.Fields{"token": token, "new_password": s.Secret(nextPassword)}}).Want(204, "")
		if state, err := s.DB.OutboxState(t.Context()); err != nil || state.Waiting != 1 { // the notice
			t.Errorf("%+v %v", state, err)
		}
	})
}

// Without mail there is nothing of all that.
func TestWithoutMail(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, path := range []string{"/v1/password/forgot", "/v1/password/reset", "/v1/email/verification",
			"/v1/email/verify", "/forgot", "/reset", "/verify"} {
			post(s, path, apitest.Fields{"email": "alice@example.test"}).Want(404, "not_found")
		}
		for _, path := range []string{"/forgot", "/reset", "/reset/x", "/verify", "/verify/x"} {
			s.Do(apitest.Request{Path: path}).Want(404, "not_found")
		}
		var doc struct{ Paths map[string]any }
		s.Do(apitest.Request{Path: "/openapi.json"}).Want(200, "").JSON(&doc)
		if len(doc.Paths) < 30 || doc.Paths["/v1/password/forgot"] != nil || doc.Paths["/reset/{token}"] != nil {
			t.Errorf("%d paths", len(doc.Paths))
		}
		if page := s.Browser().Open("/login"); strings.Contains(string(page.Body), "forgot") {
			t.Error("the login page has a link to what there is not")
		}
		alice := s.SignUp("alice")
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: s.Login(alice).Access,
			Body: apitest.Fields{"name": "A"}}).Want(200, "")
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("%+v", sent)
		}
	}, apitest.WithoutMail)
}

// P-14: what a copy of the database holds in the middle of a reset and of a proof redeems nothing.
func TestP14ADumpRedeemsNothing(t *testing.T) {
	sqltest.EachURL(t, func(t *testing.T, at string) {
		s := apitest.New(t, apitest.Options{DB: apitest.Open(t, at)})
		s.Replicas[0].Accounts.Verification = userstore.VerificationOptional
		alice := s.SignUp("alice")
		var secrets []string
		look := func(when string) {
			dump := sqltest.Dump(t, at)
			if len(dump) < 1000 {
				t.Fatalf("the dump has %d bytes", len(dump))
			}
			for _, secret := range secrets {
				if bytes.Contains(dump, []byte(secret)) {
					t.Errorf("P-14 %s the database holds %q", when, secret)
				}
			}
		}
		secrets = append(secrets, forgot(s, "nobody@example.test"))
		s.Advance(2 * time.Minute)
		secrets = append(secrets, forgot(s, alice.Email))
		look("while it waits")
		var reset string
		for _, mail := range s.Mails() {
			if mail.Message.Kind == outbox.ResetPassword {
				reset = mail.Token()
			}
			secrets = append(secrets, mail.Token(), mail.Token()[len(mail.Message.ID)+1:], mail.Code)
		}
		if len(secrets) < 8 {
			t.Fatalf("%d secrets: not both messages were sent", len(secrets))
		}
		look("when it was sent")
		post(s, "/v1/password/reset", apitest.Fields{"token": reset, "new_password": s.Secret(nextPassword)}).Want(204, "")
		look("when it was used")
	})
}
