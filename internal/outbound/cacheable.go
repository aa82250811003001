package outbound

import (
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Answer is a fetched document with what its headers say.
type Answer struct {
	Body      []byte
	MediaType string // in lower case, without parameters; empty: none, or not readable
	// Lifetime is how long the document may be used without being fetched anew (RFC 9111 section 4.2);
	// negative: the headers do not say.
	Lifetime time.Duration
}

// Answer is Fetch with the headers of the answer.
func (c *Client) Answer(ctx context.Context, address string, d Document) (Answer, error) {
	body, header, err := c.fetch(ctx, address, d)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Body: body, Lifetime: lifetime(header)}
	if types := header.Values("Content-Type"); len(types) == 1 {
		if a.MediaType, _, err = mime.ParseMediaType(types[0]); err != nil {
			a.MediaType = ""
		}
	}
	return a, nil
}

// maxLifetime is longer than any caller believes, and a Duration holds it.
const maxLifetime = 366 * 24 * time.Hour

// lifetime returns how long an answer stays fresh in a cache that serves many.
func lifetime(h http.Header) time.Duration {
	said := time.Duration(-1)
	for line := range strings.SplitSeq(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "no-store", "no-cache", "private":
			return 0
		case "s-maxage", "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return 0 // RFC 9111 section 4.2.1: what cannot be read is stale
			}
			if name == "s-maxage" || said < 0 {
				said = time.Duration(seconds) * time.Second
			}
		}
	}
	if said < 0 {
		if h.Get("Expires") == "" {
			return said
		}
		ends, err := http.ParseTime(h.Get("Expires"))
		began, err2 := http.ParseTime(h.Get("Date"))
		if err != nil || err2 != nil {
			return 0
		}
		said = ends.Sub(began)
	}
	if age, err := strconv.ParseUint(h.Get("Age"), 10, 31); err == nil {
		said -= time.Duration(age) * time.Second
	}
	return min(max(said, 0), maxLifetime)
}
