//go:build interop

package pages

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/interop/browser"
)

// loginServer serves a login page and its assets, and answers forms with posted.
func loginServer(t *testing.T, posted http.HandlerFunc) string {
	t.Helper()
	pages, err := web.New(web.Options{Service: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	return answer(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			posted(w, r)
		case r.URL.Path == "/":
			page, err := pages.Login(web.LoginPage{Common: web.Common{CSRF: "t"}, Name: "ada",
				Stay: &web.Stay{Idle: time.Hour, Longest: 24 * time.Hour}})
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Security-Policy", page.CSP)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Write(page.Body)
		case r.URL.Path == "/favicon.ico":
			w.WriteHeader(http.StatusNoContent)
		default:
			body, mediaType, ok := pages.Asset(r.URL.Path[len("/assets/"):])
			if !ok {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", mediaType)
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Write(body)
		}
	}).URL
}

func TestThePasswordIsShownOnRequestAndSentAsAPassword(t *testing.T) {
	tab := browser.Start(t, "--ignore-certificate-errors").Tab(t)
	tab.Emulate(browser.Device{Width: 600, Height: 700})
	tab.Open(loginServer(t,
		func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<p id=done>"+r.FormValue("password")) }))
	typed := func() (kind string) {
		tab.Eval(`document.querySelector('#password').type`, &kind)
		return kind
	}
	tab.Type("#password", "correct horse")
	if kind := typed(); kind != "password" {
		t.Errorf("at first it is a field of type %s", kind)
	}
	tab.Click(".reveal")
	if kind, says := typed(), tab.Text(".reveal"); kind != "text" || says != "Hide password" {
		t.Errorf("shown it is a field of type %s; the button says %q", kind, says)
	}
	tab.Screenshot("login-password-shown")
	tab.Press(" ") // the button has the focus
	if kind, says := typed(), tab.Text(".reveal"); kind != "password" || says != "Show password" {
		t.Errorf("hidden again it is a field of type %s; the button says %q", kind, says)
	}
	tab.Click(".reveal")
	tab.Eval(`document.querySelector('#login-submit').form.addEventListener('submit', () => { sessionStorage.kind = document.querySelector('#password').type })`, nil)
	tab.Click("#login-submit")
	tab.Wait("document.querySelector('#done')")
	var kind string
	tab.Eval("sessionStorage.kind", &kind)
	if kind != "password" || tab.Text("#done") != "correct horse" {
		t.Errorf("sent as %s: %q", kind, tab.Text("#done"))
	}
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("the browser says %q", said)
	}
}

// With scripts the pages have buttons that show a password. They fit, too.
func TestPagesWithScriptsFitANarrowScreen(t *testing.T) {
	origin := serve(t, web.Options{Service: "Acme"})
	b := browser.Start(t, "--ignore-certificate-errors")
	each(t, b, all, func(t *testing.T, tab *browser.Tab, _ int, s shown) {
		tab.Emulate(browser.Device{Width: 320, Height: 568, Scale: 2, Mobile: true})
		if s.name == "form-post-without-scripts" {
			return // with scripts the page is left at once
		}
		for _, language := range []web.Locale{"de", "ar"} {
			tab.Open(fmt.Sprintf("%s/pages/%s/%s", origin, language, s.name))
			var seen struct{ Fields, Overflow int }
			tab.Eval(`({
					Fields: [...document.querySelectorAll('.reveal')].filter(e => e.checkVisibility()).length,
					Overflow: document.documentElement.scrollWidth - innerWidth,
				})`, &seen)
			name := fmt.Sprintf("%s-scripts-%s", s.name, language)
			if seen.Overflow > 0 {
				t.Errorf("%s: the page is %d px wider than the screen", name, seen.Overflow)
			}
			if said := tab.Said(); len(said) > 0 {
				t.Errorf("%s: the browser says %q", name, said)
			}
			if seen.Fields > 0 {
				tab.Screenshot(name)
			}
		}
	})
}

func TestCapsLockIsTold(t *testing.T) {
	tab := browser.Start(t, "--ignore-certificate-errors").Tab(t)
	tab.Open(loginServer(t, nil))
	tab.Wait("!document.querySelector('.reveal').hidden")
	key := func(caps bool) {
		tab.Eval(
			`document.querySelector('#password').dispatchEvent(new KeyboardEvent('keydown', {key: 'a', modifierCapsLock: `+
				map[bool]string{true: "true", false: "false"}[caps]+`}))`, nil)
	}
	for _, c := range []struct {
		act  func()
		want string
	}{
		{func() { key(false) }, ""}, {func() { key(true) }, "Caps Lock is on."}, {func() { key(false) }, ""},
		{func() { key(true) }, "Caps Lock is on."},
		{func() { tab.Eval(`document.querySelector('#password').dispatchEvent(new Event('keydown'))`, nil) },
			"Caps Lock is on."}, // as password managers do
		{func() {
			tab.Eval(`document.querySelector('#password').focus(); document.querySelector('#email').focus()`, nil)
		}, ""},
	} {
		c.act()
		if says := tab.Text(".caps"); says != c.want {
			t.Errorf("it says %q, want %q", says, c.want)
		}
	}
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("the browser says %q", said)
	}
}

// A second press sends nothing while the first request is running. After going back to the page the
// form can be sent again.
func TestAFormIsSentOnce(t *testing.T) {
	var sent atomic.Int32
	tab := browser.Start(t, "--ignore-certificate-errors").Tab(t)
	tab.Open(loginServer(t, func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		time.Sleep(time.Second)
		io.WriteString(w, "<p id=done>done")
	}))
	tab.Type("#password", "correct horse")
	tab.Eval(
		`(b => { b.click(); b.click(); setTimeout(() => b.click(), 200) })(document.querySelector('#login-submit'))`, nil)
	tab.Wait("document.querySelector('#done')")
	if n := sent.Load(); n != 1 {
		t.Errorf("the form was sent %d times", n)
	}
	tab.Eval("history.back()", nil)
	tab.Wait("document.querySelector('#login-submit')")
	tab.Type("#password", "correct horse")
	tab.Click("#login-submit")
	tab.Wait("document.querySelector('#done')")
	if n := sent.Load(); n != 2 {
		t.Errorf("after going back, the form was sent %d times in all", n)
	}
}

func TestWithoutScriptsTheFormWorksAndOffersNothingThatDoesNot(t *testing.T) {
	tab := browser.Start(t, "--ignore-certificate-errors").Tab(t)
	tab.Scripts(false)
	tab.Open(loginServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<p id=done>"+r.FormValue("password")+" "+r.FormValue("stay"))
	}))
	tab.Wait("document.activeElement.id === 'password'")
	var shown bool
	tab.Eval(`document.querySelector('.reveal').checkVisibility()`, &shown)
	if shown {
		t.Error("a button that does nothing is shown")
	}
	tab.Type("#password", "correct horse")
	tab.Click("label[for=stay]")
	tab.Click("#login-submit")
	tab.Wait("document.querySelector('#done')")
	if got := tab.Text("#done"); got != "correct horse yes" {
		t.Errorf("sent %q", got)
	}
}
