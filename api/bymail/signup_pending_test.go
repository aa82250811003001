package bymail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// requiring is a server where accounts are made when the address is proved.
func requiring(t *testing.T, replicas int, fn func(t *testing.T, s *apitest.Server)) {
	apitest.Each(t, fn, func(o *apitest.Options) { o.Replicas = replicas }, apitest.Requiring)
}

// account is the account with this address; ok is false if there is none.
func account(s *apitest.Server, email string) (userstore.User, bool) {
	s.T.Helper()
	key, _ := userstore.EmailKey(email)
	u, err := s.DB.UserByLogin(s.T.Context(), userstore.Login{EmailKey: key})
	if err != nil && !errors.Is(err, userstore.ErrNotFound) {
		s.T.Fatal(err)
	}
	return u, err == nil
}

func loginFails(s *apitest.Server, u apitest.User) {
	s.T.Helper()
	post(s, "/v1/login", apitest.Fields{"email": u.Email, "password": u.Password}).Want(401, "invalid_credentials")
}

// again asks for another message, and returns its handle.
func again(s *apitest.Server, email string) (handle string) {
	s.T.Helper()
	s.Advance(time.Minute)
	var answer struct{ Handle string }
	post(s, "/v1/email/verification", apitest.Fields{"email": email}).Want(202, "").JSON(&answer)
	return answer.Handle
}

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
					Email             string `json:"email"`
					Verified          bool   `json:"email_verified"`
					Name              string `json:"given_name"`
					Username          string `json:"preferred_username"`
					Locale            string `json:"locale"`
					PreferredUsername string
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

// U-03, U-04: a sign-up with an address that has an account looks like any other, and its owner is told by mail.
func TestU03PendingSignUpsLookAlike(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		known, off := s.Operated("Known@example.test", true), s.Operated("off@example.test", true)
		if err := s.DB.SetActive(t.Context(), off.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		s.Operated("unverified@example.test", false)
		waiting, _ := s.SignUpPending("waiting@example.test")
		s.Mails()
		s.Advance(2 * time.Minute)
		type seen struct {
			status  int
			headers string
			length  int
		}
		var first seen
		s.Unchanged(func() {
			for i, email := range []string{
				"nobody@example.test", "known@EXAMPLE.test", "off@example.test", "unverified@example.test",
				waiting.Email, "root@localhost",
			} {
				before := s.Hashes()
				res := post(
					s,
					"/v1/signup",
					apitest.Fields{"email": email, "password": s.Secret("planted password for " + email)},
				).Want(202, "")
				if n := s.Hashes() - before; n != 1 {
					t.Errorf("U-03 %s: %d passwords were hashed", email, n)
				}
				h := res.Header.Clone()
				h.Del("X-Request-Id")
				h.Del("Date")
				now := seen{res.Status, fmt.Sprint(h), len(res.Body)}
				if i == 0 {
					first = now
				} else if now != first {
					t.Errorf("U-03 %s: %+v, the unknown one %+v", email, now, first)
				}
			}
		})
		kinds := map[string]outbox.Kind{}
		for _, mail := range s.Mails() {
			kinds[mail.Contents.To] = mail.Kind
			if mail.Kind == outbox.AccountExists && (mail.Code != "" || mail.Link != "/forgot") {
				t.Errorf("%+v", mail)
			}
		}
		// To the address as its owner typed it, and in no other words for one that has to be proved.
		want := map[string]outbox.Kind{
			"nobody@example.test":     outbox.VerifyEmail,
			known.Email:               outbox.AccountExists,
			off.Email:                 outbox.AccountExists,
			"unverified@example.test": outbox.AccountExists,
			waiting.Email:             outbox.VerifyEmail,
			"root@localhost":          outbox.VerifyEmail,
		}
		if !reflect.DeepEqual(kinds, want) {
			t.Errorf("U-03 messages %v", kinds)
		}
	})
}

