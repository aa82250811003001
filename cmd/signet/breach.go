package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/signet-id/signet/configs"
)

// maxBreachRange limits the answer. A range has about a thousand lines of 40 bytes, with padding.
const maxBreachRange = 1 << 20

// breachRange returns a function that asks a breach list for a range of SHA-1 values. It asks for
// padding, so that not even the length of the answer shows which range it is. Errors do not name
// the address, because its last digits are the first digits of a password's hash.
func breachRange(address string) func(ctx context.Context, prefix string) (string, error) {
	if address == "" {
		return nil
	}
	client := &http.Client{
		Timeout: 5 * time.Second, // the caller's own limit is shorter
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("it redirects; give passwords.breach_check_url the address it redirects to")
		},
	}
	return func(ctx context.Context, prefix string) (string, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+"/"+prefix, nil)
		if err != nil {
			return "", errors.New("passwords.breach_check_url is not an address")
		}
		r.Header.Set("Add-Padding", "true")
		r.Header.Set("User-Agent", "signet")
		answer, err := client.Do(r)
		if err != nil {
			var wrapped *url.Error
			if errors.As(err, &wrapped) {
				err = wrapped.Err
			}
			return "", err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return "", fmt.Errorf("it answers %d", answer.StatusCode)
		}
		text, err := io.ReadAll(io.LimitReader(answer.Body, maxBreachRange+1))
		if err == nil && len(text) > maxBreachRange {
			err = fmt.Errorf("its answer is longer than %d bytes", maxBreachRange)
		}
		return string(text), err
	}
}

// serviceNames returns the names of the service, which must not be passwords: its name on the
// pages, and the issuer's host and port.
func serviceNames(c configs.Config, bound string) string {
	host := ""
	if u, err := url.Parse(c.IssuerURL(bound)); err == nil {
		host = u.Host
	}
	if name := c.Pages.ServiceName; name != "" {
		return name + " " + host
	}
	return host
}
