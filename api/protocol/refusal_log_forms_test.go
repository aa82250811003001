package protocol_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

// The line names the client even where the request is refused before its body is read.
func TestARefusedBodyNamesTheClientOfTheHeader(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		header := http.Header{
			"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("web:"+url.QueryEscape(f.web.Secret)))}}
		const form = "application/x-www-form-urlencoded"
		for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/par"} {
			for name, q := range map[string]apitest.Request{
				"JSON":              {Path: path, Body: `{"token": "x"}`, Type: "application/json"},
				"another charset":   {Path: path, Body: "token=x", Type: form + "; charset=iso-8859-1"},
				"no form":           {Path: path, Body: "token=%zz", Type: form},
				"in the address":    {Path: path + "?token=x", Body: "token=x", Type: form},
				"more than 64 KiB":  {Path: path, Body: "token=" + strings.Repeat("x", 70<<10), Type: form},
				"a parameter twice": {Path: path, Body: "token=x&token=y&scope=x&scope=y&grant_type=x&grant_type=y", Type: form},
			} {
				q.Method, q.Header = http.MethodPost, header
				if a := s.Do(q); name != "more than 64 KiB" &&
					(a.Status/100 != 4 || !strings.Contains(logLine(s, a), " client_id=web reason=")) {
					t.Errorf("%s %s: %d, %s", path, name, a.Status, logLine(s, a))
				}
			}
		}
	})
}

// The pages name the app that a refused form belongs to, with the reason.
func TestRefusalsOfThePagesNameTheClientInTheLog(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		const web = " client_id=web redirect_uri=https://web.test/cb reason="
		want := func(name string, p *apitest.Page, status int, start string) {
			t.Helper()
			if got := logLine(s, p.Response); p.Status != status || !strings.HasPrefix(got, start) || got == start {
				t.Errorf("%s: answered %d, logged %s", name, p.Status, got)
			}
		}
		for name, path := range map[string]string{
			"short": apitest.AuthorizePath(f.web),
			"long":  apitest.AuthorizePath(f.web, apitest.Param("state", strings.Repeat("s", 4000))),
		} {
			b := s.Browser()
			p := b.Open(path).WantPage(http.StatusOK, "login-submit")
			typed := map[string]string{"email": f.alice.Email, "password": "a wrong password"}
			want(name+": a wrong password", p.Submit("login-submit", typed), http.StatusForbidden,
				"code=invalid_credentials"+web)
			want(name+": nothing typed", p.Submit("login-submit", map[string]string{"email": "", "password": ""}),
				http.StatusBadRequest, "code=validation_error"+web)
			want(name+": a forged form", p.Submit("login-submit", map[string]string{"csrf": "x"}), http.StatusForbidden,
				"code=csrf"+web)

			other := s.Browser()
			other.Open("/login")
			want(name+": another browser", other.Send(p.Form("login-submit", typed)), http.StatusBadRequest,
				"code=other_browser"+web)
			want(name+": no cookies", s.Browser().Send(p.Form("login-submit", typed)), http.StatusForbidden,
				"code=cookies_off"+web)
			garbage := p.Form("login-submit", typed)
			garbage.Form.Set("request", garbage.Form.Get("request")+"AAAA")
			want(name+": a changed handle", b.Send(garbage), http.StatusBadRequest, "code=request_invalid reason=")

			signup := b.Open(path)
			if signup.Has("to-signup") {
				signup = signup.Submit("to-signup", nil)
			} else {
				signup = b.Open(signup.Link("/signup"))
			}
			signup.WantPage(http.StatusOK, "signup-submit")
			want(name+": a sign-up that is refused",
				signup.Submit("signup-submit", map[string]string{"email": "x", "password": "short"}),
				http.StatusBadRequest, "code=validation_error"+web)

			s.Advance(2 * time.Hour)
			want(name+": the login two hours later", p.Submit("login-submit", typed), http.StatusBadRequest,
				"code=request_expired"+web)
			want(name+": the sign-up two hours later", signup.Submit("signup-submit", typed), http.StatusBadRequest,
				"code=request_expired"+web)
			consent := b.SignIn(path, f.alice).WantPage(http.StatusOK, "consent-approve")
			s.Advance(2 * time.Hour)
			want(name+": the consent two hours later", consent.Submit("consent-approve", nil), http.StatusBadRequest,
				"code=request_expired"+web)

			s.Advance(25 * time.Hour)
			want(name+": a day later", p.Submit("login-submit", typed), http.StatusBadRequest, "code=request_expired"+web)
		}
	})
}

// The pages of the account have the same line, with no app in it.
func TestRefusalsOfTheAccountPagesHaveTheirReasonInTheLog(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		b := s.SignedIn(alice)
		const wrong = apitest.WrongPassword
		for _, c := range []struct {
			page, button string
			typed        map[string]string
			status       int
			code         string
		}{
			{"/account/profile", "profile-submit", map[string]string{"birthdate": "yesterday"}, http.StatusBadRequest,
				"validation_error"},
			{"/account/address", "address-submit", map[string]string{"email": "x@example.test", "current_password": wrong},
				http.StatusForbidden, "wrong_password"},
			{"/account/address", "address-submit", map[string]string{"email": "x@example.test"}, http.StatusForbidden,
				"recent_proof_required"},
			{"/account/password", "password-submit",
				map[string]string{"current_password": alice.Password, "new_password": "short"}, http.StatusBadRequest,
				"validation_error"},
			{"/account/data", "data-submit", map[string]string{"current_password": wrong}, http.StatusForbidden,
				"wrong_password"},
			{"/account/delete", "delete-submit", map[string]string{"current_password": wrong}, http.StatusForbidden,
				"wrong_password"},
			{"/account/profile", "profile-submit", map[string]string{"csrf": "x"}, http.StatusForbidden, "csrf"},
		} {
			p := b.Open(c.page).Submit(c.button, c.typed)
			want := "code=" + c.code + " reason="
			if got := logLine(s, p.Response); p.Status != c.status || !strings.HasPrefix(got, want) || got == want {
				t.Errorf("%s, %s: answered %d, logged %s", c.page, c.code, p.Status, got)
			}
		}
	})
}
