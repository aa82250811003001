package accountpages_test

import (
	"crypto/rand"
	"crypto/sha256"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// What was proved in one session ends with a change of the factors or the password in another.
// The session that makes the change goes on.
func TestAProofEndsWithAChangeElsewhere(t *testing.T) {
	type change func(s *apitest.Server, own *apitest.Browser, alice *apitest.User, app *apitest.App)
	changes := map[string]change{
		"a passkey is added": func(s *apitest.Server, own *apitest.Browser, _ *apitest.User, _ *apitest.App) {
			p := own.Open("/account/passkeys").WantPage(200, "passkey-create")
			made := makePasskey(s, own, p, accountOptions, s.NewPasskey())
			p.Submit("passkey-create", made.Fields("other")).WantPage(200, "done")
		},
		"a passkey is removed": func(_ *apitest.Server, own *apitest.Browser, _ *apitest.User, _ *apitest.App) {
			p := own.Open("/account/passkeys")
			p.Submit(removals(p)[0], nil).WantPage(200, "done")
		},
		"the app is replaced": func(s *apitest.Server, own *apitest.Browser, _ *apitest.User, app *apitest.App) {
			p := own.Open("/account/authenticator").Submit("totp-begin", nil).WantPage(200, "totp-confirm")
			*app = *scan(s, p)
			p.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(200, "done")
			s.Clock.Move(30 * time.Second) // the next code
		},
		"recovery codes are made": func(_ *apitest.Server, own *apitest.Browser, _ *apitest.User, _ *apitest.App) {
			own.Open("/account/codes").Submit("codes-make", nil).WantPage(200, "recovery-codes")
		},
		"the password is changed, and sessions are kept": func(
			s *apitest.Server, own *apitest.Browser, alice *apitest.User, _ *apitest.App,
		) {
			next := s.Secret("the next planted password")
			own.Open("/account/password").Submit("password-submit", map[string]string{
				"current_password": alice.Password, "new_password": next, "others": "",
			}).WantPage(200, "done")
			alice.Password = next
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				alice := s.SignUp("alice")
				app, _ := s.WithApp(alice)
				s.WithPasskey(alice)
				own, other := s.Browser(), s.Browser()
				proveSecond(own.SignIn("/account", alice), app).WantPage(200, "to-security")
				proveSecond(other.SignIn("/account", alice), app).WantPage(200, "to-security")
				csrf := other.Open("/account/data").WantPage(200, "data-submit").Value("csrf")
				change(s, own, &alice, app)
				s.Unchanged(func() { leadsToSecond(t, other, "data", csrf) })
				own.Open("/account/data").WantPage(200, "data-submit")
				own.Open("/account/delete").WantPage(200, "delete-submit")
				// Both go on with the next change.
				own.Open("/account/codes").Submit("codes-make", nil).WantPage(200, "recovery-codes")
				own.Open("/account/codes").Submit("codes-make", nil).WantPage(200, "recovery-codes")
				proveSecond(other.Open("/account/data"), app).WantPage(200, "data-submit")
				other.Open("/account/codes").Submit("codes-make", nil).WantPage(200, "recovery-codes")
				leadsToSecond(t, own, "data", "")
			}, apitest.WithoutMail)
		})
	}
}

// leadsToSecond checks that a page of the account, and its form with the token csrf, ask for a second
// factor first.
func leadsToSecond(t *testing.T, b *apitest.Browser, page, csrf string) {
	t.Helper()
	requests := []apitest.Request{{Path: "/account/" + page}}
	if csrf != "" {
		form := url.Values{"csrf": {csrf}}
		requests = append(requests, apitest.Request{Method: "POST", Path: "/account/" + page, Form: form})
	}
	for _, q := range requests {
		res, want := b.Send(q), "/login/second?next=account%2F"+page
		if res.Status != 303 || res.Header.Get("Location") != want {
			t.Errorf("%s %s: %d %q %s", q.Method, q.Path, res.Status, res.Header.Get("Location"), res.Text())
		}
	}
}

