//go:build interop

// Package pages tests the hosted pages in a real browser: that it refuses to load nothing, that the
// pages fit, and where the focus is. It also takes pictures of them.
package pages

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/interop/browser"
)

// shown is one page in one state.
type shown struct {
	name  string
	focus string // the id of the element that has the focus; empty: none
	make  func(p *web.Pages, c web.Common, origin string) (web.Page, error)
}

func app(origin string) *web.Client {
	return &web.Client{
		Name: "Lantern Photos", Host: "photos.example", Logo: "/app.png",
		PolicyURI: origin + "/privacy", TOSURI: origin + "/terms", ClientURI: origin + "/",
	}
}

var all = append([]shown{
	{"login", "email", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Signup: true})
	}},
	{"login-for-an-app", "email", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: app(o), Signup: true,
			Stay: &web.Stay{Idle: 24 * time.Hour, Longest: 720 * time.Hour}})
	}},
	{"login-wrong", "password", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: app(o), Signup: true, Name: "ada@example.com",
			Problems: []web.Problem{{Code: "invalid_credentials"}}})
	}},
	{"login-too-often", "problems", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Signup: true, Name: "ada@example.com",
			Problems: []web.Problem{{Code: "rate_limited", Seconds: 700}}})
	}},
	{"signup-breached", "password", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Signup(web.SignupPage{Common: c, Client: app(o), MinLength: 15,
			Values:   map[string]string{"email": "ada@example.com"},
			Problems: []web.Problem{{Field: "password", Code: "breached"}}})
	}},
	{"login-again", "password", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: app(o), Reauthenticate: true, Name: "ada@example.com"})
	}},
	{"login-continue", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: app(o), Signup: true,
			Continue: &web.Continue{User: "ada@example.com", CSRF: "own"},
			Stay:     &web.Stay{Idle: 24 * time.Hour, Longest: 720 * time.Hour}})
	}},
	{"signup-continue", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Signup(web.SignupPage{Common: c, Client: app(o), MinLength: 15,
			Continue: &web.Continue{User: strings.Repeat("a", 200) + "@example.com", CSRF: "own"}})
	}},
	{"signup", "email", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Signup(web.SignupPage{Common: c, Client: app(o), MinLength: 15})
	}},
	{"signup-wrong", "problems", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Signup(web.SignupPage{Common: c, MinLength: 15,
			Values: map[string]string{"email": "ada@example", "given_name": "Ada", "username": "ada"},
			Problems: []web.Problem{{Field: "email", Code: "invalid"}, {Field: "password", Code: "too_common"},
				{Field: "username", Code: "taken"}}})
	}},
	{"consent", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Consent(web.ConsentPage{Common: c, Client: *app(o), User: "ada@example.com",
			Scopes:    []string{"openid", "profile", "email", "offline_access", "photos:read"},
			Resources: []string{"https://api.photos.example"}})
	}},
	{"consent-first-party", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Consent(web.ConsentPage{Common: c,
			Client: web.Client{Name: "Console", Host: "console.example", FirstParty: true},
			User:   "ada@example.com", Scopes: []string{"openid", "email"}})
	}},
	{"consent-hostile", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		a := app(o)
		a.Name = "Goo\u200bgle \u202egro.live\u202c <b>Sign in</b> " +
			strings.Repeat("Z\u0335\u0321\u0322\u0327\u0328\u0489", 40)
		a.Host = strings.Repeat("accounts.google.com.", 11) + "evil.example"
		return p.Consent(web.ConsentPage{Common: c, Client: *a, User: strings.Repeat("a", 240) + "@example.com",
			Scopes:    []string{"openid", strings.Repeat("x", 280), "address", "phone", "admin"},
			Resources: []string{"https://" + strings.Repeat("resource-", 40)}})
	}},
	{"logout", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Logout(web.LogoutPage{Common: c, User: "ada@example.com"})
	}},
	{"signed-out", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.SignedOut(web.SignedOutPage{Common: c, Client: app(o)})
	}},
	{"signed-in", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.SignedIn(web.SignedInPage{Common: c, User: "ada@example.com"})
	}},
	{"account", "", account(web.AccountHome, func(d *web.AccountPage) { d.ByMail = true })},
	{"account-profile", "", account(web.AccountProfile, nil)},
	{"account-profile-wrong", "birthdate", account(web.AccountProfile, func(d *web.AccountPage) {
		d.Problems = []web.Problem{{Field: "birthdate", Code: "invalid"}}
	})},
	{"account-address", "done", account(web.AccountAddress, func(d *web.AccountPage) { d.Done = web.DoneSaved })},
	{"account-address-wrong", "problems", account(web.AccountAddress, func(d *web.AccountPage) {
		d.Problems = []web.Problem{{Field: "email", Code: "taken"}, {Field: "current_password", Code: "wrong_password"}}
	})},
	{"account-password", "", account(web.AccountPassword, nil)},
	{"account-password-kept", "done", account(web.AccountPassword, func(d *web.AccountPage) { d.Done = web.DoneNewKept })},
	{"account-sessions", "", account(web.AccountSessions, func(d *web.AccountPage) {
		d.Sessions = []web.AccountSession{
			{ID: "one", Current: true, UserAgent: "(X11; Linux x86_64) Firefox/140.0", Address: "192.0.2.1", SignedIn: noon,
				LastUse: noon},
			{ID: "two", App: "Lantern Photos", UserAgent: "(iPhone) Safari/605.1",
				Address: "2001:db8:1234:5678:9abc:def0:1234:5678", SignedIn: noon, LastUse: noon},
			{ID: "three", App: strings.Repeat("Long", 25), SignedIn: noon, LastUse: noon},
		}
	})},
	{"account-apps", "", account(web.AccountApps, func(d *web.AccountPage) {
		d.Apps = []web.AccountApp{
			{ClientID: "photos", Name: "Lantern Photos", Scopes: []string{"openid", "email", "photos:read"},
				Resources: []string{"https://api.photos.example"}, Since: noon},
			{ClientID: "long", Name: strings.Repeat("Long", 25), Scopes: []string{strings.Repeat("x", 280)}, Since: noon},
		}
	})},
	{"account-activity", "", account(web.AccountActivity, func(d *web.AccountPage) {
		d.More = true
		d.Events = []web.AccountEvent{
			{Name: "login_succeeded", At: noon, Address: "192.0.2.1", UserAgent: "(X11; Linux x86_64) Firefox/140.0"},
			{Name: "user_updated", At: noon, ByAdmin: true, Fields: []string{"email", "roles"}},
			{Name: "consent_granted", At: noon, App: "Lantern Photos"}, {Name: "rate_limited", At: noon},
			{Name: "a_new_thing", At: noon},
		}
	})},
	{"account-data", "", account(web.AccountData, nil)},
	{"account-delete", "", account(web.AccountDelete, nil)},
	{"account-delete-wrong", "current_password", account(web.AccountDelete, func(d *web.AccountPage) {
		d.Problems = []web.Problem{{Field: "current_password", Code: "wrong_password"}}
	})},
	{"account-deleted", "", account(web.AccountDeleted, nil)},
	{"error", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "other_browser", RequestID: "01J9ZC3M8E7Q"})
	}},
	{"login-expired", "problems", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: app(o), Signup: true, Name: "ada@example.com",
			Problems: []web.Problem{{Code: "request_expired"}}})
	}},
	{"consent-expired", "problems", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Consent(web.ConsentPage{Common: c, Client: *app(o), User: "ada@example.com",
			Scopes:   []string{"openid", "email"},
			Problems: []web.Problem{{Code: "request_expired"}}})
	}},
	{"error-back", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "request_expired", RequestID: "01J9ZC3M8E7Q", Back: app(o)})
	}},
	{"error-lost", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "request_missing", RequestID: "01J9ZC3M8E7Q", SignIn: true})
	}},
	{"error-invalid", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "request_invalid", RequestID: "01J9ZC3M8E7Q", SignIn: true})
	}},
	{"error-cookies", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "cookies_off", RequestID: "01J9ZC3M8E7Q", TryAgain: "login"})
	}},
	{"error-unavailable", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "temporarily_unavailable", RequestID: "01J9ZC3M8E7Q"})
	}},
	{"form-post-without-scripts", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.FormPost(web.FormPostPage{Common: c, Action: o + "/callback",
			Parameters: [][2]string{{"code", "c"}, {"state", "s"}}})
	}},
}, slices.Concat(mailed, seconds, factorPages, devicePages)...)

