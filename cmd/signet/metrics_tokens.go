package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signet-id/signet/issuer"
)

// tokenMetrics show what the issuer issues and refuses.
func tokenMetrics(p metricParts) []prometheus.Collector {
	documents := p.documents
	if documents == nil {
		documents = &issuer.ClientDocuments{}
	}
	return []prometheus.Collector{
		counters2("signet_tokens_issued_total", "Tokens issued by client and kind. Clients that made themselves are one, "+
			"and so are those beyond the first hundred.", [2]string{"client", "kind"}, p.issued.Tokens),
		counters2("signet_token_requests_total", "Requests at the token endpoint by grant type and outcome.",
			[2]string{"grant_type", "outcome"}, p.issued.Requests),
		counters("signet_refreshes_total", "Refresh tokens presented, by outcome.", "outcome",
			func(yield func(string, uint64)) { p.issued.Refreshes.Each(issuer.RefreshOutcomes, yield) }),
		counters("signet_code_redemptions_total", "Authorization codes presented at the token endpoint, by outcome.", "outcome",
			func(yield func(string, uint64)) { p.issued.Codes.Each(issuer.CodeOutcomes, yield) }),
		counter("signet_device_authorizations_total", "Devices that were given a code to show.",
			func() float64 { return float64(p.issued.Devices.Load()) }),
		counters("signet_client_document_fetches_total", "Fetches of metadata documents of clients, by outcome.", "outcome",
			func(yield func(string, uint64)) { documents.Fetches.Each(issuer.FetchOutcomes, yield) }),
		gauge("signet_signatures_running", "Signatures that are being computed.",
			func() float64 { return float64(p.admission.Stats().Signing) }),
		gauge("signet_signature_requests_waiting", "Requests that wait to be admitted to signing.",
			func() float64 { return float64(p.admission.Stats().Waiting) }),
		counter("signet_signature_requests_refused_total", "Requests sent away because more signatures were asked for than can be made in time.",
			func() float64 { return float64(p.admission.Stats().Refused) }),
	}
}
