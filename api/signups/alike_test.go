package signups_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// U-03, U-04: a sign-up with an address that has an account looks like any other, and its owner is
// told by mail.
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
		var first string
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
				if now := shown(res); i == 0 {
					first = now
				} else if now != first {
					t.Errorf("U-03 %s: %s, the unknown one %s", email, now, first)
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

// What people read leads to the issuer, and a letter about an account that exists holds no token.
func TestTheLettersOfSignUps(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
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
			token := linked(letters[0], "/verify/")
			if (token == "") != known {
				t.Errorf("%s: the token is %q", email, token)
			}
			if token != "" {
				s.Secret(token)
			}
		}
	})
}
