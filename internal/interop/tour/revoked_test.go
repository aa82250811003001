//go:build interop

package tour_test

import (
	"regexp"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// afterRevocation checks what the page shows after the session was revoked.
func (d *demo) afterRevocation(t *testing.T, tab *browser.Tab) {
	t.Helper()
	tab.Wait(`document.querySelector('#again-button')`)
	if number(t, tab, "refused") == 0 {
		t.Error("the API took every access token of the revoked session")
	}
	if said := tab.Text("#revoke-session .result"); !regexp.MustCompile(`^The API refused the access token \d+\.\d s after`).MatchString(said) {
		t.Errorf("the page says %q", said)
	}
	look(t, tab, "session-revoked")
}
