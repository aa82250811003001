//go:build interop

package tour_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// desktop is what the tour is taken on.
var desktop = browser.Device{Width: 1280, Height: 900}

// devices are what a step is looked at on.
var devices = map[string]browser.Device{
	"desktop-light": desktop,
	"desktop-dark":  {Width: 1280, Height: 900, Dark: true},
	"phone-light":   {Width: 390, Height: 844, Scale: 2, Mobile: true},
	"phone-dark":    {Width: 390, Height: 844, Scale: 2, Mobile: true, Dark: true},
	"narrow":        {Width: 320, Height: 640, Mobile: true},
}

// look takes pictures of the page on all devices. On none of them it has to be scrolled sideways.
func look(t *testing.T, tab *browser.Tab, step string) {
	t.Helper()
	for name, device := range devices {
		tab.Emulate(device)
		settled(tab)
		var over int
		tab.Eval(`document.documentElement.scrollWidth - innerWidth`, &over)
		if over > 0 {
			t.Errorf("at %s, on %s, the page is %d pixels too wide", step, name, over)
		}
		tab.Screenshot("tour/" + step + "-" + name)
	}
	tab.Emulate(desktop)
}

// picture writes what the window shows from a step on, light and dark, to the folder that
// TOUR_PICTURES names: CONTRIBUTING.md says how the pictures of README.md are made.
func picture(t *testing.T, tab *browser.Tab, name, step string) {
	t.Helper()
	folder := os.Getenv("TOUR_PICTURES")
	if folder == "" {
		return
	}
	for suffix, dark := range map[string]bool{"": false, "-dark": true} {
		tab.Emulate(browser.Device{Width: 1180, Height: 760, Dark: dark})
		tab.Eval(`document.activeElement.blur(), document.querySelector('#`+step+`').scrollIntoView(), 0`, nil)
		settled(tab)
		var shot struct{ Data string }
		tab.Do("Page.captureScreenshot", map[string]any{"format": "webp", "quality": 70}, &shot)
		data, err := base64.StdEncoding.DecodeString(shot.Data)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+suffix+".webp"), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tab.Emulate(desktop)
}

// settled waits until the colours of buttons have changed, which takes a moment.
func settled(tab *browser.Tab) {
	tab.Eval(`Promise.allSettled(document.getAnimations().map(a => a.finished)).then(() => 0)`, nil)
}
