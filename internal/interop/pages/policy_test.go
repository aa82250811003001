//go:build interop

package pages

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/interop/browser"
)

// answer starts a server with an origin of its own that answers every request with f.
func answer(t *testing.T, f http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(f)
	t.Cleanup(s.Close)
	return s
}

// Browsers check every redirect of a submitted form against form-action. The page's policy has to
// allow the redirect of the login to the app, and the redirects of the app.
func TestALoginReachesTheAppThatGoesOnElsewhere(t *testing.T) {
	pages, err := web.New(web.Options{Service: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	home := answer(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<p id=home>home") })
	callback := answer(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, home.URL, http.StatusFound) })
	op := answer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.Redirect(w, r, callback.URL+"/cb?code=c", http.StatusSeeOther)
			return
		}
		page, err := pages.Login(web.LoginPage{Common: web.Common{CSRF: "t", Onward: true}})
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Security-Policy", page.CSP)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page.Body)
	})
	tab := browser.Start(t, "--ignore-certificate-errors").Tab(t)
	tab.Open(op.URL)
	tab.Type("#email", "ada")
	tab.Type("#password", "correct horse battery staple")
	tab.Press("Enter")
	tab.Wait("document.querySelector('#home')")
}

// The form_post page sends its form by its script, and the values arrive byte for byte.
func TestFormPostSendsItself(t *testing.T) {
	pages, err := web.New(web.Options{Service: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	sent := [][2]string{{"code", "c-_~."}, {"state", `"><script>&code=x%0d%0aX:1 äöü 🦉 ` + strings.Repeat("s", 8<<10)},
		{"iss", "https://id.example"}}
	got := make(chan url.Values, 1)
	home := answer(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<p id=home>home") })
	callback := answer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.ParseForm() == nil {
			got <- r.PostForm
		}
		http.Redirect(w, r, home.URL, http.StatusSeeOther)
	})
	op := answer(t, func(w http.ResponseWriter, r *http.Request) {
		page, err := pages.FormPost(web.FormPostPage{Action: callback.URL + "/cb?x=1&y=2", Parameters: sent})
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Security-Policy", page.CSP)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page.Body)
	})
	tab := browser.Start(t, "--ignore-certificate-errors").Tab(t)
	tab.Open(op.URL)
	tab.Wait("document.querySelector('#home')")
	form := <-got
	if len(form) != len(sent) {
		t.Errorf("%d parameters arrived, want %d", len(form), len(sent))
	}
	for _, p := range sent {
		if v := form[p[0]]; len(v) != 1 || v[0] != p[1] {
			t.Errorf("%s arrived as %.80q", p[0], v)
		}
	}
}

// An operator's logo that a person opens on its own runs no script, and a theme changes the
// properties that it sets.
func TestLogoAndThemeOfAnOperator(t *testing.T) {
	logo := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40" width="120" height="40"><rect width="120" height="40" rx="8" fill="#0a7d4f"/><script>document.documentElement.setAttribute("ran", "yes")</script></svg>`
	theme := `:root { --signet-accent: #0a6b45; --signet-accent-strong: #07523a; --signet-radius: 0.5rem; --signet-radius-small: 0.25rem; }`
	origin := serve(t, web.Options{Service: "Acme", Logo: []byte(logo), Theme: []byte(theme)})
	tab := browser.Start(t, "--ignore-certificate-errors").Tab(t)
	tab.Emulate(browser.Device{Width: 1024, Height: 768})
	tab.Open(origin + "/pages/en/login-for-an-app")
	tab.Wait("document.activeElement.id === 'email'")
	var seen struct {
		Color, Logo   string
		Width, Height float64
	}
	tab.Eval(`(e => ({
		Color: getComputedStyle(document.querySelector('#login-submit')).backgroundColor,
		Logo: e.src, Width: e.naturalWidth, Height: e.getBoundingClientRect().height,
	}))(document.querySelector('.service-logo'))`, &seen)
	if seen.Color != "rgb(10, 107, 69)" || seen.Width != 120 || seen.Height != 40 {
		t.Errorf("the page shows %+v", seen)
	}
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("the browser says %q", said)
	}
	tab.Screenshot("themed-login")
	tab.Open(seen.Logo)
	var ran bool
	tab.Eval(`document.documentElement.hasAttribute('ran')`, &ran)
	if ran {
		t.Error("the script in the logo ran")
	}
}

// Everything can be done with the keyboard alone, in reading order, and scripts never run.
func TestConsentByKeyboard(t *testing.T) {
	origin := serve(t, web.Options{Service: "Acme"})
	tab := browser.Start(t, "--ignore-certificate-errors").Tab(t)
	tab.Open(origin + "/pages/en/consent")
	var order []string
	for range 5 {
		tab.Press("Tab")
		var at struct {
			ID, Text string
			Outline  string
		}
		tab.Eval(
			`(e => ({ID: e.id, Text: e.innerText, Outline: getComputedStyle(e).outlineStyle}))(document.activeElement)`, &at)
		if at.Outline != "solid" {
			t.Errorf("the focus on %q does not show", at.Text)
		}
		order = append(order, at.Text)
	}
	want := []string{"Use another account", "Deny", "Allow", "Privacy policy (opens in a new tab)",
		"Terms of service (opens in a new tab)"}
	for n := range want {
		if !strings.HasPrefix(order[n], strings.TrimSuffix(want[n], " (opens in a new tab)")) {
			t.Errorf("the keyboard goes through %q, want %q", order, want)
			break
		}
	}
	var ran bool
	tab.Eval(`(() => {
		const s = document.createElement('script')
		s.textContent = 'window.ran = true'
		document.body.append(s)
		return window.ran === true
	})()`, &ran)
	if ran {
		t.Error("a script that was put into the page ran")
	}
}
