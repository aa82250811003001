package issuer_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/keys/keystest"
)

// logged keeps the log lines.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

// tokenLike matches every token, whole or without its signature.
var tokenLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`)

// holdNoSecret is O-03: no line that can be logged holds a secret, whatever a test did.
func (l *logged) holdNoSecret(tb testing.TB) {
	text := l.String()
	for _, secret := range []string{password, keystest.KEK, tokenLike.FindString(text), "$argon2id$"} {
		if i := strings.Index(text, secret); secret != "" && i >= 0 {
			tb.Errorf("O-03: the log holds a secret, after %q", text[max(0, i-200):i])
		}
	}
}

// count returns how many lines record event.
func (l *logged) count(event string) int {
	return strings.Count(l.String(), fmt.Sprintf(`"event":%q`, event))
}
