package storetest

import (
	"testing"
	"time"
)

func instants(t *testing.T, f *fixture) {
	for name, at := range map[string]time.Time{
		"microseconds":     time.Date(2026, 1, 2, 3, 4, 5, 999999999, time.UTC),
		"west of UTC":      time.Date(2026, 1, 2, 3, 4, 5, 1000, time.FixedZone("", -11*3600)),
		"with a monotonic": time.Now(),
		"before 1970":      time.Date(1938, 4, 24, 22, 13, 20, 1000, time.UTC),
		"after 2038":       time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
		"the year 9999":    time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
		"daylight saving":  time.Date(2026, 10, 25, 2, 30, 0, 0, time.FixedZone("CEST", 7200)),
	} {
		u := f.newUser()
		u.CreatedAt, u.UpdatedAt, u.LastLoginAt = at, at, at
		must(t, f.CreateUser(t.Context(), u))
		got, err := f.UserByID(t.Context(), u.ID)
		must(t, err)
		if want := stored(at); got.CreatedAt != want || got.UpdatedAt != want || got.LastLoginAt != want {
			t.Errorf("%s: %v, want %v", name, got.CreatedAt, want)
		}
		if got.CreatedAt.Location() != time.UTC {
			t.Errorf("%s: zone %v", name, got.CreatedAt.Location())
		}
	}
	u := f.newUser()
	u.CreatedAt = time.Time{}
	must(t, f.CreateUser(t.Context(), u))
	got, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	if !got.CreatedAt.IsZero() || !got.LastLoginAt.IsZero() {
		t.Errorf("no instant came back as %v", got.CreatedAt)
	}
}

func clock(t *testing.T, f *fixture) {
	before := time.Now()
	now, err := f.Now(t.Context())
	must(t, err)
	after := time.Now()
	// The server runs on this machine; its clock may tell milliseconds only.
	if now.Before(before.Add(-2*time.Millisecond)) || now.After(after.Add(2*time.Millisecond)) ||
		now.Location() != time.UTC {
		t.Errorf("%v is not between %v and %v", now, before, after)
	}
	must(t, f.Ping(t.Context()))
}
