package main

import (
	"context"
	"log/slog"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/traces"
)

// newTraces returns the recorder of traces, and a function that sends the last of them. The recorder
// is nil where no collector is configured.
func newTraces(ctx context.Context, c configs.Config, log *slog.Logger) (*traces.Traces, func(), error) {
	if c.Traces.Endpoint == "" {
		return nil, func() {}, nil
	}
	t, err := traces.New(ctx, traces.Settings{
		Endpoint: c.Traces.Endpoint, OneIn: c.Traces.OneIn, Version: buildVersion().Version, Log: log,
	})
	if err != nil {
		return nil, nil, err
	}
	log.Info("traces are sent", "endpoint", c.Traces.Endpoint, "one_in", c.Traces.OneIn)
	return t, t.Stop, nil
}

// addTraces shows what becomes of the traces, where there are any.
func (m *metrics) addTraces(t *traces.Traces) {
	if t == nil {
		return
	}
	m.registry.MustRegister(
		counter("signet_trace_spans_sent_total", "Spans that the collector took.", func() float64 { return float64(t.Sent()) }),
		counter("signet_trace_spans_failed_total", "Spans that could not be sent.", func() float64 { return float64(t.Failed()) }),
		counter("signet_trace_spans_dropped_total", "Spans that did not fit into the queue.",
			func() float64 { return float64(t.Dropped()) }),
	)
}
