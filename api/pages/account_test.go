package pages_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const wrongPassword = apitest.WrongPassword

// Short name of what tests of the account use.
var accountPages = apitest.AccountPages

func TestThePagesOfTheAccountLeadThroughTheLogin(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.AddressProved(alice)
		for path, button := range accountPages {
			t.Run(path, func(t *testing.T) {
				s := s.With(t)
				b := s.Browser()
				res := b.Send(apitest.Request{Path: path})
				if to := res.Header.Get("Location"); res.Status != 303 ||
					to != "/login?next="+url.QueryEscape(strings.TrimPrefix(path, "/")) {
					t.Fatalf("signed out: %d to %q", res.Status, to)
				}
				p := b.SignIn(path, alice).WantPage(200, button)
				if p.Path != path {
					t.Errorf("the login led to %s", p.Path)
				}
				if again := b.Open(path).WantPage(200, button); again.Path != path {
					t.Errorf("signed in: %s", again.Path)
				}
			})
		}
		t.Run("a wrong password does not forget where the login leads", func(t *testing.T) {
			b := s.With(t).Browser()
			p := b.Open("/account/apps").Submit("login-submit",
				map[string]string{"email": alice.Email, "password": wrongPassword}).WantPage(403, "login-submit")
			if p = p.Submit("login-submit", alice.Credentials()); p.Path != "/account/apps" || p.Status != 200 {
				t.Errorf("%d %s", p.Status, p.Path)
			}
		})
		t.Run("the root leads there", func(t *testing.T) {
			b := s.With(t).Browser()
			res := b.Send(apitest.Request{Path: "/"})
			if to := res.Header.Get("Location"); res.Status != 303 || to != "/account" {
				t.Errorf("%d to %q", res.Status, to)
			}
			if p := b.SignIn("/", alice); p.Path != "/account" || p.Status != 200 {
				t.Errorf("%d %s", p.Status, p.Path)
			}
		})
	})
}

// P-12: next names a page of ours from a list, or nothing.
func TestP12NextLeadsNowhereElse(t *testing.T) {
	for _, issuer := range []string{"https://id.test", "https://id.test/p"} {
		s := apitest.New(t, apitest.Options{IssuerURL: issuer})
		prefix := strings.TrimPrefix(issuer, "https://id.test")
		alice := s.SignUp("alice")
		for _, next := range []string{
			"https://evil.test/", "//evil.test", "/\\evil.test", "\\\\evil.test", "https:evil.test", "javascript:alert(1)",
			"data:text/html,x", "/account", "//account",
			"account/", "account/../logout", "account//evil.test", "account/nothing", "account/deleted", "account%2fapps",
			"ACCOUNT", "account\r\nSet-Cookie: a=b", "account?x=https://evil.test",
			"account#x", "@evil.test", "evil.test", "", " account", "account ", "logout", "v1/profile", "\x00account",
		} {
			b := s.Browser()
			query := "?next=" + url.QueryEscape(next)
			p := b.Open(prefix+"/login"+query).WantPage(200, "login-submit")
			if strings.Contains(string(p.Body), "evil.test") || strings.Contains(string(p.Body), "next=") {
				t.Errorf("%q is on the page", next)
			}
			q := p.Form("login-submit", alice.Credentials())
			q.Path += query // as a forged form would have it
			res := b.Send(q)
			if to := res.Header.Get("Location"); res.Status != 303 || to != prefix+"/account" {
				t.Errorf("next=%q: %d to %q", next, res.Status, to)
			}
		}
		// A request of an app goes before: next does not take it away.
		c := s.WebClient()
		b := s.Browser()
		p := b.Open(prefix+apitest.AuthorizePath(c)).WantPage(200, "login-submit")
		q := p.Form("login-submit", alice.Credentials())
		q.Path += "?next=account"
		if to := b.Send(q).Header.Get("Location"); !strings.HasPrefix(to, prefix+"/consent?request=") {
			t.Errorf("with a request: %q", to)
		}
		if q := p.Path; strings.Contains(q, "next") {
			t.Errorf("%s", q)
		}
	}
}

