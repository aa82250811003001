// Package readable writes instants and durations for people.
package readable

import (
	"fmt"
	"time"
)

// Ago says how far an instant is from now, for people.
func Ago(d time.Duration) string {
	switch {
	case d < -time.Second:
		return Duration(-d) + " ago"
	case d > time.Second:
		return "in " + Duration(d)
	}
	return "now"
}

// Duration rounds a duration to what matters of it.
func Duration(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", (d+time.Second/2)/time.Second)
	case d < time.Hour:
		if s := d.Round(time.Second) % time.Minute / time.Second; s != 0 && d < 10*time.Minute {
			return fmt.Sprintf("%d min %d s", d/time.Minute, s)
		}
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	case d < 48*time.Hour:
		h, m := d.Round(time.Minute)/time.Hour, d.Round(time.Minute)%time.Hour/time.Minute
		if m != 0 && h < 10 {
			return fmt.Sprintf("%d h %d min", h, m)
		}
		return fmt.Sprintf("%d h", d.Round(time.Hour)/time.Hour)
	}
	if days, h := d/(24*time.Hour), d%(24*time.Hour)/time.Hour; h != 0 && days < 10 {
		return fmt.Sprintf("%d days %d h", days, h)
	}
	return fmt.Sprintf("%d days", d.Round(24*time.Hour)/(24*time.Hour))
}

// Instant writes a time for people: UTC, to the second.
func Instant(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
