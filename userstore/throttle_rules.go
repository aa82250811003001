package userstore

import (
	"net/netip"
	"time"
)

// Limit bounds the attempts of one budget. An attempt counts from the moment it is let through
// until it turns out to be right; if it is wrong, it counts for Window. So there are never more
// than Free wrong attempts in any stretch of Window, except those that Step lets through.
type Limit struct {
	Free   int           // attempts within Window that need not wait; below 1: no limit
	Window time.Duration // how long a wrong one counts

	// With Step, one more attempt is let through after a wait. When Free are used up, the wait is
	// Step since the last one; it doubles each time, up to Longest. Without Step, an attempt must
	// leave Window first.
	Step, Longest time.Duration
}

// A password is guessed from a network that has never logged in to the account, or mistyped in one
// that has. Strangers' networks share one small budget, so that many of them guess no more than
// one, and known networks have budgets of their own, so that strangers do not lock them out.
//
// Strangers evaluate 10 guesses at once and at most 38 in any 24 hours, because guesses after a
// wait count for a day too. A password of six random digits then lasts for 36 years on average;
// passwords on a list of common ones are refused at sign-up.
var (
	strangersLimit = Limit{Free: 10, Window: 24 * time.Hour, Step: time.Minute, Longest: time.Hour}
	ownLimit       = Limit{Free: 10, Window: 15 * time.Minute}
)

func failuresLimit(n int) Limit { return Limit{Free: n, Window: 15 * time.Minute} }
func signupsLimit(n int) Limit  { return Limit{Free: n, Window: time.Hour} }

const (
	// networksOfBlock is how many networks' budgets of sign-ups a block has.
	networksOfBlock = 10
	// rememberedFor is how long a network that logged in to an account keeps a budget of its own.
	rememberedFor = 90 * 24 * time.Hour
	// pendingFor is how long an attempt may be pending. After that its replica is presumed dead,
	// and it counts as wrong, because its result is unknown.
	pendingFor = 30 * time.Second
)

// Tally holds what counts against a budget now.
type Tally struct {
	Wrong   int // attempts within Window that were wrong, or whose pending time is over
	Pending int // attempts without a result yet
	// When the first and the last of the wrong attempts were let through; zero if there are none.
	Oldest, Newest time.Time
}

// Wait returns how long the next attempt has to wait after the last one when n count already.
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

// Doublings returns the number of doublings after which Step is no shorter than Longest. The store
// shifts as Wait does, and the number keeps it from shifting too far.
func (l Limit) Doublings() int {
	n := 0
	for l.Step > 0 && n < 62 && l.Step<<n < l.Longest {
		n++
	}
	return n
}

// Opens returns when t lets one more attempt through if all pending ones turn out right. A time not
// after now means at once. Pending attempts that turn out wrong can only delay it. With Step, the
// budget may open earlier than returned when several attempts leave Window together.
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

// network returns the network that an address is counted as: an IPv4 address, or the /64 of an IPv6
// address, which belongs to one customer (RFC 6177). An IPv4 address written as IPv6 is the IPv4
// address. All unreadable addresses are one network too: not to count them would be a way around
// the limits.
func network(address string) string { return networkAround(address, 32, 64) }

// block returns the wider network around an address. An owner of one address of a /24, or of one
// /64 of a /48, often has the whole of it.
func block(address string) string { return networkAround(address, 24, 48) }

// NetworkOf returns the network of an address: the name under which what comes from there counts.
func NetworkOf(address string) string { return network(address) }

// networkAround returns the network of so many bits around an address.
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
