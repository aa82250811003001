package bymail_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/mail/mailtest"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// contents lists the addresses and the subjects of letters.
func contents(letters []mail.Letter) (out []string) {
	for _, l := range letters {
		out = append(out, l.To.String()+": "+l.Subject.String())
	}
	slices.Sort(out)
	return out
}

// Whoever changes a password or an address, the user hears of it, at the address that the account
// had; and of nothing that did not happen.
func TestUsersHearOfWhatHappened(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		_, admin := s.Admin("root")
		session := s.Login(alice)
		want := func(what string, letters ...string) []mail.Letter {
			t.Helper()
			got := s.Letters()
			if !slices.Equal(contents(got), letters) {
				t.Errorf("%s: %q, want %q", what, contents(got), letters)
			}
			return got
		}
		want("accounts that were made")
		edit := func(token, method, path string, body apitest.Fields) *apitest.Response {
			return s.Do(apitest.Request{Method: method, Path: path, Token: token, Body: body})
		}

		next := s.Secret("another planted password of alice")
		edit(session.Access, "POST", "/v1/profile/password",
			apitest.Fields{"current_password": "this is not the password", "new_password": next}).Want(403, "wrong_password")
		edit(session.Access, "POST", "/v1/profile/password",
			apitest.Fields{"current_password": alice.Password, "new_password": "short"}).Want(400, "validation_error")
		want("a password that was not changed")
		edit(session.Access, "PATCH", "/v1/profile", apitest.Fields{"locale": "de-CH", "given_name": "{{7*7}} <b>Buy</b>",
			"family_name": "visit evil.test"}).Want(200, "")
		want("an edit of something else")
		edit(session.Access, "POST", "/v1/profile/password",
			apitest.Fields{"current_password": alice.Password, "new_password": next}).Want(204, "")
		for _, l := range want("a password", "alice@example.test: Ihr Passwort wurde geändert") {
			if l.Language != "de" || !strings.Contains(l.Text, "2026-11-21 12:00 UTC") || !strings.Contains(l.Text, "Test") ||
				strings.Contains(l.Text+l.HTML, "Buy") || strings.Contains(l.Text+l.HTML, "evil") {
				t.Errorf("%s\n%s", l.Language, l.Text)
			}
		}
		edit(admin.Access, "POST", "/v1/admin/users/"+bob.ID+"/password",
			apitest.Fields{"new_password": s.Secret("a planted password that an admin set")}).Want(204, "")
		want("a password of an admin", "bob@example.test: Your password was replaced")

		session = s.Login(apitest.User{Email: alice.Email, Password: next, ID: alice.ID})
		edit(session.Access, "PATCH", "/v1/profile",
			apitest.Fields{"email": bob.Email, "current_password": next}).Want(400, "validation_error")
		edit(session.Access, "PATCH", "/v1/profile",
			apitest.Fields{"email": alice.Email, "current_password": next}).Want(200, "")
		edit(session.Access, "POST", "/v1/profile/email",
			apitest.Fields{"email": bob.Email, "current_password": next}).Want(202, "")
		want("an address that was not changed")
		edit(session.Access, "POST", "/v1/profile/email",
			apitest.Fields{"email": "buy-pills.test@evil.test", "current_password": next}).Want(202, "")
		asked := want("an address that is to be confirmed", "buy-pills.test@evil.test: Neue E-Mail-Adresse bestätigen")
		edit(session.Access, "POST", "/v1/profile/email/confirm",
			apitest.Fields{"token": s.Secret(linked(asked[0], "/change/"))}).Want(200, "")
		for _, l := range want("an address", "alice@example.test: Ihre E-Mail-Adresse wurde geändert") {
			s.Secret(linked(l, "/undo/"))
			if strings.Contains(l.Text+l.HTML, "evil") { // the new address is a stranger's text
				t.Errorf("it names the new address:\n%s", l.Text)
			}
		}
		edit(admin.Access, "PATCH", "/v1/admin/users/"+bob.ID,
			apitest.Fields{"email": "robert@example.test", "email_verified": true}).Want(200, "")
		want("an address by an admin", "bob@example.test: Your email address was replaced")
		edit(admin.Access, "PATCH", "/v1/admin/users/"+bob.ID, apitest.Fields{"is_active": false}).Want(200, "")
		want("nothing more")
	})
}