func account(s *apitest.Server, u apitest.User, b *apitest.Browser, path string) *apitest.Page {
	s.T.Helper()
	return b.Open(path).WantPage(200, accountPages[path])
}

func TestProfileAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		token := s.Login(alice).Access
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token, Body: apitest.Fields{
			"picture": "https://a.test/a.png", "gender": "x", "address": apitest.Fields{"country": "GB"}}}).Want(200, "")
		b := s.SignedIn(alice)
		p := account(s, alice, b, "/account/profile").Submit("profile-submit",
			map[string]string{"name": " Alice Ä ", "zoneinfo": "Europe/Berlin", "birthdate": "1990-01-31",
				"email": "evil@example.test", "roles": "admin"}).WantPage(200, "done")
		if p.Value("name") != "Alice Ä" || p.Value("zoneinfo") != "Europe/Berlin" {
			t.Errorf("name %q, zoneinfo %q", p.Value("name"), p.Value("zoneinfo"))
		}
		var got apitest.Fields
		s.Do(apitest.Request{Path: "/v1/profile", Token: token}).Want(200, "").JSON(&got)
		if got["name"] != "Alice Ä" || got["picture"] != "https://a.test/a.png" || got["gender"] != "x" ||
			got["address"] == nil || got["email"] != alice.Email || len(got["roles"].([]any)) != 0 {
			t.Errorf("%v", got)
		}
		s.Unchanged(func() {
			for field, value := range map[string]string{"birthdate": "yesterday", "phone_number": "x",
				"website": "javascript:alert(1)", "zoneinfo": "no where", "name": strings.Repeat("x", 5000)} {
				p := account(s, alice, b, "/account/profile").Submit("profile-submit", map[string]string{field: value}).
					WantPage(400, field+"-problem")
				if value != p.Value(field) && len(value) < 1000 {
					t.Errorf("%s: typed %q, shown %q", field, value, p.Value(field))
				}
			}
		})
	})
}

// P-06, U-25: an open browser moves no account.
func TestAddressAtThePageTakesThePassword(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		b := s.SignedIn(alice)
		change := func(fields map[string]string) *apitest.Page {
			return account(s, alice, b, "/account/address").Submit("address-submit", fields)
		}
		s.Unchanged(func() {
			change(map[string]string{"email": "new@example.test"}).WantPage(403, "current_password-problem")
			change(map[string]string{"username": "newname"}).WantPage(403, "current_password-problem")
			p := change(map[string]string{"email": "new@example.test", "current_password": wrongPassword}).
				WantPage(403, "current_password-problem")
			if p.Value("email") != "new@example.test" || p.Value("current_password") != "" {
				t.Errorf("%q, %q", p.Value("email"), p.Value("current_password"))
			}
			change(map[string]string{"email": bob.Email, "current_password": alice.Password}).WantPage(409, "email-problem")
			change(map[string]string{"email": "nonsense", "current_password": alice.Password}).WantPage(400, "email-problem")
			change(map[string]string{"email": "", "current_password": alice.Password}).WantPage(400, "email-problem")
			change(map[string]string{"username": "a b", "current_password": alice.Password}).WantPage(400, "username-problem")
			change(map[string]string{}).WantPage(200, "done") // nothing changes, so nothing is asked
		})
		change(map[string]string{"email": "new@example.test", "username": "newname", "current_password": alice.Password}).
			WantPage(200, "done")
		alice.Email = "new@example.test"
		s.Login(alice)
		for range 10 {
			change(map[string]string{"email": "x@example.test", "current_password": wrongPassword})
		}
		p := change(map[string]string{"email": "x@example.test", "current_password": alice.Password}).
			WantPage(429, "problems")
		if p.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}, apitest.WithoutMail) // else: TestChangeOfAddressAtThePages
}

func TestPasswordAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		b, other := s.SignedIn(alice), s.SignedIn(alice)
		app := s.Login(alice)
		next := s.Secret("the next planted password")
		change := func(fields map[string]string) *apitest.Page {
			return account(s, alice, b, "/account/password").Submit("password-submit", fields)
		}
		s.Unchanged(func() {
			change(map[string]string{"new_password": next}).WantPage(403, "current_password-problem")
			change(map[string]string{"new_password": next, "current_password": wrongPassword}).
				WantPage(403, "current_password-problem")
			change(map[string]string{"new_password": "short", "current_password": alice.Password}).
				WantPage(400, "new_password-problem")
			change(map[string]string{"current_password": alice.Password}).WantPage(400, "new_password-problem")
		})
		// Kept, and offered.
		p := change(map[string]string{"new_password": next, "current_password": alice.Password, "others": ""}).
			WantPage(200, "sessions-end-others")
		alice.Password = next
		s.Do(apitest.Request{Path: "/v1/profile", Token: app.Access}).Want(200, "")
		other.Open("/account").WantPage(200, "to-profile")
		p.Submit("sessions-end-others", nil).WantPage(200, "done")
		s.Do(apitest.Request{Path: "/v1/profile", Token: app.Access}).Want(401, "token_invalid")
		other.Open("/account").WantPage(200, "login-submit")
		b.Open("/account").WantPage(200, "to-profile")

		// Ended, as the form has it at first.
		other, app = s.SignedIn(alice), s.Login(alice)
		third := s.Secret("the third planted password")
		if p := change(map[string]string{"new_password": third, "current_password": alice.Password}).
			WantPage(200, "done"); p.Has("sessions-end-others") {
			t.Error("offers to end what has ended")
		}
		alice.Password = third
		s.Do(apitest.Request{Path: "/v1/profile", Token: app.Access}).Want(401, "token_invalid")
		s.Refresh(app.Refresh).Want(401, "token_invalid")
		other.Open("/account").WantPage(200, "login-submit")
		b.Open("/account").WantPage(200, "to-profile")
		s.Login(alice)
	})
}

// U-40, U-22: what one ends is one's own, and ends at once.
func TestU40SessionsAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		b, other, bobs := s.SignedIn(alice), s.SignedIn(alice), s.SignedIn(bob)
		app, bobsApp := s.Login(alice), s.Login(bob)
		other.Agent = "Mozilla/5.0 (Windows NT 10.0) <script>alert(1)</script> Firefox/140.0"
		p := account(s, alice, b, "/account/sessions")
		if n := strings.Count(string(p.Body), `id="session-end-`); n != 2 {
			t.Fatalf("%d sessions can be ended: %s", n, p.Text())
		}
		p.Submit("session-end-"+app.SessionID(), nil).WantPage(200, "done")
		s.Do(apitest.Request{Path: "/v1/profile", Token: app.Access}).Want(401, "token_invalid")
		s.Refresh(app.Refresh).Want(401, "token_invalid")

		t.Run("U-22 other people's are like sessions that never were", func(t *testing.T) {
			s := s.With(t)
			b := b.With(s)
			s.Unchanged(func() {
				for _, id := range []string{bobsApp.SessionID(), "AAAAAAAAAAAAAAAAAAAAAA", "", "%00", "' OR 1=1--",
					userstore.KeepAll} {
					q := account(s, alice, b, "/account/sessions").Form("sessions-end-others", nil)
					q.Form.Set("session", id)
					if res := b.Send(q); res.Status != 303 || res.Header.Get("Location") != "/account/sessions?done=ended" {
						t.Errorf("%q: %d %q", id, res.Status, res.Header.Get("Location"))
					}
				}
			})
			s.Do(apitest.Request{Path: "/v1/profile", Token: bobsApp.Access}).Want(200, "")
		})
		again := s.Login(alice)
		account(s, alice, b, "/account/sessions").Submit("sessions-end-others", nil).WantPage(200, "done")
		s.Do(apitest.Request{Path: "/v1/profile", Token: again.Access}).Want(401, "token_invalid")
		other.Open("/account").WantPage(200, "login-submit")
		b.Open("/account").WantPage(200, "to-profile")
		bobs.Open("/account").WantPage(200, "to-profile")
		if p := account(s, alice, b, "/account/sessions"); p.Has("sessions-end-others") {
			t.Error("offers to end others, of which there are none")
		}
	})
}

