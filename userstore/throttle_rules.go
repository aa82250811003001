package userstore

import (
	"net/netip"
	"time"
)

// Limit bounds the attempts of one budget. An attempt counts from the moment it is let in
// until it turns out to have been right, and, if it was wrong, for Window: so there are
// never more than Free wrong ones in any stretch of Window — but for those that
// Step lets through.
type Limit struct {
	Free   int           // attempts within Window that nothing stands in the way of; below 1: no limit
	Window time.Duration // how long a wrong one counts

	// With Step, one more is let in after a wait: of Step since the last one when Free are used up, then of
	// twice as long each time, and at most of Longest. Without, one must leave Window first.
	Step, Longest time.Duration
}

// A password is guessed from a network that has never logged in to the account, or is mistyped
// by somebody who has. The former share what little there is, so that many
// networks guess no more than one, and the latter are not locked out by them.
//
// Strangers evaluate 10 guesses at once and 38 in any 24 hours at most, for those that wait
// count for a day, too. A password of six random digits then lasts for 36 years on
// average; those on a list of common ones are refused at sign-up.
var (
	strangersLimit = Limit{Free: 10, Window: 24 * time.Hour, Step: time.Minute, Longest: time.Hour}
	ownLimit       = Limit{Free: 10, Window: 15 * time.Minute}
)

func failuresLimit(n int) Limit { return Limit{Free: n, Window: 15 * time.Minute} }
func signupsLimit(n int) Limit  { return Limit{Free: n, Window: time.Hour} }

const (
	// rememberedFor is how long a network that logged in to an account keeps a budget of its own.
	rememberedFor = 90 * 24 * time.Hour
	// pendingFor is how long an attempt may be under way. One of which nothing was heard for so
	// long was lost with its replica, and counts as wrong: nobody knows whether it was.
	pendingFor = 30 * time.Second
)

// Tally is what counts against a budget now.
type Tally struct {
	Wrong   int // attempts of the Window that were wrong, or are long overdue
	Pending int // attempts that are under way
	// When the first and the last of the wrong ones were let in; zero without one.
	Oldest, Newest time.Time
}

// Wait is how long the next attempt has to wait after the last one when n count already.
func (l Limit) Wait(n int) time.Duration {
	over := n - l.Free
	switch {
	case over < 0 || l.Free < 1:
		return 0
	case l.Step <= 0:
		return l.Window
	}
	if over >= l.Doublings() {
		return l.Longest
	}
	return l.Step << over
}

// Doublings is after how many doublings Step is no shorter than Longest. It is
// how the store, which shifts as Wait does, is kept from shifting too far.
func (l Limit) Doublings() int {
	n := 0
	for l.Step > 0 && n < 62 && l.Step<<n < l.Longest {
		n++
	}
	return n
}

// Opens is when t lets one more in if all that is pending turns out right; not after
// now: it does already. Pending ones that turn out wrong can only put it off. With Step it may
// open earlier than is said here, when several leave Window together.
func (l Limit) Opens(t Tally) time.Time {
	if l.Free < 1 || t.Wrong < l.Free {
		return time.Time{}
	}
	moved := t.Oldest.Add(l.Window)
	if l.Step <= 0 {
		return moved
	}
	waited := t.Newest.Add(l.Wait(t.Wrong))
	if t.Wrong == l.Free && moved.Before(waited) {
		return moved
	}
	return waited
}

// network is what an address is counted as: an IPv4 address, or the /64 of an IPv6
// address, all of which one customer has (RFC 6177). An IPv4 address written as IPv6 is
// the IPv4 address. What cannot be read is one network, too: to let it pass would
// be the way around.
func network(address string) string { return networkAround(address, 32, 64) }

// block is the wider network that an address lies in: whoever has one address of a /24, or one /64 of
// a /48, often has them all.
func block(address string) string { return networkAround(address, 24, 48) }

// around is the network of so many bits around an address.
func networkAround(address string, bits4, bits6 int) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	return netip.PrefixFrom(a, bits).Masked().String()
}