// U-03: handles and codes are refused alike, and tried as often, where an account has the address.
func TestU03HandlesOfPendingSignUpsAreTriedAlike(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		known := s.Operated("known@example.test", true)
		_, unknownHandle := s.SignUpPending("nobody@example.test")
		_, knownHandle := s.SignUpPending(known.Email)
		var code string
		for _, mail := range s.Mails() {
			if mail.Kind == outbox.VerifyEmail {
				code = mail.Code
			}
		}
		wrongCode := "00000000"
		if code == wrongCode {
			wrongCode = "00000001"
		}
		s.Unchanged(func() {
			for i := range 6 {
				var bodies []string
				for _, handle := range []string{unknownHandle, knownHandle} {
					res := post(
						s,
						"/v1/email/verify",
						apitest.Fields{"handle": handle, "code": wrongCode},
					).Want(400, "one_time_token_invalid")
					bodies = append(bodies, string(res.Body))
				}
				if bodies[0] != bodies[1] {
					t.Errorf("U-03 try %d: %s, %s", i, bodies[0], bodies[1])
				}
			}
			// The right one is too late now.
			post(
				s,
				"/v1/email/verify",
				apitest.Fields{"handle": unknownHandle, "code": code},
			).Want(400, "one_time_token_invalid")
		})
	})
}

// P-01, U-03: a network signs up so many times, whether or not the addresses have accounts.
func TestP01PendingSignUpsOfANetwork(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, r := range s.Replicas {
			r.Accounts.Throttle.SignupsPerNetwork = 4
		}
		known := s.Operated("known@example.test", true)
		for network, email := range map[string]string{"192.0.2.1": known.Email, "198.51.100.1": "nobody@example.test"} {
			signUp := func(i int) *apitest.Response {
				return s.Do(apitest.Request{Method: "POST", Path: "/v1/signup", Replica: i % 3, Header: from(network),
					Body: apitest.Fields{
						"email":    email,
						"password": s.Secret("planted password of a network of sign-ups"),
					}})
			}
			for i := range 4 {
				signUp(i).Want(202, "")
			}
			before := s.Hashes()
			limited(s, signUp(4), time.Hour)
			if now := s.Hashes(); now != before {
				t.Errorf("P-01 %d passwords were hashed", now-before)
			}
		}
		if sent := len(s.Mails()); sent != 2 {
			t.Errorf("P-01 %d messages", sent)
		}
	}, behindProxy, func(o *apitest.Options) {
		configure := o.Configure
		o.Configure = func(r *apitest.Replica) {
			configure(r)
			r.Accounts.Verification = userstore.VerificationRequired
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
		// A pending sign-up reserves no name. Of two that want one, who proves first has it, and the other
		// gets an account all the same.
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

// P-03: a stranger signed up with the address, before its owner and after. Whatever the owner does, the
// stranger gets nothing.
func TestP03AHostilePendingSignUp(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		ways := []string{
			"the stranger's link",
			"the owner's link and handle",
			"the owner's code",
			"the owner's password",
			"a link of their own",
			"a link of their own and the password",
		}
		for number, way := range ways {
			for _, hostileFirst := range []bool{true, false} {
				t.Run(fmt.Sprintf("P-03 %s, the stranger first: %t", way, hostileFirst), func(t *testing.T) {
					s := s.With(t)
					s.Advance(time.Hour)
					email := fmt.Sprintf("victim%d%t@example.test", number, hostileFirst)
					var stranger, owner apitest.User
					var strangers, owners string
					var strangerMail, ownerMail apitest.Mail
					both := []func(){
						func() {
							stranger, strangers = s.SignUpPending(email)
							strangerMail = s.MailOf(outbox.VerifyEmail)
						},
						func() {
							owner, owners = s.SignUpPending(email)
							ownerMail = s.MailOf(outbox.VerifyEmail)
						},
					}
					if !hostileFirst {
						both[0], both[1] = both[1], both[0]
					}
					both[0]()
					s.Advance(2 * time.Minute)
					both[1]()
					next := s.Secret("planted password by " + way + fmt.Sprint(hostileFirst))
					var body apitest.Fields
					switch way {
					case "the stranger's link":
						body = apitest.Fields{"token": strangerMail.Token(), "new_password": next}
					case "the owner's link and handle":
						body = apitest.Fields{"token": ownerMail.Token(), "handle": owners}
					case "the owner's code":
						body = apitest.Fields{"handle": owners, "code": ownerMail.Code}
					case "the owner's password":
						body = apitest.Fields{"token": strangerMail.Token(), "password": owner.Password}
					case "a link of their own":
						again(s, email)
						body = apitest.Fields{"token": s.MailOf(outbox.VerifyEmail).Token(), "new_password": next}
					default:
						again(s, email)
						body = apitest.Fields{"token": s.MailOf(outbox.VerifyEmail).Token(), "password": owner.Password}
					}
					token := apitest.Fields{"token": strangerMail.Token()}
					if strings.HasPrefix(way, "a link") {
						token = apitest.Fields{"token": body["token"]}
					}
					s.Unchanged(func() {
						for range 6 { // which costs nothing
							post(s, "/v1/email/verify", token).Want(409, "new_password_required")
						}
						_, other := s.SignUpPending(fmt.Sprintf("other%d%t@example.test", number, hostileFirst))
						s.Mails()
						post(s, "/v1/email/verify", token.With("handle", other)).Want(409, "new_password_required")
						post(
							s,
							"/v1/email/verify",
							token.With("password", "not a planted password"),
						).Want(403, "wrong_password")
						post(s, "/v1/email/verify", token.With("new_password", "short")).Want(400, "validation_error")
					})
					post(s, "/v1/email/verify", body).Want(204, "")
					if body["new_password"] != nil {
						owner.Password = next
					}
					loginFails(s, stranger)
					s.Login(owner)
					for _, late := range []apitest.Fields{
						{"handle": strangers, "code": strangerMail.Code},
						{"token": strangerMail.Token(), "handle": strangers},
						{"token": strangerMail.Token(), "new_password": next + "x"},
						{"token": ownerMail.Token(), "handle": strangers},
					} {
						s.Unchanged(func() { post(s, "/v1/email/verify", late).Want(400, "one_time_token_invalid") })
					}
				})
			}
		}
	})
}

