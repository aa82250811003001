package pages_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// trusting lets people trust a browser for 30 days.
func trusting(r *apitest.Replica) { r.Issuer.TrustedBrowser = 720 * time.Hour }

// usePasskey presses the button that uses a passkey, as the script of the page does.
func usePasskey(
	t *testing.T, b *apitest.Browser, p *apitest.Page, button string, key *apitest.Passkey, more map[string]string,
) *apitest.Page {
	t.Helper()
	return p.Submit(button, passkeyAnswer(t, b, p, button, key, more))
}

// passkeyAnswer returns the fields that the script fills in.
func passkeyAnswer(
	t *testing.T, b *apitest.Browser, p *apitest.Page, button string, key *apitest.Passkey, more map[string]string,
) map[string]string {
	t.Helper()
	fresh := passkeyOptions(t, b, p, button)
	fields := map[string]string{"passkey": fresh.Handle, "response": string(key.Get(fresh.Options))}
	maps.Copy(fields, more)
	return fields
}

type options struct {
	Handle    string
	Options   json.RawMessage
	ExpiresIn int `json:"expires_in"`
}

func passkeyOptions(t *testing.T, b *apitest.Browser, p *apitest.Page, button string) (o options) {
	t.Helper()
	q := optionsRequest(p, button)
	a := b.Send(q)
	a.Want(200, "").JSON(&o)
	if o.Handle == "" || o.ExpiresIn != 300 || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%+v %v", o, a.Header)
	}
	return o
}

// optionsRequest is the request that the script makes: it sends the hidden fields.
func optionsRequest(p *apitest.Page, button string) apitest.Request {
	q := p.Form(button, nil)
	q.Path = "/login/passkey"
	for _, name := range []string{"passkey", "response", "email", "password", "trust", "stay"} {
		q.Form.Del(name)
	}
	q.Header = http.Header{"Accept": {"*/*"}}
	return q
}

// hasSession reports whether the browser has a cookie of a session.
func hasSession(b *apitest.Browser) bool { return cookieOf(b, "session") != "" }

func cookieOf(b *apitest.Browser, name string) string {
	for full, value := range b.Cookies {
		if strings.HasPrefix(full, "__Host-signet-"+name+"-") {
			return value
		}
	}
	return ""
}

// first opens an authorization request and types the password.
func first(b *apitest.Browser, path string, u apitest.User) *apitest.Page {
	return b.SignIn(path, u)
}

// wantStrength checks what an ID token says of the login.
func wantStrength(t *testing.T, tokens apitest.Tokens, acr string, at time.Time, amr ...string) {
	t.Helper()
	for name, token := range map[string]string{"ID token": tokens.ID, "access token": tokens.Access} {
		claims := apitest.Claims(token)
		var got []string
		list, _ := claims["amr"].([]any)
		for _, a := range list {
			got = append(got, fmt.Sprint(a))
		}
		slices.Sort(got)
		slices.Sort(amr)
		if claims["acr"] != acr || int64(claims["auth_time"].(float64)) != at.Unix() || !reflect.DeepEqual(got, amr) {
			t.Errorf("the %s says acr %v, auth_time %v, amr %v; want %s, %d, %v", name, claims["acr"], claims["auth_time"], got,
				acr, at.Unix(), amr)
		}
	}
}

func TestP05ThePasswordAloneOpensNothingAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		for _, way := range []string{"totp", "recovery_code", "passkey"} {
			t.Run(way, func(t *testing.T) {
				s := s.With(t)
				u := s.SignUp("alice-" + way)
				old := s.SignedIn(u) // a session from before there was a second factor
				app, codes := s.WithApp(u)
				key, _ := s.WithPasskey(u)
				b := s.Browser()
				var p *apitest.Page
				typed := s.Clock.Now()
				s.Unchanged(func() { p = first(b, authorizePath(c), u).WantPage(200, "second-passkey") })
				if hasSession(b) {
					t.Fatal("there is a session before the last step")
				}
				apitest.WantError(t, b.With(s).Open(authorizePath(c, set("prompt", "none"))), "login_required")
				b.With(s).Open("/account").WantPage(200, "login-submit")
				sessions, err := s.DB.ListBrowserSessions(t.Context(), u.ID, s.Clock.Now(), time.Time{})
				if err != nil || len(sessions) > 1 {
					t.Errorf("%d sessions: %v", len(sessions), err)
				}
				// The session of before stands for one factor, and says so.
				if p := old.With(s).Open(authorizePath(c, set("prompt", "none"))); p.To != "" {
					wantStrength(t, s.TokensOf(c, p), "1", typed, "pwd")
				}
				apitest.WantError(t, old.With(s).Open(authorizePath(c, set("prompt", "none", "acr_values", "2"))), "login_required")

				s.Clock.Move(time.Minute)
				amr := []string{"pwd", "otp", "mfa"}
				switch way {
				case "totp":
					p = b.With(s).Open(p.Link("/login/second?by=totp")).WantPage(200, "second-code")
					p = p.Submit("second-submit", map[string]string{"code": app.Code()})
				case "recovery_code":
					p = b.With(s).Open(p.Link("/login/second?by=recovery")).WantPage(200, "second-recovery-code")
					p = p.Submit("second-submit", map[string]string{"recovery_code": strings.ToUpper(codes[3])})
				case "passkey":
					proved := s.Clock.Now()
					p = usePasskey(t, b.With(s), p, "second-passkey", key, nil)
					amr, typed = []string{"pwd", "pop", "user", "mfa"}, proved
				}
				wantStrength(t, s.TokensOf(c, p), "2", typed, amr...)
				wantCode(t, b.With(s).Open(authorizePath(c, set("prompt", "none", "acr_values", "2"))))
			})
		}
	})
}

func TestSecondStepIsTakenByWhatTheAccountHas(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		app, key, both := s.SignUp("app"), s.SignUp("key"), s.SignUp("both")
		s.WithApp(app)
		s.WithPasskey(key)
		s.WithApp(both)
		s.WithPasskey(both)
		for _, c := range []struct {
			user  apitest.User
			asks  string
			links []string
		}{
			{app, "second-code", []string{"recovery_code"}},
			{key, "second-passkey", []string{"recovery_code"}},
			{both, "second-passkey", []string{"totp", "recovery_code"}},
		} {
			b := s.Browser()
			p := first(b, "/login", c.user).WantPage(200, c.asks)
			var links []string
			for _, by := range []string{"passkey", "totp", "recovery_code"} {
				if p.Link("/login/second?by="+by) != "" {
					links = append(links, by)
				}
			}
			if !slices.Equal(links, c.links) {
				t.Errorf("%s: links to %v, want %v", c.user.Email, links, c.links)
			}
			// A method that the account has not is no way.
			for _, by := range []string{"passkey", "totp", "none", "\x00"} {
				q, _ := url.Parse(p.Path)
				values := q.Query()
				values.Set("by", by)
				b.Open("/login/second?"+values.Encode()).WantPage(200, "")
			}
		}
	})
	t.Run("where there are no passkeys", func(t *testing.T) {
		apitest.Each(t, func(t *testing.T, s *apitest.Server) {
			u := s.SignUp("alice")
			s.WithApp(u)
			b := s.Browser()
			p := b.Open("/login").WantPage(200, "login-submit")
			if p.Has("login-passkey") || strings.Contains(p.Header.Get("Content-Security-Policy"), "connect-src") ||
				strings.Contains(string(p.Body), "webauthn") {
				t.Error("the login page offers passkeys")
			}
			p.Submit("login-submit", u.Credentials()).WantPage(200, "second-code")
			if a := b.Send(optionsRequest(b.Open("/login"), "login-submit")); a.Status != 409 {
				t.Errorf("options: %d", a.Status)
			}
		}, apitest.WithoutPasskeys)
	})
}

