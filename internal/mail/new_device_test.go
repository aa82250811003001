package mail_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/device"
	"github.com/signet-id/signet/internal/languages"
	"github.com/signet-id/signet/internal/outbox"
)

// A notice names a browser by the lists only, whatever the outbox holds.
func TestNewDeviceNamesOnlyWhatIsListed(t *testing.T) {
	c := composer(t)
	for _, tag := range languages.Tags() {
		for _, d := range []device.Device{
			{Browser: "Firefox", System: "Linux"}, {Browser: "Buy at evil.test", System: "Linux"},
			{Browser: "{system}", System: "evil.test"}, {Browser: "Firefox"}, {},
		} {
			l, err := c.Compose(outbox.Message{ID: "id", Kind: outbox.NewDevice, To: "bob@example.test", Locale: tag, Device: d,
				At: time.Date(2026, 3, 1, 23, 4, 5, 0, time.FixedZone("", -3600))})
			if err != nil {
				t.Fatal(err)
			}
			all := l.Text + l.HTML
			if named := strings.Contains(l.Text, "Firefox") && strings.Contains(l.Text, "Linux"); named != d.Known() ||
				strings.Contains(all, "evil") || strings.ContainsAny(l.Text, "{}") ||
				!strings.Contains(l.Text, "2026-03-02 00:04 UTC") {
				t.Errorf("%s, %+v:\n%s", tag, d, l.Text)
			}
		}
	}
}
