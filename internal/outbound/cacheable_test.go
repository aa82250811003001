package outbound

import (
	"net/http"
	"testing"
	"time"
)

func TestLifetimeOfAnAnswer(t *testing.T) {
	const date = "Thu, 26 Nov 2026 12:00:00 GMT"
	for _, c := range []struct {
		name string
		h    http.Header
		want time.Duration
	}{
		{"nothing is said", http.Header{}, -1},
		{"max-age", http.Header{"Cache-Control": {"public, max-age=600"}}, 10 * time.Minute},
		{"max-age in capitals", http.Header{"Cache-Control": {"Max-Age=600"}}, 10 * time.Minute},
		{"s-maxage before max-age", http.Header{"Cache-Control": {"s-maxage=60, max-age=600"}}, time.Minute},
		{"s-maxage after max-age", http.Header{"Cache-Control": {"max-age=600", "s-maxage=60"}}, time.Minute},
		{"a quoted number", http.Header{"Cache-Control": {`max-age="60"`}}, time.Minute},
		{"less its age", http.Header{"Cache-Control": {"max-age=600"}, "Age": {"240"}}, 6 * time.Minute},
		{"older than it may be", http.Header{"Cache-Control": {"max-age=600"}, "Age": {"700"}}, 0},
		{"no-store", http.Header{"Cache-Control": {"max-age=600, no-store"}}, 0},
		{"no-cache", http.Header{"Cache-Control": {"no-cache"}}, 0},
		{"private", http.Header{"Cache-Control": {"private, max-age=600"}}, 0},
		{"a number that is none", http.Header{"Cache-Control": {"max-age=soon"}}, 0},
		{"a number too large", http.Header{"Cache-Control": {"max-age=99999999999999999999"}}, 0},
		{"the largest", http.Header{"Cache-Control": {"max-age=2147483647"}}, maxLifetime},
		{"Expires", http.Header{"Date": {date}, "Expires": {"Thu, 26 Nov 2026 13:00:00 GMT"}}, time.Hour},
		{"Expires in the past", http.Header{"Date": {date}, "Expires": {"Thu, 26 Nov 2026 11:00:00 GMT"}}, 0},
		{"Expires that is no time", http.Header{"Date": {date}, "Expires": {"0"}}, 0},
		{"max-age before Expires", http.Header{"Date": {date}, "Expires": {"Thu, 26 Nov 2026 13:00:00 GMT"},
			"Cache-Control": {"max-age=60"}}, time.Minute},
	} {
		if got := lifetime(c.h); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
