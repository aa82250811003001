package configs

// Throttle is the section `throttle`: how much one network may try. A network is an
// IPv4 address or the first 64 bits of an IPv6 address; see `http.trusted_proxies`.
// How often the password of one account may be guessed is not configurable.
type Throttle struct {
	// Sign-ups, and requests for messages, that a network may make within an hour. The
	// networks of one block may make ten times as many. 0: any number.
	SignupsPerNetwork int `key:"signups_per_network"`

	// Wrong passwords that a network may send within 15 minutes, for all accounts
	// together. Raise it when many people share one address. 0: any number.
	FailuresPerNetwork int `key:"failures_per_network"`

	// Wrong passwords that the networks of one block (the /24 of an IPv4 address, the /48
	// of an IPv6 address) may send within 15 minutes, for all accounts together; networks
	// and browsers that have logged in to an account do not count there. 0: any number.
	// Not given: no less than `throttle.failures_per_network`.
	FailuresPerBlock int `key:"failures_per_block"`

	// Clients that may register themselves without a token (`oauth.registration: open`) from
	// a network within an hour. The networks of one block may register ten times as many.
	// 0: any number.
	RegistrationsPerNetwork int `key:"registrations_per_network"`

	// The same from all networks together. 0: any number.
	Registrations int `key:"registrations"`
}

// FailuresPerBlock returns throttle.failures_per_block. If that key is not set, the result is at
// least the limit of a single network.
func (c Config) FailuresPerBlock() int {
	if c.Source("throttle.failures_per_block") != "" {
		return c.Throttle.FailuresPerBlock
	}
	return max(c.Throttle.FailuresPerBlock, c.Throttle.FailuresPerNetwork)
}