// P-03: a message that is sent late, after the account it belonged to has come and gone, keeps nobody else's password.
func TestP03ALateMessageOfAPendingSignUp(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		owner, handle := s.SignUpPending("victim@example.test")
		late, err := s.DB.ClaimMessage(t.Context(), "late", s.Clock.Now(), s.Clock.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		again(s, owner.Email)
		post(
			s,
			"/v1/email/verify",
			apitest.Fields{"token": s.MailOf(outbox.VerifyEmail).Token(), "handle": handle},
		).Want(204, "")
		u, _ := account(s, owner.Email)
		if err := s.DB.DeleteUser(t.Context(), u.ID); err != nil {
			t.Fatal(err)
		}
		s.Advance(2 * time.Minute)
		if _, err := s.DB.PendingSignup(t.Context(), late.ID, s.Clock.Now()); !errors.Is(err, userstore.ErrNotFound) {
			t.Fatal(err)
		}
		stranger, _ := s.SignUpPending(owner.Email)
		if err := s.DB.RemoveMessage(t.Context(), late.ID); err != nil {
			t.Fatal(err)
		}
		late.At, late.EndsAt = s.Clock.Now(), s.Clock.Now().Add(time.Hour)
		contents, err := s.Replicas[0].Accounts.Contents(t.Context(), late.Message)
		if err != nil {
			t.Fatal(err)
		}
		post(
			s,
			"/v1/email/verify",
			apitest.Fields{"handle": handle, "code": contents.Code},
		).Want(409, "new_password_required")
		loginFails(s, stranger)
	})
}

