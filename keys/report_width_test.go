package keys

import (
	"testing"
	"time"
)

// The command line shows what happens to a key behind its algorithm and the beginning of its id, in
// 80 columns.
func TestTheTextOfAnEventIsShort(t *testing.T) {
	at := time.Date(2026, 1, 31, 18, 0, 0, 0, time.UTC)
	all := events(KeyInfo{ActivateAt: at, RetireAt: at.AddDate(0, 1, 0), RemoveAt: at.AddDate(0, 2, 0), WipeAt: at,
		ForgetAt: at})
	if len(all) != 5 {
		t.Fatalf("there are %d events", len(all))
	}
	for _, e := range all {
		if len(e.Text) > 59 {
			t.Errorf("%s: %d characters: %s", e.What, len(e.Text), e.Text)
		}
	}
}