// few are pages of which a wide and a narrow picture suffice: their parts are those of pages in all.
var few = slices.Concat(errorPages(), further, furtherFactors)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// account is a page of the account; more says what this page has beside what all have.
func account(k web.AccountKind, more func(d *web.AccountPage)) func(*web.Pages, web.Common, string) (web.Page, error) {
	return func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		c.Onward, c.Request = false, ""
		d := web.AccountPage{
			Common: c, Kind: k, User: "ada@example.com", MinLength: 15,
			Values: map[string]string{"email": "ada@example.com", "username": "ada", "name": "Ada King",
				"zoneinfo": "Europe/London", "birthdate": "10 December"},
		}
		if more != nil {
			more(&d)
		}
		return p.Account(d)
	}
}

// serve serves every page at /pages/<language>/<name> with its policy, and the files of the pages'
// app.
func serve(t *testing.T, o web.Options) string {
	t.Helper()
	pages, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var server *httptest.Server
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{name}", func(w http.ResponseWriter, r *http.Request) {
		body, mediaType, ok := pages.Asset(r.PathValue("name"))
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Content-Security-Policy", web.AssetCSP)
		w.Write(body)
	})
	mux.HandleFunc("GET /app.png", func(w http.ResponseWriter, r *http.Request) {
		if r.Referer() != "" {
			t.Errorf("the app's logo was fetched with Referer %q", r.Referer())
		}
		w.Header().Set("Content-Type", "image/png")
		w.Write(appLogo)
	})
	mux.HandleFunc("POST /login/passkey", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"handle": "handle", "options": {"challenge": "AAAAAAAAAAAAAAAAAAAAAA"}, "expires_in": 300}`)
	})
	gone := shown{"logo-gone", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		a := app(o)
		a.Logo = "/gone.png"
		return p.Consent(web.ConsentPage{Common: c, Client: *a, User: "ada@example.com", Scopes: []string{"openid"}})
	}}
	for _, s := range slices.Concat(all, few, []shown{gone}) {
		mux.HandleFunc("GET /pages/{language}/"+s.name, func(w http.ResponseWriter, r *http.Request) {
			page, err := s.make(pages, web.Common{
				Locale: web.Locale(r.PathValue("language")), Request: "handle", CSRF: "token",
				Onward: true,
			}, server.URL)
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Security-Policy", page.CSP)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Write(page.Body)
		})
	}
	server = httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// appLogo is a small orange picture.
var appLogo = func() []byte {
	m := image.NewRGBA(image.Rect(0, 0, 112, 112))
	for x := range 112 {
		for y := range 112 {
			m.Set(x, y, color.RGBA{240, uint8(90 + y), 40, 255})
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, m); err != nil {
		panic(err)
	}
	return out.Bytes()
}()

var devices = []struct {
	name string
	browser.Device
}{
	{"light", browser.Device{Width: 1024, Height: 768}},
	{"dark", browser.Device{Width: 1024, Height: 768, Dark: true}},
	{"phone-light", browser.Device{Width: 390, Height: 844, Scale: 2, Mobile: true}},
	{"phone-dark", browser.Device{Width: 390, Height: 844, Scale: 2, Mobile: true, Dark: true}},
	{"narrow", browser.Device{Width: 320, Height: 568, Scale: 2, Mobile: true}},
	{"zoomed", browser.Device{Width: 512, Height: 384, Scale: 2}},       // 1024 × 768 at 200 %
	{"zoomed-twice", browser.Device{Width: 320, Height: 256, Scale: 4}}, // 1280 × 1024 at 400 %
	{"forced-colors", browser.Device{Width: 1024, Height: 768, ForcedColors: true, Dark: true}},
}

// each runs act for every page as a test of its own. The tests share a few tabs, because a new tab
// costs as much as loading seven pages.
func each(t *testing.T, b *browser.Browser, pages []shown, act func(t *testing.T, tab *browser.Tab, n int, s shown)) {
	t.Helper()
	tabs := make(chan *browser.Tab, 2*runtime.GOMAXPROCS(0))
	for range cap(tabs) {
		tabs <- b.Tab(t)
	}
	for n, s := range pages {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			tab := <-tabs
			defer func() { tabs <- tab }()
			tab.Lend(t)
			act(t, tab, n, s)
		})
	}
}

func TestPagesFitEveryScreen(t *testing.T) {
	origin := serve(t, web.Options{Service: "Acme"})
	b := browser.Start(t, "--ignore-certificate-errors")
	each(t, b, slices.Concat(all, few), func(t *testing.T, tab *browser.Tab, n int, s shown) {
		tab.Scripts(false)
		for _, language := range []web.Locale{"en", "de", "ar", "ja"} {
			var last browser.Device
			for _, d := range devices {
				if (language != "en" || n >= len(all)) && d.name != "light" && (d.name != "narrow" || language == "ja") {
					continue
				}
				tab.Emulate(d.Device)
				// A page that is open follows the colours of the device. It follows the size as well, but not in
				// each pixel, and not by scrolling to where the focus is.
				if last.Width != d.Width || last.Height != d.Height || d.ForcedColors {
					tab.Open(fmt.Sprintf("%s/pages/%s/%s", origin, language, s.name))
				}
				last = d.Device
				looksRight(t, tab, s, fmt.Sprintf("%s-%s-%s", s.name, d.name, language))
			}
		}
	})
}

// looksRight checks a page that was opened without scripts, and takes a picture of it under this name.
func looksRight(t *testing.T, tab *browser.Tab, s shown, name string) {
	t.Helper()
	if s.focus != "" { // autofocus takes effect with the first frame
		tab.Wait("document.activeElement.id === '" + s.focus + "'")
	}
	var seen struct {
		Overflow int
		Focus    string
		Small    []string
		Unseen   []string // what is wrong, but out of sight
	}
	tab.Eval(still, nil)
	tab.Eval(`({
		Overflow: document.documentElement.scrollWidth - innerWidth,
		Focus: document.activeElement === document.body ? '' : document.activeElement.id,
		Small: [...document.querySelectorAll('button, select, input:not([type=hidden], [type=checkbox]), .stay label, a.button')]
			.filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.id),
		Unseen: [...document.querySelectorAll('[role=alert]')].filter(e => {
			const r = e.getBoundingClientRect()
			return r.top < 0 || r.top + Math.min(r.height, 100) > innerHeight
		}).map(e => e.innerText),
	})`, &seen)
	if seen.Overflow > 0 {
		t.Errorf("%s: the page is %d px wider than the screen", name, seen.Overflow)
	}
	if seen.Focus != s.focus {
		t.Errorf("%s: the focus is on %q, want %q", name, seen.Focus, s.focus)
	}
	if len(seen.Unseen) > 0 {
		t.Errorf("%s: the page says, out of sight, %q", name, seen.Unseen)
	}
	if len(seen.Small) > 0 {
		t.Errorf("%s: too small for a thumb: %q", name, seen.Small)
	}
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("%s: the browser says %q", name, said)
	}
	tab.Screenshot(name)
}
