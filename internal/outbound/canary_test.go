package outbound

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/signet-id/signet/internal/outbound/outboundtest"
)

// calls are all ways out of the process.
var calls = map[string]func(c *Client, ctx context.Context, address string) error{
	"Get": func(c *Client, ctx context.Context, address string) error {
		_, err := c.Get(ctx, address)
		return err
	},
	"Fetch": func(c *Client, ctx context.Context, address string) error {
		_, err := c.Fetch(ctx, address, Document{Accept: "image/png", MaxBytes: 1 << 10})
		return err
	},
	"Post": func(c *Client, ctx context.Context, address string) error {
		_, err := c.Post(ctx, address, url.Values{"logout_token": {"x"}})
		return err
	},
}

// nothing arrives at an address of this machine that is not public, be it loopback, private or
// link-local, unless the operator allowed exactly this host.
func TestR04NoConnectionArrivesAtAnAddressThatIsNotPublic(t *testing.T) {
	for kind, address := range outboundtest.OwnAddresses(t) {
		t.Run(kind, func(t *testing.T) {
			c := outboundtest.NewCanary(t, address)
			u, err := url.Parse(c.URL())
			if err != nil {
				t.Fatal(err)
			}
			closed := []Options{{}, {AllowHosts: []string{"localhost", "*", "", "https://" + u.Host, u.Hostname() + ":1", u.Hostname() + "."}}}
			for name, call := range calls {
				for _, o := range closed {
					client, err := New(o)
					if err != nil {
						t.Fatal(err)
					}
					if err := call(client, t.Context(), c.URL()); !errors.Is(err, ErrAddress) {
						t.Errorf("%s: %v", name, err)
					}
				}
				c.Unseen(t, name)
			}
			// The canary works: an allowed host reaches it, and fails at its silence only.
			for _, host := range []string{u.Hostname(), c.Address, strings.ToUpper(c.Address)} {
				if host == strings.ToUpper(host) && address.Zone() != "" {
					continue // a zone is the name of an interface, and it has a case
				}
				open, err := New(Options{AllowHosts: []string{host}})
				if err != nil {
					t.Fatal(err)
				}
				if err := calls["Get"](open, t.Context(), c.URL()); err == nil || errors.Is(err, ErrAddress) {
					t.Errorf("allowed as %s: %v", host, err)
				}
				c.Seen(t, host)
			}
		})
	}
}

// addresses that no test can listen on are refused before they are dialled.
func TestR04AddressesOfOthersThatAreNotPublic(t *testing.T) {
	client, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{
		"169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "198.18.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
		"[::]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]",
		"[fd00:ec2::254]", "[fc00::1]", "[fec0::1]", "[ff02::1]",
	} {
		for name, call := range calls {
			if err := call(client, t.Context(), "https://"+host+"/latest/meta-data/"); !errors.Is(err, ErrAddress) {
				t.Errorf("%s %s: %v", name, host, err)
			}
		}
	}
}

// names is a name server of this test.
type names struct {
	mu      sync.Mutex
	answers map[string][][]netip.Addr // each look-up takes the next one; the last one stays
	asked   []string
}

// resolver starts the name server, and returns a resolver that asks it.
func (n *names) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		for buffer := make([]byte, 1500); ; {
			size, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer := n.answer(buffer[:size]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func (n *names) answer(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	n.mu.Lock()
	defer n.mu.Unlock()
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	list := n.answers[name]
	if len(list) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	} else {
		for _, a := range list[0] {
			header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}
			switch {
			case q.Type == dnsmessage.TypeA && a.Is4():
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
			case q.Type == dnsmessage.TypeAAAA && a.Is6():
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
			}
		}
		if q.Type == dnsmessage.TypeA { // each look-up asks for both types
			n.asked = append(n.asked, name)
			if len(list) > 1 {
				n.answers[name] = list[1:]
			}
		}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}

func addresses(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// a name that is public when somebody looks and leads to this machine when it is dialled. The
// address of the socket counts.
func TestR04ANameThatLeadsElsewhereTheSecondTime(t *testing.T) {
	c := outboundtest.NewCanary(t, netip.MustParseAddr("127.0.0.1"))
	_, port, _ := net.SplitHostPort(c.Address)
	for what, second := range map[string][]netip.Addr{
		"loopback":                    addresses("127.0.0.1"),
		"several, none public":        addresses("10.0.0.1", "169.254.169.254", "127.0.0.1"),
		"loopback in IPv6":            addresses("::1"),
		"an IPv4 address inside IPv6": addresses("::ffff:127.0.0.1"),
		"both":                        addresses("127.0.0.1", "::1", "fe80::1"),
	} {
		n := &names{answers: map[string][][]netip.Addr{"rebind.test": {addresses("1.1.1.1"), second}}}
		resolver := n.resolver(t)
		client, err := newClient(Options{AllowHosts: []string{"127.0.0.1", "::1"}}, resolver) // the name is not allowed
		if err != nil {
			t.Fatal(err)
		}
		first, err := resolver.LookupNetIP(t.Context(), "ip4", "rebind.test")
		if err != nil || len(first) != 1 || !Public(first[0]) {
			t.Fatalf("%s: at first the name leads to %v, %v", what, first, err)
		}
		if _, err := client.Get(t.Context(), "https://rebind.test:"+port+"/"); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", what, err)
		}
		c.Unseen(t, what)
	}
}

// authority is a certificate authority of this test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{certificate: &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}}
	a.key, a.pem = a.sign(t, a.certificate)
	return a
}

