// Package outbound is the one door through which this server calls others: it fetches documents from addresses that
// clients registered, which are addresses that strangers may have chosen.
//
// So it goes to nobody who could not be reached from outside as well. The guard stands at the socket, on the address
// that is really dialled: a name that resolves to something else the second time gains nothing by it. https only, no
// redirects, no proxy, no cookies, little time, and few bytes.
//
// An operator may name hosts that are reached wherever they are (outbound.allow_hosts) and certificate
// authorities of an own (outbound.ca_file).
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
)

// Options are what an operator may choose.
type Options struct {
	AllowHosts []string // host or host:port, reached even where the address is not public
	CAs        []byte   // PEM certificates that are trusted besides the system's
}

// Client fetches documents. Make it by New.
type Client struct {
	http *http.Client
}

const (
	timeout  = 3 * time.Second // of one document, from the look-up of the name to the last byte
	maxBytes = 256 << 10
	maxURL   = 2000
)

// ErrAddress: the host is at an address that is not public.
var ErrAddress = errors.New("the address is not a public one; if it is meant, name the host in outbound.allow_hosts")

// New makes a client; an error says what of the options cannot be used.
func New(o Options) (*Client, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a machine without any: only those of o
	}
	if len(o.CAs) > 0 && !pool.AppendCertsFromPEM(o.CAs) {
		return nil, errors.New("outbound.ca_file: it holds no PEM certificate")
	}
	guarded := &net.Dialer{Timeout: timeout, Control: guard}
	free := &net.Dialer{Timeout: timeout}
	transport := &http.Transport{
		Proxy: nil, // it would resolve and dial for us, past the guard
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if allowed(o.AllowHosts, address) {
				return free.DialContext(ctx, network, address)
			}
			return guarded.DialContext(ctx, network, address)
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
		TLSHandshakeTimeout:    timeout,
		ResponseHeaderTimeout:  timeout,
		MaxResponseHeaderBytes: 16 << 10,
		DisableKeepAlives:      true, // documents are fetched rarely
		DisableCompression:     true, // a few bytes must not become many
		ForceAttemptHTTP2:      true,
	}
	return &Client{http: &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// CheckURL says what is wrong with an address before anybody fetches it, for those who register one.
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

// Get answers the document at an https URL.
func (c *Client) Get(ctx context.Context, address string) ([]byte, error) {
	if err := CheckURL(address); err != nil {
		return nil, fmt.Errorf("fetch %.200q: %w", address, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	r.Header.Set("User-Agent", "signet")
	res, err := c.http.Do(r)
	if err != nil {
		return nil, err // it names the URL
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %.200q: the answer is %d; redirects are not followed", address, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("fetch %.200q: %w", address, err)
	case len(body) > maxBytes:
		return nil, fmt.Errorf("fetch %.200q: the document is longer than %d KiB", address, maxBytes>>10)
	}
	return body, nil
}

// allowed tells whether the operator named the host of a dialled address.
func allowed(hosts []string, address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && slices.ContainsFunc(hosts, func(h string) bool {
		return strings.EqualFold(h, host) || strings.EqualFold(h, address)
	})
}

// guard sees the address that a socket is about to be connected to.
func guard(network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" || !Public(ap.Addr()) {
		return ErrAddress
	}
	return nil
}

// special are blocks that are not, or not only, of the public internet (IANA's special-purpose address registries), besides
// those that netip knows.
var special = prefixes(
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

// Public tells an address that anybody on the internet could reach as well. Forms of IPv6 that carry an IPv4 address
// (NAT64, 6to4, Teredo, compatible) are none: what is inside may be anything.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}
