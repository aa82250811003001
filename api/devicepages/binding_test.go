package devicepages_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

// the forms are taken from our own pages only, in the browser that they were shown in.
func TestA27A28FormsOfADeviceFromElsewhere(t *testing.T) {
	eachStore(t, func(t *testing.T, s *apitest.Server) {
		c, b := tv(s), s.SignedIn(s.SignUp("alice"))
		a := begin(s, c, nil, nil)
		device := b.Open("/device").Form("device-submit", map[string]string{"user_code": a.UserCode})
		consent := typeCode(b, a.UserCode).WantPage(http.StatusOK, "device-approve").Form("device-approve", nil)
		for name, form := range map[string]apitest.Request{"device": device, "consent": consent} {
			for how, change := range map[string]func(q *apitest.Request){
				"a foreign Origin": func(q *apitest.Request) {
					q.Header = http.Header{"Origin": {"https://evil.test"}, "Sec-Fetch-Site": nil}
				},
				"Origin: null":         func(q *apitest.Request) { q.Header = http.Header{"Origin": {"null"}, "Sec-Fetch-Site": nil} },
				"cross-site":           func(q *apitest.Request) { q.Header = http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": nil} },
				"without a token":      func(q *apitest.Request) { q.Form.Del("csrf") },
				"with another's token": func(q *apitest.Request) { q.Form.Set("csrf", s.Browser().Open("/device").Value("csrf")) },
			} {
				q := form
				q.Form = maps.Clone(form.Form)
				change(&q)
				if p := b.Send(q); p.Status != http.StatusForbidden || p.Header.Get("Location") != "" {
					t.Errorf("%s, %s: %d %s", name, how, p.Status, p.Text())
				}
			}
		}
		// An address with everything in it allows nothing: only a form that is posted does.
		b.Send(apitest.Request{Path: consent.Path + "?" + consent.Form.Encode()})
		b.Send(apitest.Request{Path: device.Path + "?" + device.Form.Encode()})
		poll(s, c, a).Want(http.StatusBadRequest, "authorization_pending")
		if p := b.Send(device); p.Status != http.StatusSeeOther {
			t.Errorf("the genuine form: %d %s", p.Status, p.Text())
		}
	})
}

// what one browser began goes on in no other, and what alice was asked is not answered
// by bob.
func TestA30A31ADeviceIsAnsweredByThePersonWhoWasAsked(t *testing.T) {
	eachStore(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), tv(s)
		b, other := s.SignedIn(alice), s.SignedIn(bob)
		a := begin(s, c, nil, nil)
		page := typeCode(b, a.UserCode).WantPage(http.StatusOK, "device-approve")
		form := page.Form("device-approve", nil)
		if p := other.Open(page.Path); p.Status != http.StatusBadRequest || !strings.Contains(p.Text(), "another browser") {
			t.Errorf("the address in another browser: %d %s", p.Status, p.Text())
		}
		if p := other.Send(form); p.Status != http.StatusBadRequest {
			t.Errorf("the form in another browser: %d %s", p.Status, p.Text())
		}
		b.Open("/login?request="+form.Form.Get("request")).Submit("login-submit", bob.Credentials())
		if p := b.Send(form); p.Status != http.StatusForbidden || !strings.Contains(p.Text(), "Signed in as "+bob.Email) {
			t.Errorf("alice's form in bob's session: %d %s", p.Status, p.Text())
		}
		poll(s, c, a).Want(http.StatusBadRequest, "authorization_pending")
		t.Run("hidden fields of the sender's own count for nothing", func(t *testing.T) {
			s := s.With(t)
			q := typeCode(b.With(s), a.UserCode).Form("device-approve", map[string]string{
				"scope": "openid admin", "user": alice.ID, "sub": alice.ID, "client_id": "signet", "device": "x", "user_code": "x",
			})
			b.With(s).Send(q).WantPage(http.StatusOK, "")
			s.Advance(10 * time.Second)
			var tokens apitest.Tokens
			poll(s, c, a).Want(http.StatusOK, "").JSON(&tokens)
			if apitest.Claims(tokens.Access)["sub"] != bob.ID || tokens.Scope != "openid email" {
				t.Errorf("%v %q", apitest.Claims(tokens.Access)["sub"], tokens.Scope)
			}
		})
	})
}

