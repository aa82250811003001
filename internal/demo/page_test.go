package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/keys"
)

// {"alg":"RS256","kid":"one"} . {"sid":"s-1"} . a signature
const sample = "eyJhbGciOiJSUzI1NiIsImtpZCI6Im9uZSJ9.eyJzaWQiOiJzLTEifQ.c2lnbmF0dXJl"

func TestATokenIsShownWithoutItsSignature(t *testing.T) {
	got := apart(sample)
	if !strings.Contains(got.Header, `"kid": "one"`) || !strings.Contains(got.Payload, `"sid": "s-1"`) {
		t.Errorf("%+v", got)
	}
	if strings.Contains(got.Header+got.Payload+got.Raw, "c2lnbmF0dXJl") || !strings.HasPrefix(sample, got.Raw) {
		t.Errorf("%q is shown", got.Raw)
	}
	if kid, sid := kidOf(sample), sidOf(sample); kid != "one" || sid != "s-1" {
		t.Errorf("%q %q", kid, sid)
	}
	for _, no := range []string{"", "x", "a.b", "a.b.c", "!.!.!"} {
		if kidOf(no) != "" || sidOf(no) != "" || apart(no).Raw == no && no != "" {
			t.Errorf("%q is no token", no)
		}
	}
}

func TestTheTimelineHasTheNewestKeysFirst(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	report := keys.Report{Now: now, Events: []keys.Event{{At: now.Add(90 * time.Minute), KeyID: "k6", What: keys.EventActivate}}}
	for n, state := range []keys.State{keys.Removed, keys.Removed, keys.Removed, keys.Retiring, keys.Active, keys.Pending} {
		k := keys.KeyInfo{KeyID: "k" + string(rune('1'+n)), Algorithm: "RS256", State: state}
		if n == 2 {
			k.RevokedAt = now
		}
		report.Keys = append(report.Keys, k)
	}
	got := timeline(report, "k5")
	if len(got) != mostKeys {
		t.Fatalf("%d keys", len(got))
	}
	for n, want := range []key{
		{KID: "k6", Algorithm: "RS256", Stage: 0, Next: "signs in 2 hours"}, {KID: "k5", Algorithm: "RS256", Stage: 1, Mine: true},
		{KID: "k4", Algorithm: "RS256", Stage: 2}, {KID: "k3", Algorithm: "RS256", Stage: 3, Revoked: true},
	} {
		if got[n] != want {
			t.Errorf("%+v, not %+v", got[n], want)
		}
	}
}

func TestDurationsInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 8 * time.Second: "8 seconds", 10 * time.Minute: "10 minutes", time.Hour: "60 minutes",
		3 * time.Hour: "3 hours", 720 * time.Hour: "30 days",
	} {
		if got := long(d); got != want {
			t.Errorf("%s is %q", d, got)
		}
	}
}
