package jose

import (
	"errors"
	"testing"
	"time"
)

// The claims, by the clock and by the audience. The verifier's and the issuer's own tests check the
// same rows over HTTP.
func TestCheckOfAccessClaims(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	good := AccessClaims{Issuer: "https://i", Audience: []string{"https://a", "https://b"},
		IssuedAt: now.Add(-time.Minute), Expiry: now.Add(time.Minute)}
	for _, row := range []struct {
		name   string
		change func(*AccessClaims, *Expected)
		want   string // ok, refused, expired
	}{
		{"a good one", func(*AccessClaims, *Expected) {}, "ok"},
		{"the second audience", func(_ *AccessClaims, e *Expected) { e.Audience = []string{"x", "https://b"} }, "ok"},
		{"another issuer", func(c *AccessClaims, _ *Expected) { c.Issuer = "https://i/" }, "refused"},
		{"another audience", func(_ *AccessClaims, e *Expected) { e.Audience = []string{"https://c"} }, "refused"},
		{"nobody said for whom", func(_ *AccessClaims, e *Expected) { e.Audience = nil }, "refused"},
		{"an audience of empty text", func(_ *AccessClaims, e *Expected) { e.Audience = []string{""} }, "refused"},
		{"any audience", func(_ *AccessClaims, e *Expected) { e.Audience, e.AnyAudience = nil, true }, "ok"},
		{"no audience where any will do",
			func(c *AccessClaims, e *Expected) { c.Audience, e.AnyAudience = nil, true }, "refused"},
		{"issued in the future, within the skew",
			func(c *AccessClaims, _ *Expected) { c.IssuedAt = now.Add(30 * time.Second) }, "ok"},
		{"issued in the future", func(c *AccessClaims, _ *Expected) { c.IssuedAt = now.Add(31 * time.Second) }, "refused"},
		{"not valid yet, within the skew",
			func(c *AccessClaims, _ *Expected) { c.NotBefore = now.Add(30 * time.Second) }, "ok"},
		{"not valid yet", func(c *AccessClaims, _ *Expected) { c.NotBefore = now.Add(31 * time.Second) }, "refused"},
		{"valid since long", func(c *AccessClaims, _ *Expected) { c.NotBefore = now.Add(-time.Hour) }, "ok"},
		{"expired within the skew", func(c *AccessClaims, _ *Expected) { c.Expiry = now.Add(-29 * time.Second) }, "ok"},
		{"expired", func(c *AccessClaims, _ *Expected) { c.Expiry = now.Add(-30 * time.Second) }, "expired"},
		{"expired and of another issuer",
			func(c *AccessClaims, _ *Expected) { c.Issuer, c.Expiry = "x", now.Add(-time.Hour) }, "refused"},
		{"expired and for another audience",
			func(c *AccessClaims, _ *Expected) { c.Audience, c.Expiry = []string{"x"}, now.Add(-time.Hour) }, "refused"},
		{"expired and not valid yet",
			func(c *AccessClaims, _ *Expected) { c.NotBefore, c.Expiry = now.Add(time.Hour), now.Add(-time.Hour) }, "refused"},
		{"expires before it is issued", func(c *AccessClaims, _ *Expected) {
			c.IssuedAt, c.Expiry = now.Add(20*time.Second), now.Add(10*time.Second)
		}, "refused"},
		{"expires as it is issued", func(c *AccessClaims, _ *Expected) {
			c.IssuedAt, c.Expiry = now.Add(20*time.Second), now.Add(20*time.Second)
		}, "refused"},
		{"the zero token", func(c *AccessClaims, _ *Expected) { *c = AccessClaims{} }, "refused"},
		{"the zero expectation", func(_ *AccessClaims, e *Expected) { *e = Expected{} }, "refused"},
	} {
		claims, expected := good,
			Expected{Issuer: "https://i", Audience: []string{"https://a"}, Now: now, Skew: 30 * time.Second}
		row.change(&claims, &expected)
		got := "refused"
		switch err := claims.Check(expected); {
		case err == nil:
			got = "ok"
		case errors.Is(err, ErrExpired):
			got = "expired"
		}
		if got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}
