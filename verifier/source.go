package verifier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/strictjson"
)

// maxDocumentBytes limits a discovery document and a key set; real ones have a few KiB.
const maxDocumentBytes = 512 << 10

// discoveryLifetime is how long a discovered address of the key set is used.
const discoveryLifetime = time.Hour

// source fetches the key set. Only one fetch runs at a time, so it needs no lock.
type source struct {
	client  *http.Client
	issuer  string
	jwksURL string // as configured; empty: use discovery
	now     func() time.Time

	discovered   string
	discoveredAt time.Time
}

// document is one answer of the key set's endpoint.
type document struct {
	unchanged bool // 304: the key set with this ETag is still current
	body      []byte
	etag      string
	date      time.Time     // when the origin made the answer; zero: unknown
	maxAge    time.Duration // how long the answer may be used; negative: unknown
}

func newSource(c Config, now func() time.Time) *source {
	client := http.Client{}
	if c.HTTPClient != nil {
		client = *c.HTTPClient
	}
	client.CheckRedirect = sameHost
	return &source{client: &client, issuer: c.Issuer, jwksURL: c.JWKSURL, now: now}
}

// sameHost allows a redirect only within one host: an attacker who can make the issuer answer with
// a redirect must not choose the keys.
func sameHost(r *http.Request, via []*http.Request) error {
	if len(via) > 3 {
		return errors.New("more than 3 redirects")
	}
	if first := via[0].URL; r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
		return errors.New("redirected to another host, which is not followed")
	}
	return nil
}

// fetch gets the key set, or learns that the key set with this ETag is still current.
func (s *source) fetch(ctx context.Context, etag string) (document, error) {
	address, err := s.address(ctx)
	if err != nil {
		return document{}, err
	}
	doc, err := s.get(ctx, address, etag)
	if err != nil {
		s.discovered = "" // the key set may have moved
		return document{}, fmt.Errorf("fetch the key set: %w", err)
	}
	return doc, nil
}

// address returns the URL of the key set, found by OpenID Connect Discovery section 4.
func (s *source) address(ctx context.Context) (string, error) {
	if s.jwksURL != "" {
		return s.jwksURL, nil
	}
	now := s.now()
	if s.discovered != "" && !now.Before(s.discoveredAt) && now.Sub(s.discoveredAt) < discoveryLifetime {
		return s.discovered, nil
	}
	doc, err := s.get(ctx, strings.TrimSuffix(s.issuer, "/")+"/.well-known/openid-configuration", "")
	if err != nil {
		return "", fmt.Errorf("fetch the discovery document: %w", err)
	}
	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := strictjson.Unmarshal(doc.body, &metadata, strictjson.IgnoreUnknown); err != nil {
		return "", fmt.Errorf("the discovery document: %w", err)
	}
	// Section 4.3: the document must name the issuer that was asked, or another issuer could answer
	// for it.
	if metadata.Issuer != s.issuer {
		return "", fmt.Errorf("the discovery document is of issuer %q, not of %q: set Issuer to what its tokens say",
			metadata.Issuer, s.issuer)
	}
	if err := checkURL(metadata.JWKSURI); err != nil {
		return "", fmt.Errorf("the discovery document's jwks_uri is %w", err)
	}
	if strings.HasPrefix(s.issuer, "https:") && !strings.HasPrefix(metadata.JWKSURI, "https:") {
		return "", errors.New("the discovery document's jwks_uri does not use https, though the issuer does")
	}
	s.discovered, s.discoveredAt = metadata.JWKSURI, now
	return s.discovered, nil
}

func (s *source) get(ctx context.Context, address, etag string) (document, error) {
	resp, err := request(ctx, s.client, address, "application/jwk-set+json, application/json", etag)
	if err != nil {
		return document{}, fmt.Errorf("%s: %w", address, err)
	}
	defer resp.Body.Close()
	doc := document{etag: resp.Header.Get("ETag"), maxAge: freshness(resp.Header)}
	doc.date, _ = http.ParseTime(resp.Header.Get("Date"))
	switch {
	case resp.StatusCode == http.StatusNotModified && etag != "":
		doc.unchanged = true
		return doc, nil
	case resp.StatusCode != http.StatusOK:
		return document{}, fmt.Errorf("%s: answered with status %d", address, resp.StatusCode)
	}
	if doc.body, err = readAtMost(resp.Body, maxDocumentBytes); err != nil {
		return document{}, fmt.Errorf("%s: %w", address, err)
	}
	return doc, nil
}

// request gets a document of the issuer, unless it still has this ETag; empty: in any case. The caller closes
// the body.
func request(ctx context.Context, client *http.Client, address, accept, etag string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "signet-verifier")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := client.Do(req)
	var wrapped *url.Error
	if errors.As(err, &wrapped) { // its text repeats the method and the address
		err = wrapped.Err
	}
	return resp, err
}

// readAtMost reads a document of at most so many bytes. A longer one is an error.
func readAtMost(body io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("longer than %d bytes", most)
	}
	return text, err
}

// freshness returns how long an answer may be used (RFC 9111 section 4.2): its max-age minus the
// time that caches on the way have held the answer.
func freshness(h http.Header) time.Duration {
	maxAge := time.Duration(-1)
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if seconds, ok := seconds(strings.Trim(value, `"`)); ok {
				maxAge = seconds
			}
		}
	}
	if age, ok := seconds(h.Get("Age")); ok && maxAge >= 0 {
		maxAge = max(maxAge-age, 0)
	}
	return maxAge
}

func seconds(text string) (time.Duration, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return time.Duration(n) * time.Second, err == nil
}