// P-12: sign-ups are no way to send mail to somebody again and again, and nobody sees where they stop.
func TestP12PendingSignUpsShareTheBudgetOfAnAddress(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		s.Operated("known@example.test", true)
		for _, email := range []string{"known@example.test", "nobody@example.test"} {
			sent := 0
			for range 30 {
				s.SignUpPending(email)
				sent += len(s.Mails())
				s.Advance(10 * time.Minute)
			}
			if sent != 10 {
				t.Errorf("P-12 %d messages to %s in five hours, want 10", sent, email)
			}
		}
	})
}

// U-12, P-02: fifty sign-ups of one address at once on three replicas; then proofs at once. One account
// is made, and one of the messages goes out.
func TestU12PendingSignUpsAtOnce(t *testing.T) {
	requiring(t, 3, func(t *testing.T, s *apitest.Server) {
		for _, r := range s.Replicas {
			r.Accounts.Throttle.SignupsPerNetwork = 0
		}
		password := s.Secret("planted password of fifty sign-ups")
		var wait sync.WaitGroup
		for i := range 50 {
			wait.Go(func() {
				body := apitest.Fields{"email": "alice@example.test", "password": password}
				for { // a busy server is answered 503, and an app sends the request again
					res := s.Do(apitest.Request{Method: "POST", Path: "/v1/signup", Replica: i % 3, Body: body})
					if res.Status != http.StatusServiceUnavailable {
						res.Want(202, "")
						return
					}
				}
			})
		}
		wait.Wait()
		mail := s.MailOf(outbox.VerifyEmail)
		var won, unsure atomic.Int64
		for i := range 6 {
			wait.Go(func() {
				body := apitest.Fields{"token": mail.Token(), "password": password}
				if i >= 3 {
					body = apitest.Fields{"token": mail.Token(), "new_password": s.Secret(password + fmt.Sprint(i))}
				}
				for {
					res := s.Do(apitest.Request{Method: "POST", Path: "/v1/email/verify", Replica: i % 3, Body: body})
					switch res.Status {
					case 204:
						won.Add(1)
					case 503: // it may have made the account
						unsure.Add(1)
						continue
					default:
						res.Want(400, "one_time_token_invalid")
					}
					return
				}
			})
		}
		wait.Wait()
		users, err := s.DB.ListUsers(t.Context(), userstore.UserQuery{Limit: 10})
		if err != nil || len(users) != 1 || won.Load() > 1 || won.Load() == 0 && unsure.Load() == 0 {
			t.Errorf("U-12 P-02 %d accounts, %d proofs won, %v", len(users), won.Load(), err)
		}
		left, err := s.DB.PendingSignups(t.Context(), "alice@example.test", userstore.BrowserKey{}, s.Clock.Now(), 100)
		if err != nil || len(left) != 0 {
			t.Errorf("%d are left, %v", len(left), err)
		}
	})
}