// sign makes a key and its certificate; of the authority itself while it has no key.
func (a authority) sign(t *testing.T, certificate *x509.Certificate) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	by := a.key
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, certificate, a.certificate, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// serve starts a server under a certificate of the authority.
func (a authority) serve(t *testing.T, certificate *x509.Certificate, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	certificate.SerialNumber, certificate.NotBefore = big.NewInt(2), time.Now().Add(-time.Hour)
	certificate.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	key, text := a.sign(t, certificate)
	block, _ := pem.Decode(text)
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func port(server *httptest.Server) string {
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	return port
}

// outbound.allow_hosts opens the host that it names, as the URL names it, or one port of it.
func TestAllowHostsOpensExactlyWhatItNames(t *testing.T) {
	ca := newAuthority(t)
	certificate := &x509.Certificate{NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"keys.test", "*.keys.test", "xkeys.test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	server := ca.serve(t, certificate, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("document")) })
	n := &names{answers: map[string][][]netip.Addr{}}
	for _, name := range []string{"keys.test", "a.keys.test", "xkeys.test"} {
		n.answers[name] = [][]netip.Addr{addresses("127.0.0.1")}
	}
	resolver, at := n.resolver(t), port(server)
	for _, row := range []struct {
		allow, host string
		opens       bool
	}{
		{"keys.test", "keys.test", true},
		{"keys.test", "KEYS.test", true},
		{"Keys.Test", "keys.test", true},
		{"keys.test:" + at, "keys.test", true},
		{"keys.test:1", "keys.test", false},
		{"keys.test:4430", "keys.test", false},
		{"keys.test", "a.keys.test", false},
		{"keys.test", "xkeys.test", false},
		{"*.keys.test", "a.keys.test", false},
		{".keys.test", "a.keys.test", false},
		{"a.keys.test", "keys.test", false},
		{"test", "keys.test", false},
		{"*", "keys.test", false},
		{"", "keys.test", false},
		{"127.0.0.1", "keys.test", false}, // the host of the URL counts, not the address that it leads to
		{"127.0.0.0/8", "127.0.0.1", false},
		{"keys.test", "127.0.0.1", false}, // nor the other way round
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1:" + at, "127.0.0.1", true},
		{"127.0.0.1:1", "127.0.0.1", false},
	} {
		client, err := newClient(Options{AllowHosts: []string{"other.test", row.allow}, CAs: ca.pem}, resolver)
		if err != nil {
			t.Fatal(err)
		}
		body, err := client.Get(t.Context(), "https://"+row.host+":"+at+"/")
		if row.opens && (err != nil || string(body) != "document") || !row.opens && !errors.Is(err, ErrAddress) {
			t.Errorf("%q opens %s: %q, %v", row.allow, row.host, body, err)
		}
	}
}

// outbound.ca_file: its authorities are trusted, and no certificate is because the host is allowed.
func TestCertificatesOfServers(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	hour := time.Now().Add(time.Hour)
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	for what, row := range map[string]struct {
		certificate *x509.Certificate
		trusted     []byte
		want        bool
	}{
		"its authority":            {&x509.Certificate{NotAfter: hour, IPAddresses: loopback}, ca.pem, true},
		"its authority and others": {&x509.Certificate{NotAfter: hour, IPAddresses: loopback}, append(other.pem, ca.pem...), true},
		"another authority":        {&x509.Certificate{NotAfter: hour, IPAddresses: loopback}, other.pem, false},
		"no authority":             {&x509.Certificate{NotAfter: hour, IPAddresses: loopback}, nil, false},
		"another host":             {&x509.Certificate{NotAfter: hour, DNSNames: []string{"keys.test"}}, ca.pem, false},
		"over":                     {&x509.Certificate{NotAfter: time.Now().Add(-time.Minute), IPAddresses: loopback}, ca.pem, false},
	} {
		asked := 0
		server := ca.serve(t, row.certificate, func(w http.ResponseWriter, _ *http.Request) { asked++ })
		client, err := New(Options{AllowHosts: []string{"127.0.0.1"}, CAs: row.trusted})
		if err != nil {
			t.Fatal(err)
		}
		for name, call := range calls {
			if err := call(client, t.Context(), server.URL); (err == nil) != row.want {
				t.Errorf("%s, %s: %v", what, name, err)
			}
		}
		if (asked > 0) != row.want {
			t.Errorf("%s: the server got %d requests", what, asked)
		}
	}
}

// no kind of redirect is followed, wherever it leads.
func TestR03NoRedirectIsFollowed(t *testing.T) {
	c := outboundtest.NewCanary(t, netip.MustParseAddr("127.0.0.1"))
	seen := []string{}
	server, open, _, _ := stand(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.Path)
		status := map[string]int{"/301": 301, "/302": 302, "/303": 303, "/307": 307, "/308": 308, "/200": 200}[r.URL.Path]
		w.Header().Set("Location", map[string]string{"": c.URL(), "same": "/200"}[r.URL.RawQuery])
		w.Header().Set("Refresh", "0; url="+c.URL())
		w.WriteHeader(status)
		_, _ = w.Write([]byte("moved"))
	})
	for _, path := range []string{"/301", "/302", "/303", "/307", "/308"} {
		for _, query := range []string{"", "?same"} {
			for name, call := range calls {
				seen = nil
				err := call(open, t.Context(), server.URL+path+query)
				if (err == nil) != (name == "Post") || len(seen) != 1 { // Post answers the status, and nothing of the body
					t.Errorf("%s %s%s: %v, the server saw %v", name, path, query, err, seen)
				}
			}
		}
	}
	if body, err := open.Get(t.Context(), server.URL+"/200"); err != nil || string(body) != "moved" {
		t.Errorf("an answer that only speaks of another address: %q, %v", body, err)
	}
	c.Unseen(t, "a redirect")
}