func TestSecondStepRefusesWhatIsNotRight(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u, other := s.SignUp("alice"), s.SignUp("bob")
		app, codes := s.WithApp(u)
		otherApp, otherCodes := s.WithApp(other)
		b := s.Browser()
		page := func() *apitest.Page { return first(b, "/login", u).WantPage(200, "second-code") }
		p := page()
		before := s.Clock.Now()
		for _, c := range []struct{ name, field, value, says string }{
			{"a wrong code", "code", app.Wrong(), "This code is wrong"},
			{"no code", "code", "", ""},
			{"another user's code", "code", otherApp.Code(), "This code is wrong"},
			{"a recovery code as a code", "code", codes[0], "This code is wrong"},
			{"a code of seven digits", "code", app.Wrong() + "1", "This code is wrong"},
			{"text", "code", "what?", "This code is wrong"},
			{"another user's recovery code", "recovery_code", otherCodes[0], "none of your"},
			{"a wrong recovery code", "recovery_code", "aaaaa-bbbbb-ccccc", "none of your"},
			{"no recovery code", "recovery_code", "", ""},
			{"spaces", "recovery_code", " - ", ""},
		} {
			fields := map[string]string{"by": "totp", c.field: c.value}
			if c.field == "recovery_code" {
				fields["by"] = c.field
			}
			var got *apitest.Page
			s.Unchanged(func() { got = p.Submit("second-submit", fields) })
			if got.Status != 403 && got.Status != 400 || !got.Has("second-submit") || hasSession(b) ||
				got.Value(c.field) != "" {
				t.Errorf("%s: %d %s", c.name, got.Status, got.Text())
			}
			if c.field == "code" && !got.Has("second-code-problem") ||
				c.field == "recovery_code" && !got.Has("second-recovery-code-problem") {
				t.Errorf("%s: nothing is said beside the field: %s", c.name, got.Text())
			}
		}
		s.Clock.Move(before.Sub(s.Clock.Now()) + 2*time.Minute)
		s.Advance(2 * time.Hour) // the budgets are full again
		page().Submit("second-submit", map[string]string{"code": app.Code()}).WantPage(200, "to-profile")
		if !hasSession(b) {
			t.Error("there is no session after a right code")
		}
	})
}

func TestSecondStepWaitsAndIsBlocked(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		app, codes := s.WithApp(u)
		b := s.Browser()
		p := first(b, "/login", u).WantPage(200, "second-code")
		var last *apitest.Page
		for range 20 {
			if last = p.Submit("second-submit", map[string]string{"code": app.Wrong()}); last.Status == 429 {
				break
			}
		}
		wait, err := strconv.Atoi(last.Header.Get("Retry-After"))
		if last.Status != 429 || err != nil || wait <= 0 || !last.Has("problems") || !last.Has("second-code") {
			t.Fatalf("%d %v %s", last.Status, last.Header, last.Text())
		}
		if want := fmt.Sprintf("Try again in %d", max(1, (wait+59)/60)); !strings.Contains(last.Text(), want) {
			t.Errorf("the page does not say %q: %s", want, last.Text())
		}
		// The right code waits as well.
		if got := p.Submit("second-submit", map[string]string{"code": app.Code()}); got.Status != 429 || hasSession(b) {
			t.Errorf("%d %s", got.Status, got.Text())
		}
		s.Advance(time.Hour)

		for {
			if err := s.DB.CountWrongCode(t.Context(), u.ID, userstore.MaxWrongCodes); err != nil {
				break
			}
		}
		p = first(b, "/login", u).WantPage(200, "second-recovery-code")
		if !strings.Contains(p.Text(), "Too many codes from the app were wrong") || p.Link("/login/second?by=totp") != "" {
			t.Errorf("%s", p.Text())
		}
		got := p.Submit("second-submit", map[string]string{"by": "totp", "code": app.Code()})
		if got.Status != 403 || hasSession(b) || !strings.Contains(got.Text(), "Too many codes from the app were wrong") ||
			strings.Count(got.Text(), "Too many codes") != 1 {
			t.Errorf("%d %s", got.Status, got.Text())
		}
		p.Submit("second-submit", map[string]string{"recovery_code": codes[0]}).WantPage(200, "to-profile")
	})
}

