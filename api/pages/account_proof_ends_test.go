package pages_test

import (
	"net/url"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// What was proved in one session ends with a change of the factors or the password in another.
// The session that makes the change goes on.
func TestAProofEndsWithAChangeElsewhere(t *testing.T) {
	second := func(path string) string { return "/login/second?next=account%2F" + path }
	leads := func(t *testing.T, b *apitest.Browser, path, csrf string) {
		t.Helper()
		for _, q := range []apitest.Request{
			{Path: "/account/" + path},
			{Method: "POST", Path: "/account/" + path, Form: url.Values{"csrf": {csrf}}},
		} {
			if res := b.Send(q); res.Status != 303 || res.Header.Get("Location") != second(path) {
				t.Errorf("%s %s: %d %q %s", q.Method, q.Path, res.Status, res.Header.Get("Location"), res.Text())
			}
		}
	}
	changes := map[string]func(s *apitest.Server, own *apitest.Browser, alice *apitest.User){
		"a passkey is added": func(s *apitest.Server, own *apitest.Browser, _ *apitest.User) {
			p := own.Open("/account/passkeys").WantPage(200, "passkey-create")
			p.Submit("passkey-create", makePasskey(s, own, p, accountOptions, s.NewPasskey()).fields("other")).WantPage(200, "done")
		},
		"recovery codes are made": func(_ *apitest.Server, own *apitest.Browser, _ *apitest.User) {
			own.Open("/account/codes").Submit("codes-make", nil).WantPage(200, "recovery-codes")
		},
		"the password is changed, and sessions are kept": func(s *apitest.Server, own *apitest.Browser, alice *apitest.User) {
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
				own, other := s.Browser(), s.Browser()
				proveSecond(own.SignIn("/account", alice), app).WantPage(200, "to-security")
				proveSecond(other.SignIn("/account", alice), app).WantPage(200, "to-security")
				csrf := other.Open("/account/data").WantPage(200, "data-submit").Value("csrf")
				change(s, own, &alice)
				s.Unchanged(func() { leads(t, other, "data", csrf) })
				own.Open("/account/data").WantPage(200, "data-submit")
				own.Open("/account/delete").WantPage(200, "delete-submit")
				// Both go on with the next change.
				own.Open("/account/codes").Submit("codes-make", nil).WantPage(200, "recovery-codes")
				own.Open("/account/codes").Submit("codes-make", nil).WantPage(200, "recovery-codes")
				proveSecond(other.Open("/account/data"), app).WantPage(200, "data-submit")
				other.Open("/account/codes").Submit("codes-make", nil).WantPage(200, "recovery-codes")
				if res := own.Send(apitest.Request{Path: "/account/data"}); res.Header.Get("Location") != second("data") {
					t.Errorf("%d %q", res.Status, res.Header.Get("Location"))
				}
			}, apitest.WithoutMail)
		})
	}
}
