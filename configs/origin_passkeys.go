package configs

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

const (
	// maxPasskeyOrigins bounds the list that every browser of every app fetches.
	maxPasskeyOrigins = 50
	// maxOriginLabels is how many registrable origin labels browsers support (WebAuthn Level 3
	// section 5.11: at least five). Chrome and Firefox skip the origins of a sixth.
	maxOriginLabels = 5
)

// badPasskeyOrigins refuses origins at which no browser would use the passkeys of the issuer's
// host, their relying party identifier.
func badPasskeyOrigins(c Config) []string {
	list, issuer := c.Passkeys.Origins, c.IssuerURL("")
	party := hostOf(issuer)
	switch {
	case len(list) == 0:
		return nil
	case isAddress(party):
		return []string{fmt.Sprintf("is of no use with the issuer %s: its host is an address, and browsers have passkeys "+
			"for names only; give the issuer a name, such as localhost, or leave the list out", issuer)}
	case len(list) > maxPasskeyOrigins:
		return []string{fmt.Sprintf("names %d origins; give at most %d", len(list), maxPasskeyOrigins)}
	}
	var labels []string
	faults := eachOf(list, func(o string) string {
		if reason := badPasskeyOrigin(o); reason != "" {
			return reason
		}
		host := hostOf(o)
		label := originLabel(host)
		switch {
		case label != "" && !slices.Contains(labels, label):
			labels = append(labels, label)
		case label == "" && host != party && !strings.HasSuffix(host, "."+party):
			return fmt.Sprintf("%q has no registrable domain, such as example.com, and no browser uses passkeys of %s "+
				"there; give the app such a name", o, party)
		}
		return ""
	})
	if len(labels) > maxOriginLabels {
		faults = append(faults, fmt.Sprintf("has origins of %d registrable domains (%s), and browsers take %d; "+
			"remove some (example.com and example.de count once)", len(labels), strings.Join(labels, ", "), maxOriginLabels))
	}
	return faults
}

// badPasskeyOrigin refuses an origin that has no passkeys of any issuer.
func badPasskeyOrigin(o string) string {
	if reason := badOrigin(o); reason != "" {
		return reason
	}
	host := hostOf(o)
	if isAddress(host) {
		return fmt.Sprintf("%q is an address, and browsers have passkeys for names only; "+
			"write the name, such as https://app.example.com or http://localhost:3000", o)
	}
	if rest, ok := strings.CutPrefix(o, "http://"); ok && !isLoopback(host) {
		return fmt.Sprintf("%q is not safe, and browsers have no passkeys there; write %q", o, "https://"+rest)
	}
	return ""
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// originLabel returns the registrable origin label of a host (WebAuthn Level 3 section 5.11.1), such
// as example for app.example.co.uk. It is empty if the host has no registrable domain; browsers skip
// such an origin when another host's passkeys are asked for.
func originLabel(host string) string {
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return ""
	}
	label, _, _ := strings.Cut(domain, ".")
	return label
}

// hostOf returns the host of an address without brackets and port.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
