// Package testport lends addresses to tests that must know an address before a server listens on
// it, because the address is in the server's configuration, in another program's, or in a document.
//
// A test could find a free port by listening on port 0 and closing the listener. But the system may
// give that port to the next program that asks for any port: two tests then get the same port, and
// one of them talks to the other's server. A port that is lent here cannot be given away twice:
//
//   - It lies outside the range from which the system chooses ports, so that no listener on port 0
//     and no outgoing connection gets it.
//   - The test process holds the UDP port of the same number until the test ends. The kernel gives
//     that port to one process at a time, on the whole machine and for every user, and takes it back
//     when the process is killed. The servers under test speak TCP only, so the UDP port has no other
//     use.
//   - No program was listening on the TCP port, on any address of the machine, when the port was lent.
package testport

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"testing"
)

// Lent ports lie between lowest and highest. Lower ports belong to well-known services, and
// browsers refuse some of them, of which 10080 is the highest (the "bad ports" of the Fetch
// standard).
const (
	lowest  = 11000
	highest = 65000
)

// Address returns an address of the loopback interface, 127.0.0.1 and a port, that is lent until
// the test ends.
func Address(tb testing.TB) string {
	tb.Helper()
	port, lease, err := lend(candidates(systemRange()))
	if err != nil {
		tb.Fatalf("testport: %v", err)
	}
	tb.Cleanup(func() { lease.Close() })
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// lend tries the ports in a random order, so that a port is rarely used twice in a row.
func lend(ports []int) (port int, lease io.Closer, err error) {
	for _, i := range rand.Perm(len(ports)) {
		if lease, err := take(ports[i]); err == nil {
			return ports[i], lease, nil
		}
	}
	return 0, nil, fmt.Errorf("none of %d ports is free on 127.0.0.1", len(ports))
}

// take takes one port, which the test holds until it closes the lease.
func take(port int) (io.Closer, error) {
	lease, err := net.ListenPacket("udp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	// Both networks are tried: a host without IPv6 has no address for both at once, and a listener
	// on one network may leave the other one free.
	for _, network := range []string{"tcp4", "tcp"} {
		l, err := net.Listen(network, ":"+strconv.Itoa(port))
		if err != nil {
			return nil, errors.Join(err, lease.Close())
		}
		if err := l.Close(); err != nil {
			return nil, errors.Join(err, lease.Close())
		}
	}
	return lease, nil
}

// candidates returns the ports that may be lent: all ports outside the range from which the system
// chooses. If that range leaves too few, every port may be lent; the lease still keeps tests apart
// from one another.
func candidates(from, to int) []int {
	var apart, all []int
	for port := lowest; port <= highest; port++ {
		all = append(all, port)
		if port < from || port > to {
			apart = append(apart, port)
		}
	}
	if len(apart) < 1000 {
		return all
	}
	return apart
}

// systemRange returns the range from which the system chooses ports: Linux's setting, or else the
// range of RFC 6335, which macOS and the BSDs use.
func systemRange() (from, to int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		if _, err := fmt.Sscan(string(text), &from, &to); err == nil {
			return from, to
		}
	}
	return 49152, 65535
}