func TestP07P10AtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u := s.SignUp("alice")
		app, _ := s.WithApp(u)
		begin := func(b *apitest.Browser) *apitest.Page {
			return first(b, authorizePath(c), u).WantPage(200, "second-code")
		}
		over := func(t *testing.T, b *apitest.Browser, p *apitest.Page) {
			t.Helper()
			if p.Status != 403 || !p.Has("login-submit") || !strings.Contains(p.Text(), "Sign in again") || hasSession(b) {
				t.Fatalf("%d %s", p.Status, p.Text())
			}
			if p.Value("email") != u.Email {
				t.Errorf("the name is not filled in: %q", p.Value("email"))
			}
			// The pending request goes on.
			p = p.Submit("login-submit", u.Credentials()).WantPage(200, "second-code")
			wantCode(t, p.Submit("second-submit", map[string]string{"code": app.Code()}))
		}
		t.Run("a code counts once, also in another browser", func(t *testing.T) {
			s := s.With(t)
			one, two := s.Browser(), s.Browser()
			p, q := begin(one), begin(two)
			code := app.Code()
			wantCode(t, p.Submit("second-submit", map[string]string{"code": code}))
			if got := q.Submit("second-submit", map[string]string{"code": code}); got.Status != 403 || hasSession(two) {
				t.Errorf("%d %s", got.Status, got.Text())
			}
			wantCode(t, q.Submit("second-submit", map[string]string{"code": app.Code()}))
		})
		t.Run("a login is used once", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			wantCode(t, p.Submit("second-submit", map[string]string{"code": app.Code()}))
			if got := b.Open(p.Path); got.To == "" { // going back: nothing is asked, the request goes on
				t.Errorf("%d %s", got.Status, got.Text())
			}
			for name := range b.Cookies {
				if strings.Contains(name, "session") {
					delete(b.Cookies, name)
				}
			}
			over(t, b, p.Submit("second-submit", map[string]string{"code": app.Code()}))
		})
		t.Run("in another browser", func(t *testing.T) {
			s := s.With(t)
			p := begin(s.Browser())
			thief := s.Browser()
			thief.Open("/login")
			q := p.Form("second-submit", map[string]string{"code": app.Code()})
			for name, got := range map[string]*apitest.Page{"the page": thief.Open(p.Path), "the form": thief.Send(q)} {
				if got.Status != 400 || hasSession(thief) || !strings.Contains(got.Text(), "another browser") {
					t.Errorf("%s: %d %s", name, got.Status, got.Text())
				}
			}
			none := s.Browser()
			if got := none.Send(q); got.Status != 403 || hasSession(none) {
				t.Errorf("without cookies: %d %s", got.Status, got.Text())
			}
		})
		t.Run("after five minutes", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			s.Clock.Move(5 * time.Minute)
			s.Unchanged(func() { b.Open(p.Path).WantPage(403, "login-submit") })
			over(t, b, p.Submit("second-submit", map[string]string{"code": app.Code()}))
		})
		t.Run("after the factors changed", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			key, _ := s.WithPasskey(u)
			got := p.Submit("second-submit", map[string]string{"code": app.Code()})
			if got.Status != 403 || !got.Has("login-submit") || hasSession(b) {
				t.Errorf("%d %s", got.Status, got.Text())
			}
			removed, err := s.DB.SecondFactors(t.Context(), u.ID)
			if err != nil {
				t.Fatal(err)
			}
			stored, err := s.DB.UserByID(t.Context(), u.ID)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Replicas[0].Accounts.RemoveFactors(t.Context(), stored,
				userstore.RemovedFactors{Passkey: removed.Passkeys[0].ID}, false, userstore.KeepAll); err != nil {
				t.Fatal(err)
			}
			// A passkey that was removed logs nobody in.
			b = s.Browser()
			login := b.Open("/login")
			if got := usePasskey(t, b, login, "login-passkey", key, nil); got.Status != 403 || hasSession(b) {
				t.Errorf("%d %s", got.Status, got.Text())
			}
		})
		t.Run("for another request", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p, q := begin(b), begin(b)
			f := p.Form("second-submit", map[string]string{"code": app.Code(), "request": q.Value("request")})
			if got := b.Follow(f); got.To != "" || got.Status != 403 || hasSession(b) {
				t.Errorf("%d to %q: %s", got.Status, got.To, got.Text())
			}
			f.Form.Del("request")
			if got := b.Follow(f); got.To != "" || hasSession(b) {
				t.Errorf("%d to %q: %s", got.Status, got.To, got.Text())
			}
			// Both tabs go on, each with its own request.
			wantCode(t, p.Submit("second-submit", map[string]string{"code": app.Code()}))
			wantCode(t, q.Submit("second-submit", map[string]string{"code": app.Code()}))
		})
		t.Run("a handle of another kind", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			for _, handle := range []string{p.Value("request"), "x", strings.Repeat("A", 5000), p.Value("login") + "A"} {
				q := p.Form("second-submit", map[string]string{"code": app.Code(), "login": handle})
				if got := b.Send(q); got.Status != 400 || hasSession(b) {
					t.Errorf("%.20s: %d %s", handle, got.Status, got.Text())
				}
			}
			if got := b.Send(p.Form("second-submit", map[string]string{"login": ""})); hasSession(b) || got.Status/100 == 2 {
				t.Errorf("no login: %d", got.Status)
			}
		})
		t.Run("after the password changed", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			next := s.Secret("another planted password")
			if err := s.Replicas[0].Accounts.SetPassword(t.Context(), u.ID, next); err != nil {
				t.Fatal(err)
			}
			u.Password = next
			over(t, b, p.Submit("second-submit", map[string]string{"code": app.Code()}))
		})
		t.Run("of a user who is disabled", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			if err := s.DB.SetActive(t.Context(), u.ID, false, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			if got := p.Submit("second-submit", map[string]string{"code": app.Code()}); got.Status != 403 || hasSession(b) {
				t.Errorf("%d %s", got.Status, got.Text())
			}
		})
	})
}

func TestStepUpAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u := s.SignUp("alice")
		b := s.SignedIn(u)
		typed := s.Clock.Now()
		app, codes := s.WithApp(u) // other sessions go on
		two := set("acr_values", "2")
		essential := set("claims", `{"id_token":{"acr":{"essential":true,"values":["2"]}}}`)

		wantStrength(t, s.TokensOf(c, b.Open(authorizePath(c))), "1", typed, "pwd")
		for _, edit := range []func(url.Values){two, essential} {
			apitest.WantError(t, b.Open(authorizePath(c, edit, set("prompt", "none"))), "login_required")
			p := b.Open(authorizePath(c, edit)).WantPage(200, "second-code")
			if p.Has("second-trust") || p.Has("login-submit") {
				t.Errorf("%s", p.Text())
			}
			if got := p.Submit("second-submit", map[string]string{"code": app.Wrong()}); got.Status != 403 {
				t.Errorf("%d %s", got.Status, got.Text())
			}
		}
		s.Clock.Move(time.Minute)
		old := cookieOf(b, "session")
		p := b.Open(authorizePath(c, two)).WantPage(200, "second-code")
		form := p.Form("second-submit", map[string]string{"code": app.Code(), "trust": "yes"})
		wantStrength(t, s.TokensOf(c, b.Follow(form)), "2", typed, "pwd", "otp", "mfa")
		if now := cookieOf(b, "session"); now == old || now == "" || cookieOf(b, "trusted") != "" {
			t.Errorf("the cookie after a step-up is %q, was %q; trusted %q", now, old, cookieOf(b, "trusted"))
		}
		stale := s.Browser()
		maps.Copy(stale.Cookies, b.Cookies)
		for name := range stale.Cookies {
			if strings.Contains(name, "-session-") {
				stale.Cookies[name] = old
			}
		}
		stale.Open("/account").WantPage(200, "login-submit")
		p = b.Open(authorizePath(c, essential, set("prompt", "none")))
		wantStrength(t, s.TokensOf(c, p), "2", typed, "pwd", "otp", "mfa")
		// The form once more, from an old tab: nothing is asked, and the request has had its code.
		if got := b.Follow(form); got.Status != 400 || !strings.Contains(got.Text(), "finished before") {
			t.Errorf("%d %s", got.Status, got.Text())
		}

		t.Run("max_age and prompt=login ask for all factors again", func(t *testing.T) {
			s := s.With(t)
			b := b.With(s)
			s.Advance(10 * time.Minute)
			for name, edit := range map[string]func(url.Values){
				"max_age": set("max_age", "60"), "prompt": set("prompt", "login"),
			} {
				apitest.WantError(t, b.Open(authorizePath(c, set("max_age", "60", "prompt", "none"))), "login_required")
				p := b.Open(authorizePath(c, edit)).WantPage(200, "login-submit")
				again := s.Clock.Now()
				p = p.Submit("login-submit", u.Credentials()).WantPage(200, "second-code")
				s.Clock.Move(31 * time.Second)
				tokens := s.TokensOf(c, p.Submit("second-submit", map[string]string{"code": app.Code()}))
				wantStrength(t, tokens, "2", again, "pwd", "otp", "mfa")
				s.Advance(10 * time.Minute)
				if t.Failed() {
					t.Fatal(name)
				}
			}
		})
		t.Run("with a session that ended", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			first(b, "/login", u).Submit("second-submit", map[string]string{"code": app.Code()})
			for _, g := range []string{"the form", "the race"} {
				p := b.Open("/login/second?next=account%2Fpassword").WantPage(200, "second-code")
				q := p.Form("second-submit", map[string]string{"code": app.Code()})
				if _, err := s.Replicas[0].Accounts.RevokeSessions(t.Context(), u.ID, ""); err != nil {
					t.Fatal(err)
				}
				if got := b.Follow(q); !got.Has("login-submit") || !strings.Contains(got.Path, "next=account") {
					t.Errorf("%s: %d %s %s", g, got.Status, got.Path, got.Text())
				}
				b.Open("/account").WantPage(200, "login-submit")
				first(b, "/login", u).Submit("second-submit", map[string]string{"code": app.Code()})
			}
		})
		t.Run("proof for a page of the account", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			first(b, "/login", u).Submit("second-submit", map[string]string{"code": app.Code()})
			p := b.Open("/login/second?next=account%2Fpassword").WantPage(200, "second-code")
			if p.Has("second-trust") || p.Link("/login?") != "" {
				t.Errorf("%s", p.Text())
			}
			at := s.Clock.Now()
			s.Clock.Move(time.Second)
			p = b.Open(p.Link("/login/second?by=recovery")).WantPage(200, "second-recovery-code")
			p.Submit("second-submit", map[string]string{"recovery_code": codes[5]}).WantPage(200, "password-submit")
			sessions, err := s.DB.ListBrowserSessions(t.Context(), u.ID, s.Clock.Now(), time.Time{})
			if err != nil || !slices.ContainsFunc(sessions[0].Proofs(), func(f userstore.ProvedFactor) bool {
				return f.Factor == userstore.FactorRecoveryCode && f.At.After(at)
			}) {
				t.Errorf("%+v %v", sessions[0].Proofs(), err)
			}
			for path, id := range map[string]string{
				"/login/second": "to-profile", "/login/second?next=https://evil.test": "to-profile",
				"/login/second?next=login": "to-profile",
			} {
				b.Open(path).WantPage(200, id)
			}
			plain := s.SignedIn(s.SignUp("plain"))
			plain.Open("/login/second?next=account%2Fpassword").WantPage(200, "password-submit")
			s.Browser().Open("/login/second?next=account%2Fpassword").WantPage(200, "login-submit")
			s.Browser().Open("/login/second").WantPage(200, "login-submit")
		})
	})
}

