//go:build interop

// Package firefox drives a real Firefox, so that tests see pages in a second engine.
//
// The package speaks the Marionette protocol, which Firefox itself serves on a port of loopback and
// which needs no library: the commands are those of WebDriver. It has only the parts that the tests
// need. All keys and clicks take the same path as a person's.
package firefox

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is the time limit of every operation; the machine may be busy.
const patience = 90 * time.Second

// Browser is a running Firefox with a profile of its own and one window.
type Browser struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	last int
}

// preferences keep the browser from calling anywhere but loopback, and let it choose a free port.
const preferences = `
user_pref("marionette.port", 0);
user_pref("app.normandy.enabled", false);
user_pref("app.update.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("browser.startup.page", 0);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("extensions.update.enabled", false);
user_pref("intl.accept_languages", "en-US, en");
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
user_pref("signon.rememberSignons", false);
user_pref("toolkit.telemetry.reportingpolicy.firstRun", false);
`

// Start starts a Firefox, which runs until the test ends. A missing one fails the test.
func Start(t testing.TB) *Browser {
	t.Helper()
	program := ""
	for _, name := range []string{"firefox-esr", "firefox"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Fatal("Firefox is missing. On Debian: apt-get install firefox-esr")
	}
	profile := t.TempDir()
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(preferences), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--marionette", "--no-remote", "--profile", profile, "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+profile, "MOZ_CRASHREPORTER_DISABLE=1")
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	b := &Browser{t: t}
	t.Cleanup(func() {
		if b.conn != nil {
			_ = b.call("Marionette:Quit", map[string]any{"flags": []string{"eForceQuit"}}, nil)
			b.conn.Close()
		}
		select {
		case <-exited:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-exited
		}
	})
	late := time.After(patience)
	for {
		port, err := os.ReadFile(filepath.Join(profile, "MarionetteActivePort"))
		if err == nil {
			b.conn, err = net.Dial("tcp", "127.0.0.1:"+strings.TrimSpace(string(port)))
		}
		if err == nil {
			break
		}
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("Firefox ended: %v", err)
		case <-late:
			t.Fatalf("Firefox is not ready after %v: %v", patience, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	b.in = bufio.NewReader(b.conn)
	if _, err := b.exchange(nil); err != nil { // its greeting
		t.Fatal(err)
	}
	b.Do("WebDriver:NewSession", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"timeouts": map[string]any{"implicit": 0, "pageLoad": patience.Milliseconds(), "script": patience.Milliseconds()},
	}}}, nil)
	return b
}

// message reads one message: its length, a colon, and JSON.
func (b *Browser) message() ([]byte, error) {
	size, err := b.in.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(size, ":"))
	if err != nil || n < 0 || n > 64<<20 {
		return nil, fmt.Errorf("a message of %q bytes", size)
	}
	raw := make([]byte, n)
	_, err = io.ReadFull(b.in, raw)
	return raw, err
}

// exchange sends a request, if there is one, and reads one message. It ends the connection of a
// browser that does not answer in time.
func (b *Browser) exchange(request []byte) ([]byte, error) {
	late := time.AfterFunc(patience, func() { b.conn.Close() })
	_, err := b.conn.Write(request)
	var raw []byte
	if err == nil {
		raw, err = b.message()
	}
	if !late.Stop() {
		return nil, fmt.Errorf("no answer for %v", patience)
	}
	return raw, err
}

func (b *Browser) call(command string, parameters, result any) error {
	if parameters == nil {
		parameters = struct{}{}
	}
	b.last++
	raw, err := json.Marshal([]any{0, b.last, command, parameters})
	if err != nil {
		return err
	}
	if raw, err = b.exchange(fmt.Appendf(nil, "%d:%s", len(raw), raw)); err != nil {
		return err
	}
	var fault *struct{ Error, Message string }
	answer := []any{new(int), new(int), &fault, result}
	if result == nil {
		answer[3] = new(json.RawMessage)
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("%w: %.200s", err, raw)
	}
	if fault != nil {
		return errors.New(fault.Error + ": " + fault.Message)
	}
	return nil
}

