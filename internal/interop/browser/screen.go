//go:build interop

package browser

import (
	"encoding/base64"
	"os"
	"path/filepath"
)

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
