package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/password"
)

// accountMetrics show what people do, and what is refused to them.
func accountMetrics(p metricParts) []prometheus.Collector {
	return []prometheus.Collector{
		counters("signet_logins_total", "Steps of logins by outcome; ok is a login that is complete.", "outcome",
			func(yield func(string, uint64)) { p.accounts.Logins.Each(userstore.LoginOutcomes, yield) }),
		counters("signet_signups_total", "Sign-ups by outcome.", "outcome",
			func(yield func(string, uint64)) { p.accounts.SignUps.Each(userstore.SignUpOutcomes, yield) }),
		counters("signet_rate_limited_total", "Attempts refused because a limit was reached, by limit.", "limit",
			func(yield func(string, uint64)) { p.throttle.Refused.Each(userstore.Limits, yield) }),
	}
}

// hashMetrics show the work of the password hasher, and of the one for clients' secrets.
func hashMetrics(p metricParts) []prometheus.Collector {
	h := p.hasher
	return []prometheus.Collector{
		gauge("signet_password_hashes_running", "Passwords that are being hashed.", func() float64 { return float64(h.Stats().Running) }),
		gauge("signet_password_hashes_waiting", "Callers that wait for a hash slot.", func() float64 { return float64(h.Stats().Waiting) }),
		counter("signet_password_hashes_total", "Passwords hashed since the start.", func() float64 { return float64(h.Stats().Started) }),
		counter("signet_password_hashes_refused_total", "Callers sent away because the queue was full or the wait too long.", func() float64 { return float64(h.Stats().Refused) }),
		gauge("signet_client_secret_hashes_waiting", "Callers that wait for the slot of client secrets.", func() float64 { return float64(h.Secrets.Stats().Waiting) }),
		counter("signet_client_secret_hashes_total", "Client secrets hashed since the start.", func() float64 { return float64(h.Secrets.Stats().Started) }),
		counter("signet_client_secret_hashes_refused_total", "Callers sent away from the queue of client secrets.", func() float64 { return float64(h.Secrets.Stats().Refused) }),
		&hashWaits{h},
	}
}

// hashWaits collects how long callers waited for a slot.
type hashWaits struct{ hasher *password.Hasher }

var (
	passwordWait = prometheus.NewDesc("signet_password_hash_wait_seconds", "Waits for a hash slot, of callers that got one.", nil, nil)
	secretWait   = prometheus.NewDesc("signet_client_secret_hash_wait_seconds", "Waits for the slot of client secrets, of callers that got it.", nil, nil)
)

func (h *hashWaits) Describe(ch chan<- *prometheus.Desc) {
	ch <- passwordWait
	ch <- secretWait
}

func (h *hashWaits) Collect(ch chan<- prometheus.Metric) {
	ch <- histogram(passwordWait, h.hasher.Waits.Read())
	ch <- histogram(secretWait, h.hasher.Secrets.Waits.Read())
}