// Do calls a command of WebDriver.
func (b *Browser) Do(command string, parameters, result any) {
	b.t.Helper()
	if err := b.call(command, parameters, result); err != nil {
		b.t.Fatalf("%s: %v", command, err)
	}
}

// Size makes the page so large.
func (b *Browser) Size(width, height int) {
	b.t.Helper()
	var inner struct{ Value [2]int }
	for range 2 { // the frame around the page is known only afterwards
		b.Do("WebDriver:ExecuteScript", script("return [outerWidth - innerWidth, outerHeight - innerHeight]"), &inner)
		b.Do("WebDriver:SetWindowRect", map[string]any{"width": width + inner.Value[0], "height": height + inner.Value[1]}, nil)
	}
}

// Open goes to url and waits until the page has loaded.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.Do("WebDriver:Navigate", map[string]any{"url": url}, nil)
}

// Forget removes all cookies of the page's host, so that the browser is another one.
func (b *Browser) Forget() {
	b.t.Helper()
	b.Do("WebDriver:DeleteAllCookies", nil, nil)
}

func script(text string) map[string]any {
	return map[string]any{"script": text, "args": []any{}}
}

// Eval evaluates a JavaScript expression into result.
func (b *Browser) Eval(expression string, result any) {
	b.t.Helper()
	var answer struct{ Value json.RawMessage }
	b.Do("WebDriver:ExecuteScript", script("return ("+expression+")"), &answer)
	if result != nil {
		if err := json.Unmarshal(answer.Value, result); err != nil {
			b.t.Fatalf("%s: %v", expression, err)
		}
	}
}

// Wait waits until a JavaScript expression is true, across page loads.
func (b *Browser) Wait(expression string) {
	b.t.Helper()
	late, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	for ; late.Err() == nil; time.Sleep(100 * time.Millisecond) {
		var answer struct{ Value bool }
		err = b.call("WebDriver:ExecuteScript", script("return Boolean("+expression+")"), &answer)
		if err == nil && answer.Value {
			return
		}
	}
	var where, text string
	b.Eval("location.href", &where)
	b.Eval("document.body.innerText", &text)
	b.t.Fatalf("at %s it never came true that %s (%v): %s", where, expression, err, text)
}

// Text returns the visible text of an element.
func (b *Browser) Text(selector string) (text string) {
	b.t.Helper()
	b.Eval("document.querySelector("+strconv.Quote(selector)+").innerText", &text)
	return text
}

func (b *Browser) element(selector string) string {
	b.t.Helper()
	var found struct{ Value map[string]string }
	b.Do("WebDriver:FindElement", map[string]any{"using": "css selector", "value": selector}, &found)
	for _, id := range found.Value {
		return id
	}
	b.t.Fatalf("no element %s", selector)
	return ""
}

// Type replaces the text of an input by keys. A line feed at the end is the Enter key.
func (b *Browser) Type(selector, text string) {
	b.t.Helper()
	id := b.element(selector)
	b.Do("WebDriver:ElementClear", map[string]any{"id": id}, nil)
	b.Do("WebDriver:ElementSendKeys", map[string]any{"id": id, "text": strings.ReplaceAll(text, "\n", "\ue007")}, nil)
}

// Click clicks an element with the mouse.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.Do("WebDriver:ElementClick", map[string]any{"id": b.element(selector)}, nil)
}

// Screenshot writes a picture of the whole page as name.png to the folder that INTEROP_SCREENSHOTS
// names. Without that variable it only takes the picture.
func (b *Browser) Screenshot(name string) {
	b.t.Helper()
	var shot struct{ Value string }
	b.Do("WebDriver:TakeScreenshot", map[string]any{"full": true}, &shot)
	picture, err := base64.StdEncoding.DecodeString(shot.Value)
	if err != nil || len(picture) == 0 {
		b.t.Fatalf("a picture of the page: %d bytes, %v", len(picture), err)
	}
	folder := os.Getenv("INTEROP_SCREENSHOTS")
	if folder == "" {
		return
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
