//go:build interop

package browser

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

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

// Loads calls act, which must make a page load, and waits until a page has loaded that the browser did
// not show before: the page of before may still be loading, and its end does not count.
func (tab *Tab) Loads(act func()) {
	tab.t.Helper()
	tab.mu.Lock()
	before := tab.pages
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
	for tab.ready <= before && !over {
		tab.loaded.Wait()
	}
	got := tab.ready > before
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

// quote returns s as a JavaScript string.
func quote(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can always be encoded
	}
	return string(raw)
}
