package pages_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

const languageName = "__Host-signet-language-2f4e5542"

func choose(language string) map[string]string { return map[string]string{"language": language} }

// wantLanguage tells whether a page is in a language, by its header and by the heading.
func wantLanguage(t *testing.T, p *apitest.Page, language, text string) *apitest.Page {
	t.Helper()
	if got := p.Header["Content-Language"]; !slices.Equal(got, []string{language}) {
		t.Errorf("%s: Content-Language %q, want %s", p.Path, got, language)
	}
	if !strings.Contains(p.Text(), text) {
		t.Errorf("%s says not %q: %q", p.Path, text, p.Text())
	}
	return p
}

func TestALanguageIsChosenAtTheFootAndKeepsTheRequest(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		for _, row := range []struct{ name, user, locales string }{{"the app asks for nothing", "bob", ""},
			{"the app asks for Polish", "carol", "pl"}} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				alice := s.SignUp(row.user)
				b := s.Browser()
				page := b.Open(authorizePath(c, set("ui_locales", row.locales))).WantPage(200, "login-submit")
				page = page.Submit("language-submit", choose("fr")).WantPage(200, "login-submit")
				wantLanguage(t, page, "fr", "Mot de passe")
				if _, q, _ := strings.Cut(page.Path, "?"); !strings.HasPrefix(q, "request=") || strings.ContainsAny(q, "&;") {
					t.Errorf("the address carries %s", q)
				}
				// It stays with what is wrong, and on the next page.
				page = page.Submit("login-submit",
					map[string]string{"email": alice.Email, "password": "not hers"}).WantPage(403, "login-submit")
				wantLanguage(t, page, "fr", "mot de passe incorrect")
				page = page.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve")
				wantLanguage(t, page, "fr", "Refuser")
				page = page.Submit("language-submit", choose("ar")).WantPage(200, "consent-approve")
				wantLanguage(t, page, "ar", "السماح")
				wantCode(t, page.Submit("consent-approve", nil))

				// The next request begins where the app wants, else where the person was.
				page = b.Open(authorizePath(c, set("ui_locales", row.locales), set("prompt", "login")))
				if row.locales == "" {
					wantLanguage(t, page, "ar", "كلمة المرور")
				} else {
					wantLanguage(t, page, "pl", "Hasło")
				}
				wantLanguage(t, b.Open("/logout").WantPage(200, "logout-confirm"), "ar", "تسجيل الخروج")
				if cookie := b.Cookies[languageName]; cookie != "ar" {
					t.Errorf("the cookie is %q", cookie)
				}
			})
		}
		t.Run("without a request, on every page", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			wantLanguage(t, b.Open("/login").Submit("language-submit", choose("de")).WantPage(200, "login-submit"),
				"de", "Passwort")
			wantLanguage(t, b.Open("/signup").Submit("language-submit", choose("ja")).WantPage(200, "signup-submit"),
				"ja", "パスワード")
			b.SignIn("/login", alice)
			wantLanguage(t, b.Open("/login").Submit("language-submit", choose("nl")), "nl", "Je bent ingelogd")
			wantLanguage(t,
				b.Open("/logout").Submit("language-submit", choose("it")).WantPage(200, "logout-confirm"), "it", "Esci")
			out := b.Open("/logout").Submit("logout-confirm", nil)
			wantLanguage(t, out, "it", "Sei uscito")
			wantLanguage(t, out.Submit("language-submit", choose("pt-BR")), "pt-BR", "Você saiu")
		})
		t.Run("on the page that asks whether to log out", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			b.SignIn("/login", alice)
			page := b.Open("/oauth2/logout?ui_locales=es&state=kept").WantPage(200, "logout-confirm")
			wantLanguage(t, page, "es", "Cerrar sesión")
			page = page.Submit("language-submit", choose("zh-Hans")).WantPage(200, "logout-confirm")
			wantLanguage(t, page, "zh-Hans", "退出登录")
		})
	})
}

func TestAChoiceOfLanguageThatIsNoneChangesNothing(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	c := s.WebClient()
	form := func(values ...string) url.Values {
		v := url.Values{}
		for n := 0; n < len(values); n += 2 {
			v.Add(values[n], values[n+1])
		}
		return v
	}
	b := s.Browser()
	_, handle, _ := strings.Cut(b.Open(authorizePath(c)).Path, "?request=")
	for _, row := range []struct {
		name   string
		form   url.Values
		header http.Header
		status int
		says   string
	}{
		{"a language that there is not", form("language", "tlh", "page", "login"), nil, 400, "not complete"},
		{"another case", form("language", "DE", "page", "login"), nil, 400, "not complete"},
		{"a header", form("language", "de\r\nSet-Cookie: a=b", "page", "login"), nil, 400, "not complete"},
		{"none", form("page", "login"), nil, 400, "not complete"},
		{"two", form("language", "de", "language", "fr", "page", "login"), nil, 400, "not complete"},
		{"a page that there is not", form("language", "de", "page", "//evil.test/"), nil, 400, "not complete"},
		{"no page", form("language", "de"), nil, 400, "not complete"},
		{"a handle that is none", form("language", "de", "page", "login", "request", "x"), nil, 400, "not complete"},
		{"a handle of another kind", form("language", "de", "page", "logout", "request", handle), nil, 400, "not complete"},
		{"from another site", form("language", "de", "page", "login"),
			http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.test"}}, 403, "not sent from here"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := b.With(s.With(t))
			p := b.Send(apitest.Request{Method: "POST", Path: "/language", Header: row.header, Form: row.form})
			if p.Status != row.status || !strings.Contains(p.Text(), row.says) {
				t.Errorf("%d %q", p.Status, p.Text())
			}
			if cookie, there := b.Cookies[languageName]; there {
				t.Errorf("there is a cookie %q", cookie)
			}
		})
	}
	t.Run("in another browser", func(t *testing.T) {
		s := s.With(t)
		other := s.Browser()
		other.Open("/login")
		p := other.Send(apitest.Request{Method: "POST", Path: "/language",
			Form: form("language", "de", "page", "login", "request", handle)})
		if p.Status != 400 || !strings.Contains(p.Text(), "another browser") || other.Cookies[languageName] != "" {
			t.Errorf("%d %q, cookies %v", p.Status, p.Text(), other.Cookies)
		}
	})
}

// What a stranger planted in the cookie shows nothing but a page in a language that there is.
func TestAPlantedLanguageCookie(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	for _, planted := range []string{"tlh", "<script>", "DE", strings.Repeat("de", 500), "../en"} {
		b := s.Browser()
		b.Cookies[languageName] = planted
		wantLanguage(t, b.Open("/login").WantPage(200, "login-submit"), "en", "Sign in")
	}
}

func TestDiscoveryNamesTheLanguagesOfThePages(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	var doc struct {
		Locales []string `json:"ui_locales_supported"`
	}
	s.Do(apitest.Request{Path: "/.well-known/openid-configuration"}).Want(200, "").JSON(&doc)
	if want := []string{"en", "ar", "de", "es", "fr", "it", "ja", "nl", "pl", "pt-BR",
		"zh-Hans"}; !slices.Equal(doc.Locales, want) {
		t.Errorf("%q, want %q", doc.Locales, want)
	}
}