// A proof, and an operator who makes an account with the address, at once: there is one account.
func TestAProofAndAnOperatorAtOnce(t *testing.T) {
	requiring(t, 3, func(t *testing.T, s *apitest.Server) {
		for round := range 6 {
			email := fmt.Sprintf("u%d@example.test", round)
			u, handle := s.SignUpPending(email)
			mail := s.MailOf(outbox.VerifyEmail)
			var wait sync.WaitGroup
			var proof *apitest.Response
			var byOperator error
			wait.Go(func() {
				body := apitest.Fields{"handle": handle, "code": mail.Code}
				proof = s.Do(apitest.Request{Method: "POST", Path: "/v1/email/verify", Body: body})
			})
			wait.Go(func() {
				_, byOperator = s.Replicas[1].Accounts.RegisterByOperator(t.Context(), userstore.OperatorUser{
					NewUser: userstore.NewUser{
						Email:    email,
						Password: s.Secret("planted password of the operator " + email),
					}})
			})
			wait.Wait()
			if proof.Status == 503 || errors.Is(byOperator, userstore.ErrUnavailable) ||
				errors.Is(byOperator, userstore.ErrOverloaded) { // a busy machine; either may have made the account
				continue
			}
			if (proof.Status == 204) == (byOperator == nil) {
				t.Errorf("proof %d, operator %v", proof.Status, byOperator)
			}
			if proof.Status == 204 {
				s.Login(u)
				continue
			}
			// The owner of the address is not shut out: the account is there, and the mailbox proves it.
			proof.Want(400, "one_time_token_invalid")
			loginFails(s, u)
			handle = again(s, email)
			next := s.Secret(nextPassword + email)
			post(
				s,
				"/v1/email/verify",
				apitest.Fields{"handle": handle, "code": s.MailOf(outbox.VerifyEmail).Code, "new_password": next},
			).Want(204, "")
			u.Password = next
			s.Login(u)
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

// A server that begins to demand proofs ends no session: accounts that were there stay, and so do their sessions.
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

// P-14: what a copy of the database holds of a pending sign-up redeems nothing, while its message waits,
// when it was sent and when the account was made.
func TestP14ADumpOfAPendingSignUpRedeemsNothing(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{
		"sqlite": sqltest.SQLitePath, "postgres": sqltest.PostgresURL,
	} {
		t.Run(name, func(t *testing.T) {
			at := url(t)
			s := apitest.New(
				t,
				apitest.Options{
					DB:        apitest.Open(t, at),
					Configure: func(r *apitest.Replica) { r.Accounts.Verification = userstore.VerificationRequired },
				},
			)
			u, handle := s.SignUpPending("alice@example.test")
			s.Advance(time.Minute)
			secrets := []string{u.Password, handle, again(s, u.Email)}
			look := func(when string) {
				dump := sqltest.Dump(t, at)
				if !bytes.Contains(dump, []byte("pending_signups")) && !bytes.Contains(dump, []byte(u.Email)) {
					t.Fatalf("the dump of %d bytes shows no sign-up", len(dump))
				}
				for _, secret := range secrets {
					if bytes.Contains(dump, []byte(secret)) ||
						bytes.Contains(dump, []byte(strings.TrimLeft(secret, "sr"))) {
						t.Errorf("P-14 %s the database holds %q", when, secret)
					}
				}
			}
			look("while it waits")
			mails := s.Mails()
			if len(mails) != 2 {
				t.Fatalf("%d messages", len(mails))
			}
			for _, mail := range mails {
				secrets = append(secrets, mail.Token(), mail.Token()[len(mail.Message.ID)+1:], mail.Code)
			}
			look("when it was sent")
			post(s, "/v1/email/verify", apitest.Fields{"token": mails[1].Token(), "handle": handle}).Want(204, "")
			look("when it was used")
		})
	}
}

// What people read leads to the issuer, and a letter about an account that exists holds no token.
func TestTheLettersOfSignUps(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		s.Replicas[0].Mail.Now = func(context.Context) (time.Time, error) { return s.Clock.Now(), nil }
		s.Operated("known@example.test", true)
		for _, email := range []string{"known@example.test", "nobody@example.test"} {
			s.Do(apitest.Request{Method: "POST", Path: "/v1/signup", Host: "evil.test",
				Header: http.Header{"X-Forwarded-Host": {"evil.test"}},
				Body: apitest.Fields{
					"email":      email,
					"password":   s.Secret("planted password for " + email),
					"given_name": "BUY THINGS at evil.test",
				}}).
				Want(202, "")
			letters := s.Letters()
			if len(letters) != 1 || letters[0].To.String() != email {
				t.Fatalf("%+v", letters)
			}
			text := letters[0].Text + letters[0].HTML + letters[0].Subject.String()
			known := strings.Contains(letters[0].Text, "there is an account with this address already") &&
				strings.Contains(letters[0].Text, apitest.IssuerURL+"/forgot\r") &&
				!strings.Contains(text, "/verify/")
			if known != strings.HasPrefix(email, "known") || strings.Contains(text, "evil") ||
				strings.Contains(text, "BUY") {
				t.Errorf("%s", text)
			}
			_, rest, _ := strings.Cut(letters[0].Text, apitest.IssuerURL+"/verify/")
			token, _, _ := strings.Cut(rest, "\r")
			if token != "" {
				s.Secret(token)
			}
		}
	})
}
