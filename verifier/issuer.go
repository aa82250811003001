package verifier

import (
	"fmt"
	"slices"
)

// Issuer is one of several issuers whose tokens are accepted (Config.MoreIssuers). Only Identifier
// is required.
//
// A token's `iss` picks exactly one issuer, byte for byte, and only that issuer's keys, audience
// and algorithms count for the token. Each issuer has its own key set, cooldown and outages. An
// `iss` that names none is refused without a fetch.
//
// Two issuers may give the same `sub` to different people: store it together with Token.Issuer.
type Issuer struct {
	Identifier string   // byte for byte as in `iss`
	Audience   []string // default: Config.Audience
	JWKSURL    string   // as Config.JWKSURL
	Algorithms []string // default: Config.Algorithms
	Bundle     []byte   // as Config.Bundle

	StatusBaseURL string // as Config.StatusBaseURL
}

// trusted is an issuer as a Verifier uses it.
type trusted struct {
	identifier string
	audience   []string
	algorithms []string
	keys       *keySet
	status     *statusLists // nil: not checked
}

// issuers returns the issuers of the configuration with their defaults.
func (c *Config) issuers() []Issuer {
	all := append([]Issuer{{c.Issuer, c.Audience, c.JWKSURL, c.Algorithms, c.Bundle, c.StatusBaseURL}}, c.MoreIssuers...)
	for i := range all {
		if len(all[i].Audience) == 0 {
			all[i].Audience = c.Audience
		}
		if len(all[i].Algorithms) == 0 {
			all[i].Algorithms = c.Algorithms
		}
		if len(all[i].Algorithms) == 0 {
			all[i].Algorithms = []string{RS256, EdDSA, ES256, PS256}
		}
	}
	return all
}

func (c *Config) identifiers() []string {
	var identifiers []string
	for _, issuer := range c.issuers() {
		identifiers = append(identifiers, issuer.Identifier)
	}
	return identifiers
}

// faults returns what is wrong with an issuer; where names its place in the configuration.
func (i Issuer) faults(where string, offline bool) []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(where+format, args...)) }
	if where != "" && checkIssuer(i.Identifier) != nil {
		fault("Identifier must be the issuer's URL, without query and fragment (got %q)", i.Identifier)
	}
	if where != "" && slices.Contains(i.Audience, "") {
		fault("Audience must not hold an empty name")
	}
	if i.JWKSURL != "" && checkURL(i.JWKSURL) != nil {
		fault("JWKSURL must be an http or https URL without user name")
	}
	if i.StatusBaseURL != "" && checkURL(i.StatusBaseURL) != nil {
		fault("StatusBaseURL must be an http or https URL without user name")
	}
	for _, alg := range i.Algorithms {
		if !slices.Contains([]string{RS256, PS256, ES256, EdDSA}, alg) {
			fault("Algorithms: %q is none of RS256, PS256, ES256 and EdDSA", alg)
		}
	}
	if offline && (len(i.Bundle) == 0 || i.JWKSURL != "") {
		fault("Bundle is where the keys come from if Offline, and JWKSURL must then be empty")
	}
	return faults
}

// trust returns an issuer of c, with the keys of its bundle if it has one.
func (v *Verifier) trust(c Config, i Issuer) (*trusted, error) {
	c.Issuer, c.JWKSURL = i.Identifier, i.JWKSURL
	one := &trusted{
		identifier: i.Identifier,
		audience:   slices.Clone(i.Audience),
		algorithms: slices.Clone(i.Algorithms),
		keys:       newKeySet(c, v.now, v.log),
	}
	if c.Status == StatusRequire {
		one.status = newStatusLists(v, one, c, i.StatusBaseURL)
	}
	if len(i.Bundle) == 0 {
		return one, nil
	}
	return one, one.begin(i.Bundle)
}

// issuer returns the issuer with this identifier; nil: there is none.
func (v *Verifier) issuer(identifier string) *trusted {
	for _, one := range v.issuers {
		if one.identifier == identifier {
			return one
		}
	}
	return nil
}
