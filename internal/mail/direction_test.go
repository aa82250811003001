package mail_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/outbox"
)

// Behind Arabic letters a date would read day, month, year. Links and codes stay as they are:
// programs find them.
func TestATimeKeepsItsDirection(t *testing.T) {
	for locale, want := range map[string]string{"ar": "\u20662026-01-31 18:00 UTC\u2069", "en": "on 2026-01-31 18:00 UTC",
		"ja": "2026-01-31 18:00 UTC"} {
		l, err := composer(t).Compose(outbox.Message{
			ID: "id1", Kind: outbox.PasswordChanged, To: "bob@example.test", Locale: locale,
			At: time.Date(2026, 1, 31, 18, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(l.Text, want) || strings.Contains(l.Text, "\u2066") != (locale == "ar") {
			t.Errorf("%s: %q", locale, l.Text)
		}
	}
}
