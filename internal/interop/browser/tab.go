//go:build interop

package browser

import (
	"encoding/json"
	"sync"
	"testing"
)

// Tab is a page in a window of its own, which shares no cookies with other windows.
type Tab struct {
	t       testing.TB
	b       *Browser
	session string
	context string

	mu     sync.Mutex
	pages  int      // pages that the browser has begun to show
	ready  int      // the last of these pages that has finished loading
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

// Lend passes the tab on to another test: from now on, what fails ends t. Its console is forgotten. A
// tab costs as much as several pages, so that many short tests in turn should share one.
func (tab *Tab) Lend(t testing.TB) {
	tab.t = t
	tab.Said()
}

// Front brings the tab in front of the other tabs of its window. A new tab is in front.
func (tab *Tab) Front() {
	tab.t.Helper()
	tab.Do("Page.bringToFront", nil, nil)
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
	case "Page.frameNavigated":
		var e struct{ Frame struct{ ParentID string } }
		if json.Unmarshal(m.Params, &e) == nil && e.Frame.ParentID == "" {
			tab.pages++
		}
	case "Page.loadEventFired":
		tab.ready = tab.pages
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

// Said returns the messages on the console since the last call: refusals by a policy, exceptions,
// failed loads.
func (tab *Tab) Said() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	said := tab.said
	tab.said = nil
	return said
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
