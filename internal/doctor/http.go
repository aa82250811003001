package doctor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"
)

// requestTimeout is how long one answer may take.
const requestTimeout = 15 * time.Second

// maxAnswer limits what is read of an answer.
const maxAnswer = 1 << 20

// newClient returns a client that follows no redirect: a verifier that does can be led elsewhere, and
// an issuer that needs one is a finding.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &http.Client{
		Transport: transport, Timeout: requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is one answer, with its body as far as it was read.
type answer struct {
	*http.Response
	body []byte
}

// The errors of an answer that has begun, but cannot be read. They are findings.
var (
	errUnreadable = errors.New("the answer cannot be read as HTTP, or breaks off")
	errTooLong    = errors.New("the answer is longer than 1 MiB")
)

// answered reports whether the error of get is about an answer, and not about its absence.
func answered(err error) bool { return errors.Is(err, errUnreadable) || errors.Is(err, errTooLong) }

// get requests a document.
func get(ctx context.Context, client *http.Client, url string, header http.Header) (answer, error) {
	var begun atomic.Bool // whether any byte of an answer has come; net/http names no error for a bad one
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { begun.Store(true) }})
	r, err := http.NewRequestWithContext(traced, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("User-Agent", "signet-doctor")
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, unlessEnded(ctx, begun.Load(), err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return answer{}, unlessEnded(ctx, true, err)
	}
	if len(body) > maxAnswer {
		return answer{}, errTooLong
	}
	return answer{resp, body}, nil
}

// unlessEnded returns errUnreadable for the failure of an answer that had begun, unless the examination
// itself was ended.
func unlessEnded(ctx context.Context, begun bool, err error) error {
	if begun && ctx.Err() == nil {
		return errUnreadable
	}
	return err
}

// challengeError finds the error code of a challenge (RFC 6750 section 3). Nothing else of an answer is
// shown.
var challengeError = regexp.MustCompile(`error="?([a-z_]{1,64})"?`)

// shown returns what a report says of an answer.
func shown(r *http.Response) string {
	text := strconv.Itoa(r.StatusCode)
	challenge := r.Header.Get("WWW-Authenticate")
	if m := challengeError.FindStringSubmatch(challenge); m != nil {
		return text + " " + m[1]
	}
	if r.StatusCode == http.StatusUnauthorized && challenge == "" {
		return text + " without WWW-Authenticate"
	}
	return text
}