// What a server may make of one request: no more than the document, as it stands.
func TestLimitsOfOneRequest(t *testing.T) {
	proxy := outboundtest.NewCanary(t, netip.MustParseAddr("127.0.0.1"))
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://"+proxy.Address)
	}
	server, open, _, _ := stand(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cookie":
			http.SetCookie(w, &http.Cookie{Name: "id", Value: "x"})
			_, _ = w.Write([]byte(strings.Join(r.Header["Cookie"], "") + r.Header.Get("Referer") + r.Header.Get("Authorization") + "none"))
		case "/packed":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("as it is"))
		case "/header":
			w.Header().Set("X-Long", strings.Repeat("x", 17<<10))
			_, _ = w.Write([]byte("document"))
		case "/never":
			w.WriteHeader(http.StatusOK)
			for r.Context().Err() == nil { // without an end
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}
	})
	for range 2 {
		if body, err := open.Get(t.Context(), server.URL+"/cookie"); err != nil || string(body) != "none" {
			t.Errorf("a cookie came back: %q, %v", body, err)
		}
	}
	if body, err := open.Get(t.Context(), server.URL+"/packed"); err != nil || string(body) != "as it is" {
		t.Errorf("a packed document: %q, %v", body, err)
	}
	for _, path := range []string{"/header", "/never"} {
		if body, err := open.Get(t.Context(), server.URL+path); err == nil {
			t.Errorf("%s: answered %d bytes", path, len(body))
		}
	}
	if status, err := open.Post(t.Context(), server.URL+"/never", nil); err != nil || status != http.StatusOK {
		t.Errorf("a form whose answer never ends: %d, %v", status, err)
	}
	proxy.Unseen(t, "a proxy of the environment")
}

// A time limit holds without one of the caller, from the look-up of the name to the last byte.
func TestEveryRequestHasATimeLimit(t *testing.T) {
	client, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if client.http.Timeout != 3*time.Second {
		t.Errorf("the limit is %s", client.http.Timeout)
	}
}
