// Package testport lends tests the addresses that they must know before a server listens there: the address stands in
// the server's configuration, in another program's, or in a document.
//
// A port that is found free by listening on port 0 and closing again belongs to the system, which gives the same port to
// the next program that asks for any: two tests then get the same answer, and one of them talks with the other's
// server. A port that is lent here cannot be given away twice:
//
//   - It lies outside the range that the system chooses from by itself, so that no listener on port 0 and no outgoing
//     connection gets it.
//   - The test process holds the UDP port of the same number until the test ends. The kernel gives that to one process
//     at a time, on the whole machine and for every user, and takes it back when the process is killed. The servers
//     under test speak TCP only, so the UDP port is of no other use.
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

// Lent ports lie between these. The lower ones belong to well-known services, and some of them, 10080 being the
// highest, are refused by browsers (the "bad ports" of the Fetch standard).
const (
	lowest  = 11000
	highest = 65000
)

// Address lends an address on the loopback interface, 127.0.0.1 and a port, until the test ends.
func Address(tb testing.TB) string {
	tb.Helper()
	port, lease, err := lend(candidates(systemRange()))
	if err != nil {
		tb.Fatalf("testport: %v", err)
	}
	tb.Cleanup(func() { lease.Close() })
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// lend tries the ports in a random order, so that a port rests between two tests.
func lend(ports []int) (port int, lease io.Closer, err error) {
	for _, i := range rand.Perm(len(ports)) {
		if lease, err := take(ports[i]); err == nil {
			return ports[i], lease, nil
		}
	}
	return 0, nil, fmt.Errorf("none of %d ports is free on 127.0.0.1", len(ports))
}

// take holds one port, or tells why it cannot be had.
func take(port int) (io.Closer, error) {
	lease, err := net.ListenPacket("udp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	// Both, because a host without IPv6 has no address for both at once, and a listener on one of them may leave the
	// other one free.
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

// candidates are the ports that may be lent: all but those from which the system chooses. Where the system
// chooses from nearly all of them, those that are left over would not suffice, and every port may be lent: the lease
// keeps tests apart from one another still.
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

// systemRange is what Linux says, and otherwise the range of RFC 6335, which macOS and the BSDs keep.
func systemRange() (from, to int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		if _, err := fmt.Sscan(string(text), &from, &to); err == nil {
			return from, to
		}
	}
	return 49152, 65535
}
