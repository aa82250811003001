//go:build interop

package interop

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// The session monitor of oidc-client-ts watches for the end of the browser's session: it frames
// check_session_iframe on a page of another site and asks every second. A logout in another tab
// reaches the page without a request of the app.
func TestOIDCClientTSWatchesTheSession(t *testing.T) {
	chromium := browser.Start(t, browser.FrameCookies(t))
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, "")
			s.post(t, "/v1/signup", http.StatusCreated,
				`{"email":"ada@example.com","password":"correct horse battery"}`, nil)
			app := &page{tab: chromium.Tab(t), origin: servePage(t)}
			s.signet(t, "clients", "create", "--client-id", "page", "--name", "Page", "--auth-method", "none",
				"--redirect-uri", app.origin+"/back", "--grant-type", "authorization_code")
			settings, err := json.Marshal(map[string]any{
				"authority": s.issuer, "client_id": "page", "redirect_uri": app.origin + "/back",
				"silent_redirect_uri": app.origin + "/back", "scope": "openid", "automaticSilentRenew": false,
				"monitorSession": true, "checkSessionIntervalInSeconds": 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			app.settings = string(settings)

			app.open("/")
			app.tab.Eval(app.manager()+`.signinRedirect(), 0`, nil)
			logIn(app.tab, "ada@example.com", "correct horse battery")
			app.tab.Wait(`document.querySelector('#consent-approve')`)
			app.tab.Click("#consent-approve")
			app.tab.Wait(`location.pathname === '/back' && document.querySelector('#ready')`)

			app.tab.Eval(`(async () => {
				window.answers = []
				window.out = 0
				addEventListener('message', e => { if (e.origin === new URL('`+s.issuer+`').origin) answers.push(e.data) })
				window.watching = `+app.manager()+`
				watching.events.addUserSignedOut(() => { out++ })
				const user = await watching.signinCallback()
				window.sessionState = user.session_state
			})()`, nil)
			app.tab.Wait(`answers.length > 1`)
			var answers []string
			app.tab.Eval(`answers`, &answers)
			for _, answer := range answers {
				if answer != "unchanged" {
					t.Fatalf("while the user is logged in, the frame answers %q; the browser says %q", answers, app.tab.Said())
				}
			}

			other := app.tab.Beside()
			other.Open(s.issuer + "/logout")
			other.Click("#logout-confirm")
			other.Wait(`location.pathname === '/logout' && !document.querySelector('#logout-confirm')`)
			app.tab.Wait(`answers.includes('changed') && out === 1`)
			if said := app.tab.Said(); len(said) > 0 {
				t.Errorf("the browser says %q", said)
			}
		})
	}
}

// What the frame answers to the app, to other pages, and to what is no message of the protocol.
func TestTheFrameAnswersOnlyTheAppAroundIt(t *testing.T) {
	s := start(t, "")
	s.post(t, "/v1/signup", http.StatusCreated, `{"email":"ada@example.com","password":"correct horse battery"}`, nil)
	origin, hostile := servePage(t), servePage(t)
	s.signet(t, "clients", "create", "--client-id", "page", "--name", "Page", "--auth-method", "none", "--first-party",
		"--redirect-uri", origin+"/back", "--grant-type", "authorization_code")
	tab := browser.Start(t, browser.FrameCookies(t)).Tab(t)
	tab.Open(s.issuer + "/oauth2/authorize?response_type=code&client_id=page&scope=openid&redirect_uri=" + origin +
		"/back&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
	logIn(tab, "ada@example.com", "correct horse battery")
	tab.Wait(`document.querySelector('#consent-approve') || location.pathname === '/back'`)
	if strings.HasPrefix(tab.URL(), s.issuer) {
		tab.Click("#consent-approve")
	}
	tab.Wait(`location.pathname === '/back' && document.querySelector('#ready')`)
	var state string
	tab.Eval(`new URL(location).searchParams.get('session_state')`, &state)
	if state == "" {
		t.Fatalf("no session_state at %s", tab.URL())
	}

	ask := func(message string) (answer string) {
		t.Helper()
		tab.Eval(`ask(`+message+`)`, &answer)
		origin, what, _ := strings.Cut(answer, " ")
		if origin != s.issuer {
			t.Errorf("%s is answered by %s", message, origin)
		}
		return what
	}
	quoted := `'page ` + state + `'`
	tab.Eval(frame(s.issuer), nil)
	for message, want := range map[string]string{
		quoted:                       "unchanged",
		`'other ` + state + `'`:      "changed",
		`'page ` + state[1:] + `0'`:  "error", // the dot is not where it was
		`'page ` + flip(state) + `'`: "changed",
		`'page'`:                     "error",
		`''`:                         "error",
		`' page ` + state + `'`:      "error",
		`'page ` + state + ` x'`:     "error",
		`{toString: 1}`:              "error",
		`null`:                       "error",
		`'<img src=x>'`:              "error",
		`['page ` + state + `', 1]`:  "error",
		`'page ' + 'a'.repeat(1e6)`:  "error",
	} {
		if got := ask(message); got != want {
			t.Errorf("%.80s: %q, want %q", message, got, want)
		}
	}

	// A frame of another origin on the page of the app may not ask.
	var answer string
	tab.Eval(`(async () => {
		const other = document.createElement('iframe')
		const loaded = new Promise(done => other.onload = done)
		other.src = '`+hostile+`/frame'
		document.body.append(other)
		await loaded
		const answered = new Promise(done => addEventListener('message', e => done(e.data)))
		other.contentWindow.postMessage([0, `+quoted+`], '`+hostile+`')
		return answered
	})()`, &answer)
	if answer != "error" {
		t.Errorf("a frame of another origin learns %q", answer)
	}

	// Another page that stole the session_state learns nothing of the session.
	tab.Open(hostile + "/")
	tab.Eval(frame(s.issuer), nil)
	if got := ask(quoted); got != "changed" {
		t.Errorf("another page gets %q", got)
	}
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("the browser says %q", said)
	}
}

// Where the browser keeps the cookie from frames on other sites, an app must not take that for a logout.
func TestTheFrameAnswersAnErrorWhereTheBrowserKeepsItsCookie(t *testing.T) {
	s := start(t, "")
	s.post(t, "/v1/signup", http.StatusCreated, `{"email":"ada@example.com","password":"correct horse battery"}`, nil)
	tab := browser.Start(t).Tab(t)
	tab.Open(s.issuer + "/login")
	logIn(tab, "ada@example.com", "correct horse battery")
	tab.Wait(`location.pathname === '/account'`)
	tab.Open(servePage(t) + "/")
	tab.Eval(frame(s.issuer), nil)
	var answer string
	tab.Eval(`ask('page ' + 'a'.repeat(64) + '.salt')`, &answer)
	if answer != s.issuer+" error" {
		t.Errorf("the frame answers %q", answer)
	}
}

// flip changes a digit of the hash.
func flip(state string) string {
	if state[0] == '0' {
		return "1" + state[1:]
	}
	return "0" + state[1:]
}

// frame is an expression that puts the frame of an issuer into a page. After it, ask sends the frame a
// message, and answers with the origin and the text of what comes back.
func frame(issuer string) string {
	return `(async () => {
		window.frame = document.createElement('iframe')
		const loaded = new Promise(done => frame.onload = done)
		frame.src = '` + issuer + `/oauth2/session/check'
		document.body.append(frame)
		await loaded
		window.ask = message => new Promise(done => {
			addEventListener('message', e => done(e.origin + ' ' + e.data), {once: true})
			frame.contentWindow.postMessage(message, '` + issuer + `')
		})
	})()`
}