// P-14: what waits in the outbox holds no secret, while it waits and after.
func TestP14TheOutboxHoldsNoSecret(t *testing.T) {
	sqltest.EachURL(t, func(t *testing.T, url string) {
		db, err := sqlstore.Open(t.Context(), url, sqlstore.Options{MustExist: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		s := apitest.New(t, apitest.Options{DB: db})
		alice := s.SignUp("alice")
		next := s.Secret("another planted password of alice")
		session := s.Login(alice)
		s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: session.Access,
			Body: apitest.Fields{"current_password": alice.Password, "new_password": next}}).Want(204, "")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email", Token: session.Access,
			Body: apitest.Fields{"email": "moved@example.test", "current_password": next}}).Want(202, "")
		waiting, err := db.ListMessages(t.Context(), nil, 10)
		if err != nil || len(waiting) != 2 {
			t.Fatalf("%+v, %v", waiting, err)
		}
		look := func(when string) {
			dump := sqltest.Dump(t, url)
			for _, secret := range []string{alice.Password, next, session.Access, session.Refresh} {
				if bytes.Contains(dump, []byte(secret)) {
					t.Errorf("%s: the dump holds %q", when, secret)
				}
			}
			for _, content := range []string{"Your password was changed", "Contact", "text/html", "tell the people"} {
				if bytes.Contains(dump, []byte(content)) {
					t.Errorf("%s: the dump holds the content %q", when, content)
				}
			}
			if when == "waiting" && !bytes.Contains(dump, []byte(waiting[0].ID)) {
				t.Error("the search is blind")
			}
		}
		look("waiting")
		if n := len(s.Letters()); n != 2 {
			t.Errorf("%d letters", n)
		}
		look("sent")
		if left, err := db.ListMessages(t.Context(), nil, 10); err != nil || len(left) != 0 {
			t.Errorf("%+v, %v", left, err)
		}
	})
}

// P-15, F-37: no request waits for a mail server that is dead or says nothing, and none fails
// because of it.
func TestP15NoRequestWaitsForMail(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		held, release := make(chan struct{}, 16), make(chan struct{})
		silent := mailtest.Script(t, func(line string) string {
			if line == "" {
				held <- struct{}{}
				<-release
				return "421 closing"
			}
			return "250 fine"
		})
		for name, url := range map[string]string{"silent": silent, "dead": "smtp://127.0.0.1:1"} {
			way, err := mail.ParseSMTP(url)
			if err != nil {
				t.Fatal(err)
			}
			worker := s.Replicas[0].Mail
			worker.Way, worker.Poll, worker.AtOnce = way, time.Millisecond, 2
			ctx, stop := context.WithCancel(t.Context())
			worker.Lease = 2 * time.Hour // a send is cut off after one
			ended := make(chan struct{})
			go func() { defer close(ended); worker.Run(ctx) }()
			for n := range 6 {
				u := s.SignUp(name + string(rune('a'+n)))
				session := s.Login(u)
				// A request that waited for the mail server would never be answered.
				s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: session.Access,
					Body: apitest.Fields{"current_password": u.Password,
						"new_password": s.Secret("planted anew " + u.Password)}}).Want(204, "")
				if name == "silent" && n == 0 {
					<-held // the mail server has its connection, and says nothing
				}
			}
			if name == "silent" {
				close(release)
			}
			stop()
			<-ended
		}
		waiting, err := s.DB.ListMessages(t.Context(), nil, 100)
		if err != nil || len(waiting) != 12 {
			t.Errorf("%d messages wait, %v", len(waiting), err)
		}
	})
}
