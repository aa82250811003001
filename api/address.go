package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// parseProxies reads CIDRs and single addresses.
func parseProxies(list []string) (out []netip.Prefix, err error) {
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, aerr := netip.ParseAddr(text)
			if aerr != nil {
				return nil, fmt.Errorf("http.trusted_proxies: %q is neither an address nor a CIDR", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// clientAddress is the peer's address or, when the peer is a trusted proxy, the
// rightmost address of X-Forwarded-For that is not one: everything left of it is what
// the client says of itself. No other forwarding header is read, from anybody.
func (h *handler) clientAddress(r *http.Request) string {
	peer, ok := parseHop(r.RemoteAddr)
	if !ok {
		return ""
	}
	if len(h.trusted) == 0 || !h.trusts(peer) {
		if host, _, _ := strings.Cut(r.RemoteAddr, ":"); peer.Is4() && strings.Contains(host, ".") {
			return host // as String would write it, and without memory: an IPv4 address has one text
		}
		return peer.String()
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break // a trusted proxy writes addresses that can be read
		}
		peer = hop
		if !h.trusts(hop) {
			break
		}
	}
	return peer.String()
}

func (h *handler) trusts(a netip.Addr) bool {
	for _, p := range h.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseHop reads an address with or without a port; IPv4-mapped IPv6 becomes IPv4.
func parseHop(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}
