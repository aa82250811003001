package secondpages_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// A login that waited for the setup of a second factor ends in a session only after the one change
// that set it up, once, and not after any other.
func TestP10ALoginThatWaitedForASetup(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		r := s.Replicas[0]
		r.Accounts.NotifyNewDevice = true
		waiting := func(u apitest.User) userstore.SecondLogin {
			stored, err := s.DB.UserByID(t.Context(), u.ID)
			if err != nil {
				t.Fatal(err)
			}
			return userstore.SecondLogin{
				UserID: u.ID, PasswordMark: stored.PasswordMark(), FactorVersion: stored.FactorVersion, At: s.Clock.Now(),
			}
		}
		handle := func(id string) userstore.Handle {
			return userstore.Handle{ID: id, EndsAt: s.Clock.Now().Add(5 * time.Minute)}
		}
		finish := func(l userstore.SecondLogin, h userstore.Handle) (issuer.Browser, string, error) {
			by := userstore.ProvedFactor{Factor: userstore.FactorApp, At: s.Clock.Now()}
			return r.Issuer.StartSetUpSession(t.Context(), l, by, h, issuer.PageLogin{Device: "a browser"})
		}
		over := func(what string, l userstore.SecondLogin, h userstore.Handle) {
			t.Helper()
			if _, secret, err := finish(l, h); !errors.Is(err, userstore.ErrStepOver) || secret != "" {
				t.Errorf("%s: %v", what, err)
			}
		}
		u := s.SignUp("alice")
		s.AddressProved(u)
		l := waiting(u)
		typed := l.At
		over("nothing is set up", l, handle("one"))
		s.WithApp(u)
		s.Advance(20 * time.Minute) // the account is no new one any more
		b, secret, err := finish(l, handle("one"))
		if err != nil || secret == "" {
			t.Fatal(err)
		}
		if got := b.Session; got.ACR != "2" || !got.AuthTime.Equal(typed) ||
			!reflect.DeepEqual(got.AMR, []string{"pwd", "otp", "mfa"}) {
			t.Errorf("%+v", got)
		}
		if mail := s.MailOf(outbox.NewDevice); mail.Contents.To != u.Email {
			t.Errorf("a message to %q", mail.Contents.To)
		}
		over("once more", l, handle("one"))
		s.WithPasskey(u)
		over("another factor was set up", l, handle("two"))

		u = s.SignUp("bob")
		l = waiting(u)
		s.WithApp(u)
		if err := r.Accounts.SetPassword(t.Context(), u.ID, s.Secret("another planted password")); err != nil {
			t.Fatal(err)
		}
		over("the password changed", l, handle("three"))

		u = s.SignUp("carol")
		l = waiting(u)
		s.WithApp(u)
		if err := s.DB.SetActive(t.Context(), u.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		if _, secret, err := finish(l, handle("four")); err == nil || secret != "" {
			t.Errorf("disabled: %v", err)
		}
		l.UserID = "nobody"
		over("the account is deleted", l, handle("five"))
	})
}

// Who sets a second factor up during a login has proved it.
func TestASetupDuringALoginIsAProof(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, b, p := toSetUp(s, "alice", "/account")
		p = chooseSetup(s, p, "setup-totp")
		app := scan(s, p)
		p.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(200, "recovery-codes")
		b.Open("/account/data").WantPage(200, "data-submit")
		b.Open("/account/codes").Submit("codes-make", nil).WantPage(200, "recovery-codes")
	}, apitest.WithoutMail)
}
