// Package outboundtest shows whether a server connects to where it must not.
package outboundtest

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

// Canary is a listener on an address that nothing may connect to.
type Canary struct {
	Address string // host:port, with the zone of a link-local host

	from chan string
}

// NewCanary listens on an address of this machine.
func NewCanary(t *testing.T, address netip.Addr) *Canary {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(address, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	port := l.Addr().(*net.TCPAddr).AddrPort().Port() // a listener's own address lacks the zone
	c := &Canary{netip.AddrPortFrom(address, port).String(), make(chan string, 64)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.from <- conn.RemoteAddr().String()
			_ = conn.Close()
		}
	}()
	return c
}

// URL returns an https URL that leads to the canary.
func (c *Canary) URL() string { return "https://" + strings.ReplaceAll(c.Address, "%", "%25") + "/" }

// Unseen fails the test if anything has connected.
func (c *Canary) Unseen(t *testing.T, what string) {
	t.Helper()
	for _, from := range c.connected(t) {
		t.Errorf("%s: %s connected to %s", what, from, c.Address)
	}
}

// Seen fails the test if nothing has connected.
func (c *Canary) Seen(t *testing.T, what string) {
	t.Helper()
	if len(c.connected(t)) == 0 {
		t.Errorf("%s: nothing connected to %s", what, c.Address)
	}
}

// connected returns who has connected since the last call. It connects itself, and connections are
// accepted in their order: those before its own are the others.
func (c *Canary) connected(t *testing.T) (others []string) {
	t.Helper()
	own, err := net.Dial("tcp", c.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = own.Close() }()
	for from := <-c.from; from != own.LocalAddr().String(); from = <-c.from {
		others = append(others, from)
	}
	return others
}

// OwnAddresses returns the addresses of this machine that only it, or its network, can reach:
// loopback, private and link-local ones, by interface.
func OwnAddresses(t *testing.T) map[string]netip.Addr {
	t.Helper()
	found := map[string]netip.Addr{"loopback": netip.MustParseAddr("127.0.0.1")}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range interfaces {
		addresses, err := in.Addrs()
		if err != nil || in.Flags&net.FlagUp == 0 {
			continue
		}
		for _, a := range addresses {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			switch address := prefix.Addr(); {
			case address.Is6() && address.IsLinkLocalUnicast():
				found[in.Name+" link-local"] = address.WithZone(in.Name)
			case address.IsPrivate(), address.IsLinkLocalUnicast(), address.IsLoopback() && address.Is6():
				found[in.Name+" "+address.String()] = address
			}
		}
	}
	return found
}
