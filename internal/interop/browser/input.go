//go:build interop

package browser

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
