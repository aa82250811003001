package configs

import "net/url"

// badCollector says what is wrong with the address of a collector. Credentials belong into
// OTEL_EXPORTER_OTLP_HEADERS: addresses stand in logs.
func badCollector(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "is not an http or https URL; write one such as http://127.0.0.1:4318"
	case u.User != nil:
		return "has credentials; give them in OTEL_EXPORTER_OTLP_HEADERS"
	case u.RawQuery != "" || u.Fragment != "":
		return "has a query or a fragment; leave it out"
	}
	return ""
}
