// Package outbound makes all of this server's calls to other servers. It fetches documents from
// addresses that clients registered, and posts there; strangers may have chosen these addresses.
//
// So it connects only to addresses that anybody on the internet can reach as well. The check is at
// the socket, on the address that is really dialled, so a name that resolves to another address the
// second time (DNS rebinding) gains nothing. Only https is spoken, without redirects, proxies or
// cookies, and time and size are limited.
//
// An operator may allow hosts whose addresses are not public (outbound.allow_hosts) and trust
// further certificate authorities (outbound.ca_file).
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/signet-id/signet/internal/span"
)

// Options are the settings of an operator.
type Options struct {
	AllowHosts []string // host or host:port; allowed even if the address is not public
	CAs        []byte   // PEM certificates, trusted in addition to the system's
}

// Client fetches documents and posts forms. Make it with New.
type Client struct {
	http *http.Client
}

const (
	timeout = 3 * time.Second // for one request, from the look-up of the name to the last byte
	maxURL  = 2000
)

// ErrAddress means that the host has an address that is not public.
var ErrAddress = errors.New("the address is not a public one; if it is meant, name the host in outbound.allow_hosts")

// ErrTooLarge means that a document is larger than its Document says.
var ErrTooLarge = errors.New("the document is longer")

// New returns a client. The error names the option that cannot be used.
func New(o Options) (*Client, error) { return newClient(o, nil) }

// newClient makes a client that looks names up with resolver; nil: as the system does.
func newClient(o Options, resolver *net.Resolver) (*Client, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // the machine has no certificates: trust only those of o
	}
	if len(o.CAs) > 0 && !pool.AppendCertsFromPEM(o.CAs) {
		return nil, errors.New("outbound.ca_file: it holds no PEM certificate")
	}
	guarded := &net.Dialer{Timeout: timeout, Control: guard, Resolver: resolver}
	unguarded := &net.Dialer{Timeout: timeout, Resolver: resolver}
	transport := &http.Transport{
		Proxy: nil, // a proxy would resolve and dial for us, past the guard
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if allowed(o.AllowHosts, address) {
				return unguarded.DialContext(ctx, network, address)
			}
			return guarded.DialContext(ctx, network, address)
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
		TLSHandshakeTimeout:    timeout,
		ResponseHeaderTimeout:  timeout,
		MaxResponseHeaderBytes: 16 << 10,
		DisableKeepAlives:      true, // documents are fetched rarely
		DisableCompression:     true, // a few bytes must not expand to many
		ForceAttemptHTTP2:      true,
	}
	return &Client{http: &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// CheckURL returns an error if no request is made to the URL. It is for the registration of a URL.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL:
		return errors.New("it is not a URL, or too long")
	case u.Scheme != "https":
		return errors.New("it has to begin with https://")
	case u.Hostname() == "" || u.User != nil || u.Fragment != "" || strings.Contains(text, "#"):
		return errors.New("it needs a host, and must hold neither a user nor a fragment")
	}
	return nil
}

// Document says what a fetched document may be.
type Document struct {
	Accept   string // of the request
	MaxBytes int64  // the largest size; 0 allows none
}

// clientDocument is a document of a client: keys, or a request object.
var clientDocument = Document{
	Accept:   "application/jwk-set+json, application/oauth-authz-req+jwt, application/jwt, application/json;q=0.9, */*;q=0.1",
	MaxBytes: 256 << 10,
}

// Get fetches a client's document at an https URL.
func (c *Client) Get(ctx context.Context, address string) ([]byte, error) {
	return c.Fetch(ctx, address, clientDocument)
}

// Fetch fetches a document at an https URL.
func (c *Client) Fetch(ctx context.Context, address string, d Document) ([]byte, error) {
	body, _, err := c.fetch(ctx, address, d)
	return body, err
}

func (c *Client) fetch(ctx context.Context, address string, d Document) (_ []byte, _ http.Header, err error) {
	ctx, recorded := span.Begin(ctx, "fetch a document")
	defer func() { recorded.End(err) }()
	r, err := newRequest(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Accept", d.Accept)
	res, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err // the error names the URL
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("fetch %.200q: the answer is %d; redirects are not followed", address, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, d.MaxBytes+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("fetch %.200q: %w", address, err)
	case int64(len(body)) > d.MaxBytes:
		return nil, nil, fmt.Errorf("fetch %.200q: %w than %d KiB", address, ErrTooLarge, d.MaxBytes>>10)
	}
	return body, res.Header, nil
}

// Post sends a form to an https URL and returns the status of the answer. The answer's body is not
// read. An error means that there was no answer; the request may have arrived all the same.
func (c *Client) Post(ctx context.Context, address string, form url.Values) (status int, err error) {
	ctx, recorded := span.Begin(ctx, "post a form")
	defer func() { recorded.End(err) }()
	r, err := newRequest(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := c.http.Do(r)
	if err != nil {
		return 0, err // the error names the URL
	}
	_ = res.Body.Close()
	return res.StatusCode, nil
}

func newRequest(ctx context.Context, method, address string, body io.Reader) (*http.Request, error) {
	if err := CheckURL(address); err != nil {
		return nil, fmt.Errorf("%s %.200q: %w", strings.ToLower(method), address, err)
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "signet")
	return r, nil
}

// allowed reports whether the operator allowed the host of a dialled address.
func allowed(hosts []string, address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && slices.ContainsFunc(hosts, func(h string) bool {
		return strings.EqualFold(h, host) || strings.EqualFold(h, address)
	})
}

// guard refuses an address that is not public, just before the socket is connected to it.
func guard(network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" || !Public(ap.Addr()) {
		return ErrAddress
	}
	return nil
}

// specialBlocks are the address blocks that do not, or not only, belong to the public internet (IANA's
// special-purpose address registries), apart from the blocks that netip knows.
var specialBlocks = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "240.0.0.0/4",
	"::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
	"fec0::/10",
)

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// Public reports whether anybody on the internet could reach an address. It is false for the forms
// of IPv6 that carry an IPv4 address (NAT64, 6to4, Teredo, compatible): the address inside may be
// any.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(specialBlocks, func(p netip.Prefix) bool { return p.Contains(a) })
}
