package accountpages_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// accountPages are the pages of the account, each with the button that it has.
var accountPages = map[string]string{
	"/account": "", "/account/profile": "profile-submit", "/account/address": "address-submit",
	"/account/password": "password-submit",
	"/account/sessions": "", "/account/apps": "", "/account/activity": "", "/account/data": "data-submit",
	"/account/delete": "delete-submit", "/account/security": "", "/account/passkeys": "passkey-begin",
	"/account/authenticator": "totp-begin", "/account/codes": "", "/account/trusted": "",
}

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