func TestU40AppsAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := s.Register(userstore.Client{ID: "web", Name: `<b>Photos</b>`})
		b, answer := s.Allowed(alice, c)
		tokens := s.TokensOf(c, answer)
		p := account(s, alice, b, "/account/apps")
		if !strings.Contains(p.Text(), "<b>Photos</b>") || !strings.Contains(p.Text(), "see your email address") {
			t.Errorf("%s", p.Text())
		}
		p.Submit("app-end-web", nil).WantPage(200, "done")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
		b.Open(apitest.AuthorizePath(c)).WantPage(200, "consent-approve") // asked again
		if p := account(s, alice, b, "/account/apps"); p.Has("app-end-web") {
			t.Error("the app is still there")
		}
		p.Submit("app-end-web", nil).WantPage(200, "done") // gone already: that is what was wanted
	})
}

func TestActivityAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, _ := s.Admin("root")
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": bob.Email, "password": wrongPassword}}).Want(401, "invalid_credentials")
		s.Advance(91 * 24 * time.Hour)
		b := s.SignedIn(alice)
		if text := account(s, alice, b, "/account/activity").Text(); strings.Contains(text, "Account created") ||
			!strings.Contains(text, "Signed in") {
			t.Errorf("91 days later: %s", text)
		}
		admin := s.Login(root, apitest.Fields{"scope": "profile admin"})
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/admin/users/" + alice.ID, Token: admin.Access,
			Header: http.Header{"User-Agent": {"Firefox/1 Windows"}},
			Body:   apitest.Fields{"zoneinfo": "Asia/Tokyo"}}).Want(200, "")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": alice.Email, "password": wrongPassword}}).Want(401, "invalid_credentials")
		text := account(s, alice, b, "/account/activity").Text()
		for _, want := range []string{"A sign-in failed", "Account changed", "by an administrator", "Time zone", "JST"} {
			if !strings.Contains(text, want) {
				t.Errorf("the page does not say %q: %s", want, text)
			}
		}
		if strings.Contains(text, "Windows") {
			t.Errorf("the page tells of the admin's browser: %s", text)
		}
	})
}

func TestDataAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		b := s.SignedIn(alice)
		s.Unchanged(func() {
			account(s, alice, b, "/account/data").Submit("data-submit", nil).WantPage(403, "current_password-problem")
			account(s, alice, b, "/account/data").Submit("data-submit",
				map[string]string{"current_password": wrongPassword}).WantPage(403, "current_password-problem")
		})
		p := account(s, alice, b, "/account/data").Submit("data-submit",
			map[string]string{"current_password": alice.Password})
		var doc struct {
			Profile  struct{ Sub string }
			Sessions []struct {
				Kind    string
				Current bool
			}
		}
		if err := json.Unmarshal(p.Body, &doc); err != nil || doc.Profile.Sub != alice.ID || len(doc.Sessions) != 1 ||
			!doc.Sessions[0].Current ||
			!strings.HasPrefix(p.Header.Get("Content-Disposition"), "attachment;") {
			t.Errorf("%v %+v %v", err, doc, p.Header)
		}
	})
}

func TestDeletionAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, _ := s.Admin("root")
		alice := s.SignUp("alice")
		b, other := s.SignedIn(alice), s.SignedIn(alice)
		app := s.Login(alice)
		s.Unchanged(func() {
			account(s, alice, b, "/account/delete").Submit("delete-submit", nil).WantPage(403, "current_password-problem")
			account(s, alice, b, "/account/delete").Submit("delete-submit",
				map[string]string{"current_password": wrongPassword}).WantPage(403, "current_password-problem")
		})
		roots := s.SignedIn(root)
		s.Unchanged(func() {
			account(s, root, roots, "/account/delete").Submit("delete-submit",
				map[string]string{"current_password": root.Password}).WantPage(409, "problems")
		})
		account(s, alice, b, "/account/delete").Submit("delete-submit",
			map[string]string{"current_password": alice.Password}).WantPage(200, "account-deleted")
		for _, browser := range []*apitest.Browser{b, other} {
			browser.Open("/account").WantPage(200, "login-submit")
		}
		s.Do(apitest.Request{Path: "/v1/profile", Token: app.Access}).Want(401, "token_invalid")
		if _, err := s.DB.UserByID(t.Context(), alice.ID); err == nil {
			t.Error("the account is there")
		}
	})
}

// Each form of the account belongs to its page, its user, its browser and its session.
func TestFormsOfTheAccountAreNoOneElses(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		s.AddressProved(alice)
		s.AddressProved(bob)
		b, bobs := s.SignedIn(alice), s.SignedIn(bob)
		fields := map[string]string{"name": "Mallory", "email": "m@example.test", "current_password": alice.Password,
			"new_password": apitest.GoodPassword + "!", "session": "others", "client": "web"}
		tokens := map[string]string{}
		for path, button := range accountPages {
			if button != "" {
				tokens[path] = bobs.Open(path).Value("csrf")
			}
		}
		s.Unchanged(func() {
			for path := range accountPages {
				if path == "/account" || path == "/account/activity" || path == "/account/security" {
					continue
				}
				for what, csrf := range map[string]string{"none": "", "another page's": "x", "another user's": tokens[path]} {
					form := url.Values{"csrf": {csrf}}
					if what == "another page's" {
						other := "/account/profile"
						if path == other {
							other = "/account/address"
						}
						form.Set("csrf", account(s, alice, b, other).Value("csrf"))
					}
					for name, value := range fields {
						form.Set(name, value)
					}
					if res := b.Send(apitest.Request{Method: "POST", Path: path, Form: form}); res.Status != 403 {
						t.Errorf("%s with the token of %s: %d", path, what, res.Status)
					}
					if res := b.Send(apitest.Request{Method: "POST", Path: path, Form: form,
						Header: http.Header{"Origin": {"https://evil.test"}, "Sec-Fetch-Site": {"cross-site"}}}); res.Status != 403 {
						t.Errorf("%s from elsewhere: %d", path, res.Status)
					}
				}
				stranger := s.Browser()
				if res := stranger.Send(apitest.Request{Method: "POST", Path: path,
					Form: url.Values{"csrf": {"x"}}}); res.Status != 303 ||
					!strings.HasPrefix(res.Header.Get("Location"), "/login?next=") {
					t.Errorf("%s signed out: %d", path, res.Status)
				}
			}
		})
	})
}

// What is done at the pages is in the audit log as the user's own act, in the browser's session.
func TestActsAtThePagesAreTheUsers(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		b := s.SignedIn(alice)
		q := account(s, alice, b, "/account/profile").Form("profile-submit", map[string]string{"nickname": "Al"})
		events := s.EventsOf(b.Send(q).Response)
		if len(events) != 1 || events[0].Name != audit.UserUpdated || events[0].Actor.Type != audit.ByUser ||
			events[0].Actor.ID != alice.ID || events[0].SessionID == "" {
			t.Errorf("%+v", events)
		}
	})
}

// The language chosen at the foot of a page of the account leads back to it.
func TestLanguageOnThePagesOfTheAccount(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice := s.SignUp("alice")
	b := s.SignedIn(alice)
	paths := []string{}
	for path := range accountPages {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for n, path := range paths {
		language := []string{"de", "en"}[n%2]
		if p := b.Open(path).Submit("language-submit", map[string]string{"language": language}); p.Path != path ||
			p.Header.Get("Content-Language") != language {
			t.Errorf("%s in %s: %s in %s", path, language, p.Path, p.Header.Get("Content-Language"))
		}
	}
}
