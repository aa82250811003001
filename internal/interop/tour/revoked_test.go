//go:build interop

package tour_test

import (
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// afterRevocation checks what the page shows after the session was revoked.
func (d *demo) afterRevocation(t *testing.T, tab *browser.Tab) {
	t.Helper()
	tab.Wait(`document.querySelector('#again-button')`)
	look(t, tab, "session-revoked")
}
