//go:build interop

// Package tour_test takes the tour of `signet demo` with the real program and a real browser, as a
// stranger does who presses one button after the other.
package tour_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/interop/browser"
)

const password = "correct horse battery staple"

// demo is a running `signet demo`.
type demo struct {
	page, issuer, api, folder string
	temp                      string // where it makes its folder
	program                   string
	cmd                       *exec.Cmd
	ended                     chan error
}

// start starts the program in a temporary folder of its own, and reads where everything is.
func start(t *testing.T) *demo {
	t.Helper()
	d := &demo{temp: t.TempDir(), program: filepath.Join(t.TempDir(), "signet"), ended: make(chan error, 1)}
	if out, err := exec.Command("go", "build", "-o", d.program, "../../../cmd/signet").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	d.cmd = exec.Command(d.program, "demo")
	d.cmd.Dir = t.TempDir() // where no signet.yaml is
	d.cmd.Env = append(os.Environ(), "TMPDIR="+d.temp)
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	d.cmd.Stderr = &said
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		if s := said.String(); s != "" {
			t.Logf("the log of the demo:\n%s", s)
		}
	})
	lines := bufio.NewReader(out)
	for d.folder == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the demo ended: %v: %s", err, said.String())
		}
		if m := regexp.MustCompile(`^  (http://\S+)\n`).FindStringSubmatch(line); m != nil {
			d.page = m[1]
		}
		if m := regexp.MustCompile(`An issuer \((\S+)\)`).FindStringSubmatch(line); m != nil {
			d.issuer = m[1]
		}
		if m := regexp.MustCompile(`Everything is in (\S+)\.`).FindStringSubmatch(line); m != nil {
			d.folder = m[1]
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		d.ended <- d.cmd.Wait()
	}()
	resp, err := http.Get(d.page)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(http://\S+)/whoami`).FindSubmatch(text)
	if m == nil {
		t.Fatal("the page does not say where the API is")
	}
	d.api = string(m[1])
	return d
}

// stop sends a signal, and waits until the program has ended and left nothing behind.
func (d *demo) stop(t *testing.T, by os.Signal) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(d.folder, "data", "signet.db")); err != nil {
		t.Errorf("the demo keeps nothing in %s: %v", d.folder, err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := d.cmd.Process.Signal(by); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-d.ended:
		if err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the demo goes on")
	}
	left, err := os.ReadDir(d.temp)
	if err != nil || len(left) > 0 {
		t.Errorf("it left behind %v (%v)", left, err)
	}
	if here, err := os.ReadDir(d.cmd.Dir); err != nil || len(here) > 0 {
		t.Errorf("it left %v in the working folder (%v)", here, err)
	}
	if err := d.cmd.Process.Signal(syscall.Signal(0)); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("the process is still there: %v", err)
	}
	for _, address := range []string{d.page, d.issuer, d.api} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := net.Dial("tcp", u.Host); err == nil {
			c.Close()
			t.Errorf("something still listens at %s", address)
		}
	}
}

