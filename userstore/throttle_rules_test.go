package userstore

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// book is a log of attempts by the rules alone, with which a store has to agree (storetest).
type book struct {
	Limit
	at []time.Time // of all wrong attempts ever
}

func (b *book) tally(now time.Time) (t Tally) {
	for _, at := range b.at {
		if at.After(now.Add(-b.Window)) {
			if t.Wrong++; t.Wrong == 1 {
				t.Oldest = at
			}
			t.Newest = at
		}
	}
	return t
}

// try makes a wrong attempt at now; false: it is not let through.
func (b *book) try(now time.Time) bool {
	if b.Opens(b.tally(now)).After(now) {
		return false
	}
	b.at = append(b.at, now)
	return true
}

// most returns the largest number of attempts in any stretch of d.
func (b *book) most(d time.Duration) (most int) {
	for i := range b.at {
		end := b.at[i].Add(d)
		n, _ := slices.BinarySearchFunc(b.at[i:], end, time.Time.Compare)
		most = max(most, n)
	}
	return most
}

var epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestWaitsGrowToAnHour(t *testing.T) {
	l := strangersLimit
	want := map[int]time.Duration{0: 0, 9: 0, 10: time.Minute, 11: 2 * time.Minute, 12: 4 * time.Minute,
		13: 8 * time.Minute,
		14: 16 * time.Minute, 15: 32 * time.Minute, 16: time.Hour, 17: time.Hour, 100: time.Hour, 1 << 40: time.Hour}
	for n, wait := range want {
		if got := l.Wait(n); got != wait {
			t.Errorf("after %d the wait is %s, want %s", n, got, wait)
		}
	}
	if got := l.Doublings(); got != 6 {
		t.Errorf("%d doublings, want 6", got)
	}
	if got := ownLimit.Wait(10); got != ownLimit.Window {
		t.Errorf("without steps the wait is %s", got)
	}
	if got := (Limit{}).Wait(1000); got != 0 {
		t.Errorf("without a limit the wait is %s", got)
	}
}

// An attacker who guesses as soon as the limit allows, for a month, evaluates this many in the best
// 24 hours.
func TestStrangersEvaluateFewGuessesADay(t *testing.T) {
	b := &book{Limit: strangersLimit}
	for now := epoch; now.Before(epoch.Add(30 * 24 * time.Hour)); now = now.Add(10 * time.Second) {
		for b.try(now) {
		}
	}
	day := b.most(24 * time.Hour)
	t.Logf("at most %d in 24 h, %d in 30 days", day, len(b.at))
	if day != 38 || len(b.at) > 25*30+16 {
		t.Errorf("%d guesses in 24 h and %d in 30 days; the comment at strangersLimit says 38", day, len(b.at))
	}
}

// However attempts are spread, and however long an attacker pauses in between, a limit lets no more
// through than it promises.
func TestNoScheduleBeatsALimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &book{
			Limit: rapid.SampledFrom([]Limit{strangersLimit, ownLimit, failuresLimit(100), signupsLimit(30)}).Draw(t, "limit")}
		now := epoch
		pause := rapid.OneOf(rapid.Int64Range(0, (2*time.Minute).Milliseconds()),
			rapid.Int64Range(0, (2*b.Window).Milliseconds()))
		for range rapid.IntRange(1, 120).Draw(t, "rounds") {
			now = now.Add(time.Duration(pause.Draw(t, "pause")) * time.Millisecond)
			for range rapid.IntRange(1, 40).Draw(t, "burst") {
				opens := b.Opens(b.tally(now))
				switch let := b.try(now); {
				case let == opens.After(now):
					t.Fatalf("let in at %s: %t, but it opens at %s", now, let, opens)
				case !let && rapid.Bool().Draw(t, "patient"):
					// Retry-After is exact: the next attempt is let through then, and not before.
					if early := opens.Add(-time.Microsecond); b.Step == 0 && !b.Opens(b.tally(early)).After(early) {
						t.Fatalf("it opens before %s", opens)
					}
					now = opens
					if !b.try(now) {
						t.Fatalf("refused at %s, when it opens", opens)
					}
				}
			}
		}
		if b.Step > 0 {
			if n := b.most(24 * time.Hour); n >= 100 {
				t.Fatalf("%d guesses in 24 h", n)
			}
			if n := b.most(time.Minute); n > b.Free {
				t.Fatalf("%d guesses in a minute", n)
			}
		} else if n := b.most(b.Window); n > b.Free {
			t.Fatalf("%d attempts within %s, want at most %d", n, b.Window, b.Free)
		}
	})
}

func TestNetworks(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":                   "192.0.2.1/32",
		"::ffff:192.0.2.1":            "192.0.2.1/32",
		"::ffff:c000:201":             "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6":        "2001:db8:1:2::/64",
		"2001:db8:1:2::1":             "2001:db8:1:2::/64",
		"2001:DB8:1:2:ffff:0:0:1":     "2001:db8:1:2::/64",
		"2001:db8:1:3::1":             "2001:db8:1:3::/64",
		"fe80::1%eth0":                "fe80::/64",
		"":                            "unknown",
		"pipe":                        "unknown",
		"192.0.2.1:443":               "unknown",
		"192.0.2.1, 198.51.100.1":     "unknown",
		"0300.0.2.1":                  "unknown",
		"::ffff:192.0.2.1.example.us": "unknown",
	} {
		if got := network(address); got != want {
			t.Errorf("U-18 %q is network %s, want %s", address, got, want)
		}
	}
}