// a double submit, and two tabs that decide differently: the first decision counts.
func TestA31TwoDecisionsAboutOneDevice(t *testing.T) {
	eachStore(t, func(t *testing.T, s *apitest.Server) {
		c, b := tv(s), s.SignedIn(s.SignUp("alice"))
		t.Run("a double submit", func(t *testing.T) {
			s := s.With(t)
			b := b.With(s)
			a := begin(s, c, nil, nil)
			form := typeCode(b, a.UserCode).Form("device-approve", nil)
			var all sync.WaitGroup
			said := make([]string, 8)
			for n := range said {
				each := *b
				each.Cookies = maps.Clone(b.Cookies)
				all.Go(func() { said[n] = each.Send(form).Text() })
			}
			all.Wait()
			for _, text := range said {
				if text != said[0] || !strings.Contains(text, "Your device has access") {
					t.Errorf("%q", text)
				}
			}
			poll(s, c, a).Want(http.StatusOK, "")
			if text := b.Send(form).Text(); text != said[0] { // which is still true, and gives nothing more
				t.Errorf("after the device has its tokens: %s", text)
			}
			s.Advance(10 * time.Second)
			poll(s, c, a).Want(http.StatusBadRequest, "invalid_grant")
		})
		for _, first := range []string{"device-approve", "device-deny"} {
			t.Run("another tab after "+first, func(t *testing.T) {
				s := s.With(t)
				b := b.With(s)
				a := begin(s, c, nil, nil)
				tab, other := typeCode(b, a.UserCode), typeCode(b, a.UserCode)
				tab.Submit(first, nil).WantPage(http.StatusOK, "")
				for _, second := range []string{"device-approve", "device-deny"} {
					if p := other.Submit(second, nil); p.Status != http.StatusBadRequest || !strings.Contains(p.Text(), "does not work any more") {
						t.Errorf("%s: %d %s", second, p.Status, p.Text())
					}
				}
				if want := map[string]int{"device-approve": 200, "device-deny": 400}[first]; poll(s, c, a).Status != want {
					t.Errorf("the device is not answered with %d", want)
				}
			})
		}
	})
}

// The second factor is asked for as in any login, and a browser that keeps no cookies is told so
// before the code is taken.
func TestADeviceOfAPersonWithASecondFactor(t *testing.T) {
	eachStore(t, func(t *testing.T, s *apitest.Server) {
		alice, c, b := s.SignUp("alice"), tv(s), s.Browser()
		app, _ := s.WithApp(alice)
		a := begin(s, c, nil, nil)
		p := typeCode(b, a.UserCode).Submit("login-submit", alice.Credentials())
		if p.Has("device-approve") {
			t.Error("the password alone leads to the page that allows")
		}
		p = p.Submit("second-submit", map[string]string{"code": app.Code()}).WantPage(http.StatusOK, "device-approve")
		p.Submit("device-approve", nil).WantPage(http.StatusOK, "")
		poll(s, c, a).Want(http.StatusOK, "")

		without := s.Browser()
		without.NoCookies = true
		if p := without.Open("/device?user_code=" + a.UserCode); p.Status != http.StatusForbidden || !strings.Contains(p.Text(), "Cookies are off") {
			t.Errorf("%d %s", p.Status, p.Text())
		}
		if q := (url.Values{"user_code": {a.UserCode}, "csrf": {"x"}}); without.Send(apitest.Request{
			Method: http.MethodPost, Path: "/device", Form: q,
		}).Status/100 != 4 {
			t.Error("a form without a cookie is taken")
		}
	})
}
