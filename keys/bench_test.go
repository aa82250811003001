package keys

import (
	"testing"
	"time"

	"github.com/signet-id/signet/keys/keystest"
)

// TestHotCallsDoNotAllocate checks the calls that every token makes.
func TestHotCallsDoNotAllocate(t *testing.T) {
	for name, call := range hotCalls(t) {
		want := 0.0
		if name == "RefreshJTI" {
			want = 1 // its string
			if raceEnabled {
				want = 12 // the race detector makes pools forget at random
			}
		}
		if got := testing.AllocsPerRun(200, call); got > want {
			t.Errorf("%s allocates %v times", name, got)
		}
	}
}

func BenchmarkHotCalls(b *testing.B) {
	for name, call := range hotCalls(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					call()
				}
			})
		})
	}
}

func hotCalls(tb testing.TB) map[string]func() {
	c := newClock()
	m := started(tb, &memStore{}, c, keystest.Generator())
	now := c.Now()
	m.Now = func() time.Time { return now }
	signer, err := m.Signer("RS256")
	if err != nil {
		tb.Fatal(err)
	}
	kid := signer.KeyID()
	return map[string]func(){
		"Signer":           func() { m.Signer("RS256") },
		"Signer, fallback": func() { m.Signer("ES256") },
		"PublishedKey":     func() { m.PublishedKey(kid) },
		"KnownKey":         func() { m.KnownKey(kid) },
		"RefreshJTI":       func() { m.RefreshJTI([16]byte{1}, 7) },
		"JWKS":             func() { m.JWKS() },
	}
}
