package keys

import (
	"fmt"
	"strings"
	"time"
)

// Parameters are the durations of a Policy, which decide a timeline. The serving replicas store
// them with the key set when they start, as they do with the algorithms. A command plans with the
// stored parameters: its own environment may lack the servers' configuration, and a key that signs
// too early by the servers' parameters is one that verifiers do not have.
type Parameters struct {
	Rotation        time.Duration `json:"rotation"`
	Propagation     time.Duration `json:"propagation"`
	JWKSMaxAge      time.Duration `json:"jwks_max_age"`
	ClockSkew       time.Duration `json:"clock_skew"`
	LongestLifetime time.Duration `json:"longest_lifetime"`
	RefreshAbsolute time.Duration `json:"refresh_absolute"`
}

// Parameters returns the durations of the policy.
func (p Policy) Parameters() Parameters {
	return Parameters{p.Rotation, p.Propagation, p.JWKSMaxAge, p.ClockSkew, p.LongestLifetime, p.RefreshAbsolute}
}

// with returns the policy with other parameters; zero parameters leave it unchanged.
func (p Policy) with(o Parameters) Policy {
	if o == (Parameters{}) {
		return p
	}
	p.Rotation, p.Propagation, p.JWKSMaxAge, p.ClockSkew, p.LongestLifetime, p.RefreshAbsolute =
		o.Rotation, o.Propagation, o.JWKSMaxAge, o.ClockSkew, o.LongestLifetime, o.RefreshAbsolute
	return p
}

// named returns the parameters under their keys in the configuration.
func (o Parameters) named() []namedDuration {
	return []namedDuration{
		{"keys.rotation", o.Rotation}, {"keys.propagation", o.Propagation}, {"keys.jwks_max_age", o.JWKSMaxAge},
		{"clock_skew", o.ClockSkew},
		{"the longest token lifetime", o.LongestLifetime}, {"refresh.absolute", o.RefreshAbsolute},
	}
}

type namedDuration struct {
	name  string
	value time.Duration
}

// difference describes how the parameters of a command, here, differ from the stored ones; empty:
// they do not, or none are stored.
func (o Parameters) difference(here Parameters) string {
	if o == (Parameters{}) || o == here {
		return ""
	}
	var parts []string
	own := here.named()
	for i, p := range o.named() {
		if p.value != own[i].value {
			parts = append(parts, fmt.Sprintf("%s is %s there and %s here", p.name, short(p.value), short(own[i].value)))
		}
	}
	return "The servers run with other settings than this command, and theirs are used: " + strings.Join(parts, ", ") +
		". Run the command with the servers' configuration, or restart the servers if theirs is the old one."
}
