package doctor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
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

// get requests a document. A body of more than maxAnswer is an error.
func get(ctx context.Context, client *http.Client, url string, header http.Header) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
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
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errors.New("the answer is longer than 1 MiB")
	}
	return answer{resp, body}, err
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
