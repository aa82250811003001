package problem

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// Every code has an answer that is whole.
func TestEveryCodeHasAnAnswer(t *testing.T) {
	for _, c := range Codes() {
		k := c.Kind()
		if k.Status < 400 || k.Status > 599 || k.Title == "" || k.Detail == "" {
			t.Errorf("%s: %+v", c, k)
		}
		if k.Status == 503 && k.RetryAfter == "" {
			t.Errorf("%s says not when to try again", c)
		}
	}
}

func TestFrom(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		code   Code
		detail string // empty: that of the code
		retry  string
	}{
		"a problem, wrapped": {fmt.Errorf("x: %w", New(CSRF, "")), CSRF, "", ""},
		"an outage, whatever it wraps": {fmt.Errorf("%w: %w", userstore.ErrUnavailable, userstore.ErrNotFound),
			Unavailable, "", "2"},
		"an error of the issuer": {&issuer.Error{Code: issuer.InvalidScope, Description: "No such scope."},
			InvalidScope, "No such scope.", ""},
		"a limit of a second and a bit": {&userstore.RateLimitedError{RetryAfter: time.Second + 1}, RateLimited, "", "2"},
		"a limit below the issuer's error": {&issuer.Error{Code: issuer.RateLimited, Cause: &userstore.RateLimitedError{}},
			RateLimited, "", "1"},
		"an unknown error": {errors.New("a secret of the store"), ServerError, "", ""},
	} {
		p := From(c.err)
		if c.detail == "" {
			c.detail = c.code.Kind().Detail
		}
		if p.Code != c.code || p.Detail != c.detail || p.RetryAfter() != c.retry {
			t.Errorf("%s: %s %q, retry %q", name, p.Code, p.Detail, p.RetryAfter())
		}
	}
}
