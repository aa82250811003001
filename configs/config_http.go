package configs

import (
	"net"
	"time"
)

// HTTP is the section `http`.
type HTTP struct {
	// Origins of browser apps that may call us, such as https://app.example.com,
	// written as browsers send them: no default port, no path, no pattern.
	CORSOrigins []string `key:"cors_origins"`

	// Networks (CIDR) or addresses of proxies whose X-Forwarded-For is believed.
	TrustedProxies []string `key:"trusted_proxies"`

	// PEM file of the certificate chain, for TLS without a proxy. A renewed file
	// is taken up within a minute.
	TLSCert string `key:"tls_cert"`

	// PEM file of its private key.
	TLSKey string `key:"tls_key"`

	// How long after SIGTERM connections are still accepted while /readyz says no
	// already. Make it longer than the period of the probe that decides where requests
	// go, times the failures that it needs. 0s: the listener closes at once.
	DrainNotice time.Duration `key:"drain_notice"`
}

// Outbound is the section `outbound`: calls that Signet makes to addresses that clients
// registered, such as their jwks_uri. They go to public addresses only, by https.
type Outbound struct {
	// Hosts that are called wherever they are, also on a private network: names or
	// addresses, each alone or as host:port.
	AllowHosts []string `key:"allow_hosts"`

	// PEM file of certificate authorities that are trusted for these calls, and for `mail.smtp`,
	// besides the system's. Read at the start.
	CAFile string `key:"ca_file"`
}

// IssuerURL returns the issuer identifier. bound is the address of the public listener; it matters
// only for the default issuer with port 0.
func (c Config) IssuerURL(bound string) string {
	if c.Issuer != "" {
		return c.Issuer
	}
	if bound == "" {
		bound = c.Listen
	}
	scheme := "http"
	if c.HTTP.TLSCert != "" {
		scheme = "https"
	}
	_, port, err := net.SplitHostPort(bound)
	if err != nil || port == "" {
		return scheme + "://localhost"
	}
	return scheme + "://localhost:" + port
}
