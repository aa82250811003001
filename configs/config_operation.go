package configs

import (
	"log/slog"
	"time"
)

// Metrics is the section `metrics`.
type Metrics struct {
	// Address of the listener that serves /metrics and nothing else. Keep it
	// private. Empty: no metrics. When the default address is taken the server says so
	// and runs without; an address given here must be free.
	Listen string `key:"listen"`
}

// Traces is the section `traces`.
type Traces struct {
	// URL of an OpenTelemetry collector, which takes traces by OTLP over HTTP:
	// http://127.0.0.1:4318 or https://… (without a path: /v1/traces). Empty: no traces.
	// OTEL_EXPORTER_OTLP_HEADERS, …_CERTIFICATE, …_CLIENT_CERTIFICATE, …_CLIENT_KEY and
	// …_COMPRESSION count as well, and OTEL_RESOURCE_ATTRIBUTES; none of them turns traces on.
	Endpoint string `key:"endpoint"`

	// One request in so many is recorded, by chance; 1: every request.
	OneIn int `key:"one_in"`

	// The proxies of http.trusted_proxies set traceparent themselves, and pass on none that a
	// client sent. Then it is followed, also as to whether a request is recorded.
	FromProxies bool `key:"from_proxies"`
}

// Log is the section `log`.
type Log struct {
	// text, json, or auto: text on a terminal and JSON otherwise.
	Format string `key:"format"`

	// debug, info, warn or error.
	Level string `key:"level"`
}

// SlogLevel returns the level as slog's type.
func (l Log) SlogLevel() slog.Level {
	var v slog.Level
	if err := v.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo
	}
	return v
}

// Audit is the section `audit`.
type Audit struct {
	// How long entries of the audit log are kept; what is older is removed by and by.
	// From 24h to 20 years (175200h). 0: for ever.
	Retention time.Duration `key:"retention"`
}
