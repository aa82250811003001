package configs

import (
	"log/slog"
	"strconv"
)

// Secret is a text that does not show itself when it is printed by fmt, logged by slog or encoded
// as JSON.
type Secret string

const redacted = "[redacted]"

// Reveal returns the text. Pass it on; do not keep or print it.
func (s Secret) Reveal() string { return string(s) }

// String returns "[redacted]", or "" if the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString hides the text from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the text from encoding/json and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
