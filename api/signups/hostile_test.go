package signups_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// P-03: a stranger signed up with the address, before its owner and after. Whatever the owner does,
// the stranger gets nothing.
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

// P-03: a message that is sent late, after the account it belonged to has come and gone, keeps
// nobody else's password.
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

// P-14: what a copy of the database holds of a pending sign-up redeems nothing, while its message
// waits, when it was sent and when the account was made.
func TestP14ADumpOfAPendingSignUpRedeemsNothing(t *testing.T) {
	sqltest.EachURL(t, func(t *testing.T, at string) {
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