func TestStayingSignedInSurvivesAStepUp(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		app, _ := s.WithApp(u)
		for stay, want := range map[string]bool{"yes": true, "": false} {
			b := s.Browser()
			fields := u.Credentials()
			fields["stay"] = stay
			age := func() (seconds int) {
				for _, c := range b.Set {
					if strings.Contains(c.Name, "-session-") {
						seconds = c.MaxAge
					}
				}
				return seconds
			}
			b.Open("/login").Submit("login-submit", fields).Submit("second-submit", map[string]string{"code": app.Code()})
			if (age() > 0) != want {
				t.Errorf("stay %q: the cookie lasts %d s", stay, age())
			}
			b.Open("/login/second?next=account").Submit("second-submit", map[string]string{"code": app.Code()})
			if (age() > 0) != want {
				t.Errorf("stay %q: after a step-up the cookie lasts %d s", stay, age())
			}
		}
	})
}

func TestTrustedBrowsersAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u, other := s.SignUp("alice"), s.SignUp("bob")
		app, _ := s.WithApp(u)
		otherApp, _ := s.WithApp(other)
		b := s.Browser()
		p := first(b, authorizePath(c), u).WantPage(200, "second-trust")
		if !strings.Contains(p.Text(), "Trust this browser for 30 days") {
			t.Errorf("%s", p.Text())
		}
		wantCode(t, p.Submit("second-submit", map[string]string{"code": app.Code(), "trust": "yes"}))
		secret := cookieOf(b, "trusted")
		if secret == "" {
			t.Fatal("the browser is not trusted")
		}
		for _, cookie := range b.Set {
			if strings.Contains(cookie.Name, "-trusted-") &&
				(cookie.MaxAge != 30*24*3600 || !cookie.HttpOnly || !cookie.Secure) {
				t.Errorf("%v", cookie)
			}
		}
		logOut := func() { b.Open("/logout").Submit("logout-confirm", nil) }
		logOut()
		s.Advance(time.Hour)
		at := s.Clock.Now()
		wantStrength(t, s.TokensOf(c, first(b, authorizePath(c), u)), "1", at, "pwd")
		logOut()
		for name, edit := range map[string]func(url.Values){
			"prompt=login": set("prompt", "login"), "max_age": set("max_age", "3600"), "acr_values": set("acr_values", "2"),
			"an essential acr": set("claims", `{"id_token":{"acr":{"essential":true,"value":"2"}}}`),
		} {
			p := first(b, authorizePath(c, edit), u)
			if !p.Has("second-code") || hasSession(b) {
				t.Errorf("%s: %d to %q %s", name, p.Status, p.To, p.Text())
			}
		}
		p = first(b, authorizePath(c, set("acr_values", "2")), u)
		at = s.Clock.Now()
		p = p.Submit("second-submit", map[string]string{"code": app.Code()})
		wantStrength(t, s.TokensOf(c, p), "2", at, "pwd", "otp", "mfa")
		logOut()
		// It is trusted for one user, and is another browser's by the cookie alone.
		first(b, "/login", other).WantPage(200, "second-code")
		thief := s.Browser()
		for name, value := range b.Cookies {
			if strings.Contains(name, "-trusted-") {
				thief.Cookies[name] = strings.ToUpper(value)
			}
		}
		first(thief, "/login", u).WantPage(200, "second-code")
		// Changed factors end the trust.
		s.WithPasskey(u)
		first(b, "/login", u).WantPage(200, "second-passkey")
		first(b, "/login", other).Submit("second-submit", map[string]string{"code": otherApp.Code()}).
			WantPage(200, "to-profile")
	}, apitest.Configured(trusting))
	t.Run("where there are none", func(t *testing.T) {
		apitest.Each(t, func(t *testing.T, s *apitest.Server) {
			u := s.SignUp("alice")
			app, _ := s.WithApp(u)
			b := s.Browser()
			p := first(b, "/login", u).WantPage(200, "second-code")
			if p.Has("second-trust") {
				t.Error("the choice is offered")
			}
			p.Submit("second-submit", map[string]string{"code": app.Code(), "trust": "yes"}).WantPage(200, "to-profile")
			if cookieOf(b, "trusted") != "" {
				t.Error("the browser is trusted")
			}
		})
	})
}