// number reads a counter of the page.
func number(t *testing.T, tab *browser.Tab, id string) int {
	t.Helper()
	n, err := strconv.Atoi(tab.Text("#" + id))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// press clicks a button and waits until the page shows a line of the log that the click made.
func press(tab *browser.Tab, button, says string) {
	tab.Click("#" + button)
	tab.Wait(`[...document.querySelectorAll('#events li')].some(e => e.textContent.includes('` + says + `'))`)
}

func TestTheTourFromSignUpToLogout(t *testing.T) {
	d := start(t)
	tab := browser.Start(t).Tab(t)
	tab.Emulate(desktop)

	t.Log("sign up and log in")
	tab.Open(d.page)
	tab.Wait(`document.querySelector('#login-button')`)
	look(t, tab, "start")
	signUp(tab, "#login-button")
	tab.Wait(`document.querySelector('#who')`)
	if who := tab.Text("#who"); !strings.Contains(who, "ada@example.com") {
		t.Errorf("the page says %q", who)
	}
	if at := tab.URL(); at != d.page+"/" {
		t.Errorf("the login ended at %s", at)
	}

	t.Log("look into the tokens, whose signatures nobody can copy")
	for _, token := range []string{"access-token", "id-token"} {
		tab.Click("#" + token + " summary")
		tab.Wait(`document.querySelector('#` + token + `').open`)
	}
	access := tab.Text("#access-token")
	for _, part := range []string{`"typ": "at+jwt"`, `"iss": "` + d.issuer + `"`, d.api, `"sid"`} {
		if !strings.Contains(access, part) {
			t.Errorf("the access token has no %s: %s", part, access)
		}
	}
	if !strings.Contains(tab.Text("#id-token"), `"email": "ada@example.com"`) {
		t.Errorf("the ID token: %s", tab.Text("#id-token"))
	}
	var whole bool
	tab.Eval(`/eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{20}/.test(document.documentElement.outerHTML)`, &whole)
	if whole {
		t.Error("the page has a whole token")
	}
	var cookies string
	tab.Eval(`document.cookie`, &cookies)
	if cookies != "" {
		t.Errorf("a script can read %q", cookies)
	}
	look(t, tab, "tokens")

	t.Log("call the API")
	press(tab, "start", "accepted the first call")
	tab.Wait(`Number(document.querySelector('#accepted').textContent) >= 10`)

	t.Log("rotate while it calls: nothing fails, and another key signs")
	var before, after string
	tab.Eval(`document.querySelector('.mine code').textContent`, &before)
	press(tab, "rotate-button", "rotated the keys")
	tab.Wait(`document.querySelector('.mine code').textContent !== '` + before + `'`)
	tab.Eval(`document.querySelector('.mine code').textContent`, &after)
	count := number(t, tab, "accepted")
	tab.Wait(`Number(document.querySelector('#accepted').textContent) >= ` + strconv.Itoa(count+15))
	if refused, broken := number(t, tab, "refused"), number(t, tab, "broken"); refused+broken != 0 {
		t.Errorf("during the rotation %d calls were refused and %d failed", refused, broken)
	}
	if said := tab.Text("#rotate .result"); !strings.Contains(said, "None was refused") {
		t.Errorf("the page says %q", said)
	}
	look(t, tab, "rotated")
	picture(t, tab, "tour-rotate", "rotate")

	t.Log("revoke the session: the refresh is refused, and so is the access token")
	press(tab, "revoke-session-button", "revoked the session")
	d.afterRevocation(t, tab)

	t.Logf("log in again, without a password; the page said: %s", tab.Text("#revoke-session .result"))
	tab.Loads(func() { tab.Click("#again-button") }) // the page takes clicks when its script has run
	tab.Wait(`document.querySelector('#who')`)

	t.Log("revoke the key of the access token: it is refused, and the app goes on with another")
	press(tab, "start", "five times a second")
	count = number(t, tab, "accepted")
	tab.Wait(`Number(document.querySelector('#accepted').textContent) >= ` + strconv.Itoa(count+5))
	tab.Eval(`document.querySelector('.mine code').textContent`, &before)
	refused := number(t, tab, "refused")
	press(tab, "revoke-key-button", "revoked key "+before)
	tab.Wait(`document.querySelector('.mine code').textContent !== '` + before + `'`)
	count = number(t, tab, "accepted")
	tab.Wait(`Number(document.querySelector('#accepted').textContent) >= ` + strconv.Itoa(count+5))
	if now := number(t, tab, "refused"); now == refused {
		t.Error("the API took every token of the revoked key")
	}
	if now := number(t, tab, "broken"); now != 0 {
		t.Errorf("%d calls failed", now)
	}
	look(t, tab, "key-revoked")
	picture(t, tab, "tour-revoke", "revoke-key")

	t.Log("refresh")
	tab.Eval(`window.old = document.querySelector('#access-token').textContent, 0`, nil)
	press(tab, "refresh-button", "refresh token has been replaced")
	tab.Wait(`document.querySelector('#access-token').textContent !== window.old`)

	t.Log("log out, here and at the issuer")
	tab.Click("#logout-button")
	tab.Wait(`document.querySelector('#login-button')`)
	if at := tab.URL(); at != d.page+"/" {
		t.Errorf("the logout ended at %s", at)
	}
	look(t, tab, "end")
	tab.Click("#login-button")
	tab.Wait(`document.querySelector('#email')`) // it asks for the password again

	for _, said := range tab.Said() {
		t.Errorf("the browser says: %s", said)
	}
	tab.Open("about:blank") // which closes its connections
	d.stop(t, syscall.SIGTERM)
}

// signUp clicks what leads to the issuer, signs up there, and comes back.
func signUp(tab *browser.Tab, button string) {
	tab.Loads(func() { tab.Click(button) })
	tab.Loads(func() { tab.Click(".other a[href*='signup']") })
	tab.Type("#email", "ada@example.com")
	tab.Type("#password", password)
	tab.Loads(func() { tab.Click("#signup-submit") })
	tab.Wait(`document.querySelector('#consent-approve')`)
	tab.Loads(func() { tab.Click("#consent-approve") })
}

// Everything works without JavaScript, too: a button leads back to its step, and a link shows what
// has happened since.
func TestTheTourWithoutScriptsEndsByCtrlC(t *testing.T) {
	d := start(t)
	tab := browser.Start(t).Tab(t)
	tab.Scripts(false)
	tab.Open(d.page)
	signUp(tab, "#login-button")
	tab.Wait(`document.querySelector('#who')`)
	tab.Loads(func() { tab.Click("#start") })
	if at := tab.URL(); at != d.page+"/#calls" {
		t.Errorf("the button led to %s", at)
	}
	for end := time.Now().Add(time.Minute); number(t, tab, "accepted") < 5; {
		if time.Now().After(end) {
			t.Fatal("no call is made")
		}
		tab.Loads(func() { tab.Click("#look a") })
	}
	tab.Loads(func() { tab.Click("#rotate-button") })
	if said := tab.Text("#rotate .result"); !strings.Contains(said, "None was refused") {
		t.Errorf("the page says %q", said)
	}
	tab.Loads(func() { tab.Click("#stop") })
	tab.Click("#logout-button")
	tab.Wait(`document.querySelector('#login-button')`)
	tab.Open("about:blank")
	d.stop(t, os.Interrupt)
}
