//go:build interop

package browser

import (
	"os"
	"path/filepath"
	"testing"
)

// FrameCookies is an argument for Start: the browser lets frames on other sites have the cookies that
// their sites marked SameSite=None, as browsers did before they began to keep those back. Without it
// Chromium keeps them back.
func FrameCookies(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	preferences := filepath.Join(dir, "Default", "Preferences")
	if err := os.Mkdir(filepath.Dir(preferences), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(preferences, []byte(`{"profile":{"cookie_controls_mode":0}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return "--user-data-dir=" + dir
}