func TestFewRecoveryCodesAreTold(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u := s.SignUp("alice")
		_, codes := s.WithApp(u)
		for n, code := range codes {
			left := len(codes) - n - 1
			b := s.Browser()
			path := authorizePath(c, set("prompt", "login"))
			if n%2 == 1 {
				path = "/login?next=account%2Fpassword"
			}
			p := first(b, path, u).WantPage(200, "second-code")
			p = b.Open(p.Link("/login/second?by=recovery"))
			p = p.Submit("second-submit", map[string]string{"recovery_code": code})
			if left <= 3 {
				if p.WantPage(200, "codes-continue"); !strings.Contains(p.Text(), fmt.Sprintf("Recovery codes left: %d", left)) {
					t.Errorf("%d left: %s", left, p.Text())
				}
				if n%2 == 0 {
					p = p.Submit("codes-continue", nil)
				} else {
					p = b.Open(p.Link("/account/password"))
				}
			}
			if n%2 == 0 {
				wantCode(t, p)
			} else {
				p.WantPage(200, "password-submit")
			}
		}
		b := s.Browser()
		if p := first(b, "/login", u).WantPage(200, "second-code"); p.Link("/login/second?by=recovery") != "" {
			t.Error("recovery codes are offered, and none is left")
		}
		s.Browser().Open("/login/codes").WantPage(200, "login-submit")
		s.SignedIn(s.SignUp("plain")).Open("/login/codes").WantPage(200, "codes-continue")
	})
}

func TestA27A30A37AtTheSecondStep(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		app, _ := s.WithApp(u)
		b := s.Browser()
		p := first(b, "/login", u).WantPage(200, "second-code")
		q := p.Form("second-submit", map[string]string{"code": app.Code()})
		refused := func(name string, change func(*apitest.Request)) {
			t.Helper()
			sent := q
			sent.Form = maps.Clone(q.Form)
			change(&sent)
			s.Unchanged(func() {
				if got := b.Send(sent); got.Status != 403 || got.Header.Get("Location") != "" || hasSession(b) {
					t.Errorf("%s: %d %s", name, got.Status, got.Text())
				}
			})
		}
		refused("another site", func(q *apitest.Request) {
			q.Header = http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": nil}
		})
		refused("a foreign Origin", func(q *apitest.Request) {
			q.Header = http.Header{"Origin": {"https://evil.test"}, "Sec-Fetch-Site": nil}
		})
		refused("no token", func(q *apitest.Request) { q.Form.Del("csrf") })
		refused("a token of the login page", func(q *apitest.Request) { q.Form.Set("csrf", b.Open("/login").Value("csrf")) })
		refused("a token of another login", func(q *apitest.Request) {
			q.Form.Set("csrf", first(b, "/login", u).Value("csrf"))
		})
		// The options are asked for from our pages only.
		o := optionsRequest(b.Open("/login"), "login-passkey")
		o.Header = http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": nil}
		if got := b.Send(o); got.Status != 403 {
			t.Errorf("options for another site: %d", got.Status)
		}
		o.Header = nil
		o.Form.Set("csrf", p.Value("csrf"))
		if got := b.Send(o); got.Status != 403 {
			t.Errorf("options with the token of another form: %d", got.Status)
		}
		// Each step ends in a redirect, so that loading the page again sends nothing a second time.
		login := s.Browser()
		step := login.Send(login.Open("/login").Form("login-submit", u.Credentials()))
		if step.Status != http.StatusSeeOther || !strings.HasPrefix(step.Header.Get("Location"), "/login/second?login=") {
			t.Errorf("%d %s", step.Status, step.Header.Get("Location"))
		}
		if got := b.Send(q); got.Status != http.StatusSeeOther {
			t.Errorf("%d %s", got.Status, got.Text())
		}
	})
}

