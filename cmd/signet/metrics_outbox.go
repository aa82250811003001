package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outboxMetrics show what is sent beside the requests: mail, and logouts to apps.
func outboxMetrics(p metricParts) []prometheus.Collector {
	age := func(oldest time.Time) float64 {
		if oldest.IsZero() {
			return 0
		}
		return max(0, p.now().Sub(oldest).Seconds())
	}
	return []prometheus.Collector{
		gauge("signet_mail_waiting", "Messages that wait in the outbox.", func() float64 { return float64(p.mail.Stats().Waiting) }),
		gauge("signet_mail_oldest_seconds", "Age of the oldest message that waits; 0 when none does.", func() float64 { return age(p.mail.Stats().Oldest) }),
		counter("signet_mail_sent_total", "Messages that the mail server accepted from this replica since its start.", func() float64 { return float64(p.mail.Stats().Sent) }),
		counter("signet_mail_failed_total", "Attempts of this replica to send a message that failed.", func() float64 { return float64(p.mail.Stats().Failed) }),
		counter("signet_mail_given_up_total", "Messages that this replica gave up.", func() float64 { return float64(p.mail.Stats().GivenUp) }),
		gauge("signet_logout_waiting", "Ended sessions whose apps have to be told.", func() float64 { return float64(p.logouts.Stats().Waiting) }),
		gauge("signet_logout_oldest_seconds", "How long the oldest ended session waits for its app; 0 when none does.", func() float64 { return age(p.logouts.Stats().Oldest) }),
		counter("signet_logout_sent_total", "Logouts of which this replica told an app since its start.", func() float64 { return float64(p.logouts.Stats().Sent) }),
		counter("signet_logout_failed_total", "Attempts of this replica to tell an app that failed.", func() float64 { return float64(p.logouts.Stats().Failed) }),
		counter("signet_logout_given_up_total", "Logouts that this replica gave up.", func() float64 { return float64(p.logouts.Stats().GivenUp) }),
	}
}
