//go:build interop

// Package browser drives a real Chromium, so that tests see pages as people do. Keys and clicks
// take the same path as a person's, and everything that the browser refuses to load is reported.
//
// The package speaks the DevTools protocol over two pipes, which needs no port and no library. It
// has only the parts of the protocol that the tests need. Each Tab has cookies of its own.
package browser

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// patience is the time limit of every operation; the machine may be busy.
const patience = 60 * time.Second

// Browser is a running Chromium with a profile of its own.
type Browser struct {
	to io.Writer

	mu      sync.Mutex
	last    int
	answers map[int]chan answer
	tabs    map[string]*Tab // by session
	ended   error           // set when the browser has ended
}

type message struct {
	ID      int             `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

type answer struct {
	result json.RawMessage
	err    error
}

// Start starts a browser, which runs until the test ends. arguments are added to its command line.
// A missing browser fails the test.
func Start(t testing.TB, arguments ...string) *Browser {
	t.Helper()
	program := find(t)
	fromTest, toBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromBrowser, toTest, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{
		"--headless", "--remote-debugging-pipe", "--user-data-dir=" + t.TempDir(),
		"--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
		"--password-store=basic", "--lang=en-US", "--force-color-profile=srgb",
		// Names that end in .test resolve to this machine, and no other name resolves.
		"--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
	}, arguments...)...)
	cmd.ExtraFiles = []*os.File{fromTest, toTest} // the browser's descriptors 3 and 4
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fromTest.Close()
	toTest.Close()

	b := &Browser{to: toBrowser, answers: make(map[int]chan answer), tabs: make(map[string]*Tab)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.read(fromBrowser)
	}()
	t.Cleanup(func() {
		_, _ = b.call("", "Browser.close", nil)
		exited := make(chan error, 1)
		go func() { exited <- cmd.Wait() }()
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-exited
		}
		toBrowser.Close()
		fromBrowser.Close()
		<-ended
	})
	return b
}

func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("Chromium is missing. On Debian: apt-get install chromium")
	return ""
}

// read passes each message of the browser to its receiver. Messages end in a NUL.
func (b *Browser) read(r io.Reader) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	for {
		raw, err := buffered.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.ended = errors.New("the browser has ended")
			for id, c := range b.answers {
				c <- answer{err: b.ended}
				delete(b.answers, id)
			}
			b.mu.Unlock()
			return
		}
		var m message
		if json.Unmarshal(raw[:len(raw)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		waiting, tab := b.answers[m.ID], b.tabs[m.Session]
		delete(b.answers, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && waiting != nil && m.Error != nil:
			waiting <- answer{err: errors.New(m.Error.Message)}
		case m.ID != 0 && waiting != nil:
			waiting <- answer{result: m.Result}
		case m.Method != "" && tab != nil:
			tab.handleEvent(m)
		}
	}
}

func (b *Browser) call(session, method string, params any) (json.RawMessage, error) {
	if params == nil {
		params = struct{}{}
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	c := make(chan answer, 1)
	b.mu.Lock()
	if b.ended != nil {
		b.mu.Unlock()
		return nil, b.ended
	}
	b.last++
	id := b.last
	b.answers[id] = c
	request, err := json.Marshal(message{ID: id, Method: method, Params: raw, Session: session})
	if err == nil {
		_, err = b.to.Write(append(request, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case a := <-c:
		if a.err != nil {
			return nil, fmt.Errorf("%s: %w", method, a.err)
		}
		return a.result, nil
	case <-time.After(patience):
		return nil, fmt.Errorf("%s: no answer for %v", method, patience)
	}
}

// Tab is a page in a window of its own, which shares no cookies with other windows.
type Tab struct {
	t       testing.TB
	b       *Browser
	session string
	context string

	mu     sync.Mutex
	loads  int      // pages that have finished loading
	said   []string // messages on the console: refusals by a policy, exceptions, failed loads
	loaded *sync.Cond
}

// Tab opens a tab in a new window, without cookies.
func (b *Browser) Tab(t testing.TB) *Tab {
	t.Helper()
	tab := &Tab{t: t, b: b}
	tab.loaded = sync.NewCond(&tab.mu)
	var context struct {
		ID string `json:"browserContextId"`
	}
	tab.browserDo("Target.createBrowserContext", nil, &context)
	tab.context = context.ID
	tab.attach()
	t.Cleanup(func() {
		_, _ = b.call("", "Target.disposeBrowserContext", map[string]any{"browserContextId": tab.context})
	})
	return tab
}

// Beside opens another tab of the same window, with the same cookies.
func (tab *Tab) Beside() *Tab {
	tab.t.Helper()
	other := &Tab{t: tab.t, b: tab.b, context: tab.context}
	other.loaded = sync.NewCond(&other.mu)
	other.attach()
	return other
}

func (tab *Tab) attach() {
	tab.t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	tab.browserDo("Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": tab.context}, &target)
	var attached struct {
		Session string `json:"sessionId"`
	}
	tab.browserDo("Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	tab.session = attached.Session
	tab.b.mu.Lock()
	tab.b.tabs[tab.session] = tab
	tab.b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "DOM"} {
		tab.Do(domain+".enable", nil, nil)
	}
	tab.Do("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, nil)
}

// handleEvent records page loads and messages on the console.
func (tab *Tab) handleEvent(m message) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch m.Method {
	case "Page.loadEventFired":
		tab.loads++
		tab.loaded.Broadcast()
	case "Log.entryAdded":
		var e struct {
			Entry struct{ Source, Level, Text, URL string }
		}
		if json.Unmarshal(m.Params, &e) == nil && (e.Entry.Level == "error" || e.Entry.Source == "security") {
			tab.said = append(tab.said, e.Entry.Source+": "+e.Entry.Text+" "+e.Entry.URL)
		}
	case "Runtime.exceptionThrown":
		tab.said = append(tab.said, string(m.Params))
	}
}

func (tab *Tab) browserDo(method string, params, result any) {
	tab.t.Helper()
	tab.done(result)(tab.b.call("", method, params))
}

// Do calls a method of the DevTools protocol.
func (tab *Tab) Do(method string, params, result any) {
	tab.t.Helper()
	tab.done(result)(tab.b.call(tab.session, method, params))
}

func (tab *Tab) done(result any) func(json.RawMessage, error) {
	tab.t.Helper()
	return func(raw json.RawMessage, err error) {
		tab.t.Helper()
		if err == nil && result != nil {
			err = json.Unmarshal(raw, result)
		}
		if err != nil {
			tab.t.Fatal(err)
		}
	}
}

// Open goes to url and waits until the page has loaded.
func (tab *Tab) Open(url string) {
	tab.t.Helper()
	tab.Loads(func() {
		var navigated struct{ ErrorText string }
		tab.Do("Page.navigate", map[string]any{"url": url}, &navigated)
		if navigated.ErrorText != "" {
			tab.t.Fatalf("open %s: %s", url, navigated.ErrorText)
		}
	})
}

// Loads calls act, which must make a page load, and waits until a page has loaded.
func (tab *Tab) Loads(act func()) {
	tab.t.Helper()
	tab.mu.Lock()
	before := tab.loads
	tab.mu.Unlock()
	act()
	over := false
	late := time.AfterFunc(patience, func() {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		over = true
		tab.loaded.Broadcast()
	})
	tab.mu.Lock()
	for tab.loads == before && !over {
		tab.loaded.Wait()
	}
	got := tab.loads > before
	tab.mu.Unlock()
	late.Stop()
	if !got {
		tab.t.Fatalf("no page loaded in %v; the browser says %q", patience, tab.Said())
	}
}

// Eval evaluates a JavaScript expression into result. It waits for a promise.
func (tab *Tab) Eval(expression string, result any) {
	tab.t.Helper()
	if err := tab.eval(expression, result); err != nil {
		tab.t.Fatalf("%s: %v", expression, err)
	}
}

func (tab *Tab) eval(expression string, result any) error {
	raw, err := tab.b.call(tab.session, "Runtime.evaluate", map[string]any{
		"expression": expression, "returnByValue": true, "awaitPromise": true})
	if err != nil {
		return err
	}
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return err
	}
	if e := out.ExceptionDetails; e != nil {
		return errors.New(e.Text + " " + e.Exception.Description)
	}
	if result == nil || len(out.Result.Value) == 0 {
		return nil
	}
	return json.Unmarshal(out.Result.Value, result)
}

// Wait waits until a JavaScript expression is true, across page loads.
func (tab *Tab) Wait(expression string) {
	tab.t.Helper()
	late, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		var yes bool
		err := tab.eval("Boolean("+expression+")", &yes)
		if err == nil && yes {
			return
		}
		if late.Err() != nil {
			var where string
			_ = tab.eval("location.href", &where)
			tab.t.Fatalf("at %s it never came true that %s (%v); the browser says %q", where, expression, err, tab.Said())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Text returns the visible text of an element.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	var text string
	tab.Eval("document.querySelector("+quote(selector)+").innerText", &text)
	return text
}

// URL returns the address of the tab's page.
func (tab *Tab) URL() string {
	tab.t.Helper()
	var url string
	tab.Eval("location.href", &url)
	return url
}

// Type replaces the text of an input, as typing does.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.Eval("(e => { e.focus(); e.select() })(document.querySelector("+quote(selector)+"))", nil)
	tab.Do("Input.insertText", map[string]any{"text": text}, nil)
}

// Press presses Tab, Enter or the space bar in the element that has the focus.
func (tab *Tab) Press(key string) {
	tab.t.Helper()
	known, ok := map[string]struct {
		code int
		text string
	}{"Tab": {9, ""}, "Enter": {13, "\r"}, " ": {32, " "}}[key]
	if !ok {
		tab.t.Fatalf("no key %q is known", key)
	}
	event := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": known.code}
	if known.text != "" {
		event["text"] = known.text
	}
	tab.Do("Input.dispatchKeyEvent", event, nil)
	event["type"] = "keyUp"
	delete(event, "text")
	tab.Do("Input.dispatchKeyEvent", event, nil)
}

// Click clicks with the mouse in the middle of an element.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	var at struct{ X, Y float64 }
	tab.Eval(`(e => {
		e.scrollIntoView({block: 'center'})
		const r = e.getBoundingClientRect()
		return {X: r.x + r.width / 2, Y: r.y + r.height / 2}
	})(document.querySelector(`+quote(selector)+`))`, &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		tab.Do("Input.dispatchMouseEvent", map[string]any{
			"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// Device is a device that a tab can emulate.
type Device struct {
	Width, Height int
	Scale         float64 // device pixels for one CSS pixel; 0: 1
	Mobile, Dark  bool
	ForcedColors  bool
}

// Emulate makes the tab emulate a device.
func (tab *Tab) Emulate(d Device) {
	tab.t.Helper()
	if d.Scale == 0 {
		d.Scale = 1
	}
	tab.Do("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": d.Width, "height": d.Height, "deviceScaleFactor": d.Scale, "mobile": d.Mobile}, nil)
	features := []map[string]string{{"name": "prefers-color-scheme", "value": "light"}, {"name": "forced-colors", "value": "none"}}
	if d.Dark {
		features[0]["value"] = "dark"
	}
	if d.ForcedColors {
		features[1]["value"] = "active"
	}
	tab.Do("Emulation.setEmulatedMedia", map[string]any{"features": features}, nil)
}

// Scripts switches the JavaScript of pages on or off.
func (tab *Tab) Scripts(on bool) {
	tab.t.Helper()
	tab.Do("Emulation.setScriptExecutionDisabled", map[string]any{"value": !on}, nil)
}

// Said returns the messages on the console since the last call: refusals by a policy, exceptions,
// failed loads.
func (tab *Tab) Said() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	said := tab.said
	tab.said = nil
	return said
}

// Screenshot writes a picture of the whole page as name.png to the folder that INTEROP_SCREENSHOTS
// names. Without that variable it only takes the picture.
func (tab *Tab) Screenshot(name string) {
	tab.t.Helper()
	picture := tab.Picture()
	folder := os.Getenv("INTEROP_SCREENSHOTS")
	if folder == "" {
		return
	}
	path := filepath.Join(folder, filepath.FromSlash(name)+".png")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tab.t.Fatal(err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		tab.t.Fatal(err)
	}
}

// Picture returns a picture of the whole page, also below the window, as PNG.
func (tab *Tab) Picture() []byte {
	tab.t.Helper()
	var shot struct{ Data string }
	// If captureBeyondViewport is set for a right-to-left page that fits the window, Chromium
	// paints a part of the page in the wrong place.
	var longer bool
	tab.Eval("document.documentElement.scrollHeight > innerHeight", &longer)
	tab.Do("Page.captureScreenshot", map[string]any{
		"format": "png", "captureBeyondViewport": longer, "optimizeForSpeed": true}, &shot)
	picture, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil || len(picture) == 0 {
		tab.t.Fatalf("a picture of the page: %d bytes, %v", len(picture), err)
	}
	return picture
}

// quote returns s as a JavaScript string.
func quote(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can always be encoded
	}
	return string(raw)
}