// What was proved in a session ends there, too, with a change that no session of a browser makes.
func TestAProofEndsWithAChangeOutsideTheBrowser(t *testing.T) {
	changes := map[string]func(t *testing.T, s *apitest.Server, alice apitest.User){
		"a passkey is added": func(_ *testing.T, s *apitest.Server, alice apitest.User) { s.WithPasskey(alice) },
		"an operator removes a passkey": func(t *testing.T, s *apitest.Server, alice apitest.User) {
			u, err := s.DB.UserByID(t.Context(), alice.ID)
			if err != nil {
				t.Fatal(err)
			}
			which := userstore.RemovedFactors{Passkey: factorsOf(s, alice).Passkeys[0].ID}
			err = s.Replicas[0].Accounts.RemoveFactors(t.Context(), u, which, true, userstore.KeepAll)
			if err != nil {
				t.Fatal(err)
			}
		},
		"an app of the user's makes recovery codes": func(t *testing.T, s *apitest.Server, alice apitest.User) {
			u, err := s.DB.UserByID(t.Context(), alice.ID)
			if err != nil {
				t.Fatal(err)
			}
			ctx := audit.As(t.Context(), audit.Actor{Type: audit.ByUser, ID: u.ID}, "app", "the session of a grant")
			if _, err := s.Replicas[0].Accounts.NewRecoveryCodes(ctx, u, userstore.KeepAll); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				alice := s.SignUp("alice")
				app, _ := s.WithApp(alice)
				s.WithPasskey(alice)
				b := s.Browser()
				proveSecond(b.SignIn("/account", alice), app).WantPage(200, "to-security")
				csrf := b.Open("/account/data").WantPage(200, "data-submit").Value("csrf")
				change(t, s, alice)
				leadsToSecond(t, b, "data", csrf)
				proveSecond(b.Open("/account/data"), app).WantPage(200, "data-submit")
			}, apitest.WithoutMail)
		})
	}
}

// A session that a version of before stored goes on. What was proved in it proves nothing of which
// password and factors it is about, so that the person is asked once more.
func TestAProofWithoutMarksIsAskedForOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		b := s.Browser()
		proveSecond(b.SignIn("/account", alice), app).WantPage(200, "to-security")
		csrf := b.Open("/account/data").WantPage(200, "data-submit").Value("csrf")
		storedBefore(t, s, b)
		b.Open("/account").WantPage(200, "to-security")
		leadsToSecond(t, b, "data", csrf)
		proveSecond(b.Open("/account/data"), app).WantPage(200, "data-submit")
		b.Open("/account/codes").Submit("codes-make", nil).WantPage(200, "recovery-codes")
		b.Open("/account/delete").WantPage(200, "delete-submit")
	}, apitest.WithoutMail)
}

// storedBefore takes from the proofs of a browser's session what versions of before did not store.
func storedBefore(t *testing.T, s *apitest.Server, b *apitest.Browser) {
	t.Helper()
	for name, value := range b.Cookies {
		if !strings.HasPrefix(name, "__Host-signet-session-") {
			continue
		}
		old := sha256.Sum256([]byte(value))
		session, u, err := s.DB.BrowserSession(t.Context(), old, s.Clock.Now(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		full, err := s.DB.UserByID(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		for n := range session.Proved {
			session.Proved[n].FactorVersion, session.Proved[n].PasswordMark = 0, nil
		}
		b.Cookies[name] = s.Secret(rand.Text())
		session.Hash = sha256.Sum256([]byte(b.Cookies[name]))
		err = s.DB.StartSession(t.Context(), userstore.StartSession{
			Session: session, PasswordHash: full.PasswordHash, Replaces: old,
			Second: userstore.SecondStep{FactorVersion: u.FactorVersion, Proved: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no session: %v", b.Cookies)
}