func TestSecondStepKeepsItsHandles(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u := s.SignUp("alice")
		app, codes := s.WithApp(u)
		for name, state := range map[string]string{"short": "x", "long": strings.Repeat("long ", 1000)} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				b := s.Browser()
				edit := set("state", state, "ui_locales", "fr")
				p := first(b, authorizePath(c, edit), u).WantPage(200, "second-code")
				if p.Header.Get("Content-Language") != "fr" {
					t.Errorf("the page speaks %s", p.Header.Get("Content-Language"))
				}
				p = p.Submit("language-submit", map[string]string{"language": "de"}).WantPage(200, "second-code")
				if p.Header.Get("Content-Language") != "de" || !p.Has("second-submit") || p.Value("login") == "" {
					t.Errorf("the page speaks %s: %s", p.Header.Get("Content-Language"), p.Text())
				}
				if name == "long" {
					p = p.Submit("second-recovery", nil)
				} else {
					p = b.Open(p.Link("/login/second?by=recovery"))
				}
				p = p.WantPage(200, "second-recovery-code").
					Submit("language-submit", map[string]string{"language": "en"}).WantPage(200, "second-recovery-code")
				p = p.Submit("second-submit", map[string]string{"recovery_code": codes[len(name)]})
				if q := p.Query(); q.Get("state") != state || q.Get("code") == "" {
					t.Errorf("%v", q)
				}
				// A step-up with the same request.
				b = s.Browser()
				first(b, "/login", u).Submit("second-submit", map[string]string{"code": app.Code()})
				p = b.Open(authorizePath(c, edit, set("prompt", "login"))).Submit("login-submit", u.Credentials())
				p = p.WantPage(200, "second-code").Submit("second-submit", map[string]string{"code": app.Code()})
				if q := p.Query(); q.Get("state") != state || q.Get("code") == "" {
					t.Errorf("%v", q)
				}
			})
		}
	})
}

func TestS01TextsAtTheSecondStep(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		s.WithApp(u)
		s.WithPasskey(u)
		b := s.Browser()
		p := first(b, "/login", u).WantPage(200, "second-passkey")
		login := b.Open("/login")
		for _, text := range apitest.Hostile {
			for _, field := range []string{"by", "code", "recovery_code", "login", "request", "show", "passkey", "response",
				"trust", "csrf"} {
				for _, by := range []string{"totp", "passkey", "recovery_code"} {
					q := p.Form("second-passkey", map[string]string{"by": by, "code": "x", "recovery_code": "", field: text})
					if got := b.Send(q); got.Status/100 == 3 || hasSession(b) {
						t.Errorf("%s=%.20q: %d %s", field, text, got.Status, got.Header.Get("Location"))
					}
				}
				q := login.Form("login-passkey", map[string]string{"passkey": "x", "response": "{}", field: text})
				if got := b.Send(q); got.Status/100 == 3 || hasSession(b) {
					t.Errorf("login %s=%.20q: %d", field, text, got.Status)
				}
				o := optionsRequest(p, "second-passkey")
				o.Form.Set(field, text)
				if got := b.Send(o); got.Status >= 500 {
					t.Errorf("options %s=%.20q: %d", field, text, got.Status)
				}
			}
			for _, name := range []string{"login", "request", "by", "next"} {
				if got := b.Open("/login/second?" + url.Values{name: {text}}.Encode()); hasSession(b) || got.To != "" {
					t.Errorf("?%s=%.20q: %d to %q", name, text, got.Status, got.To)
				}
			}
			b.Open("/login/codes?" + url.Values{"request": {text}, "next": {text}}.Encode())
		}
	})
}
