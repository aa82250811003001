// Package traces records requests as OpenTelemetry traces and sends them to a collector by OTLP over
// HTTP. It is the only door to OpenTelemetry.
//
// No request waits for the collector: spans are queued and sent in batches in the background, and
// what does not fit into the queue is dropped and counted. Whether a request is recorded is decided
// here when it begins, by chance. A stranger cannot force it: traceparent is only read where the
// caller says that it comes from a proxy that sets it.
package traces

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/signet-id/signet/internal/span"
)

// Settings are what an operator chooses.
type Settings struct {
	Endpoint string // of the collector: an http or https URL; without a path it is /v1/traces
	OneIn    int    // one request in so many is recorded; at least 1
	Version  string // of this program
	Log      *slog.Logger
}

// The bounds of what may wait for the collector, and for how long.
const (
	maxQueued   = 4096 // spans, with those that are being sent; what does not fit is dropped
	maxBatch    = 512
	batchDelay  = 2 * time.Second
	sendLimit   = 5 * time.Second // of one attempt
	retryFor    = 15 * time.Second
	flushWithin = 3 * time.Second
)

// Traces records requests.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	sender   *sender
	queue    *queue
}

// New makes the recorder of a process. It sends nothing yet, so a collector that is not there is no
// error.
func New(ctx context.Context, s Settings) (*Traces, error) {
	endpoint, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("traces.endpoint: %w", err)
	}
	if endpoint.Path == "" || endpoint.Path == "/" {
		endpoint.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(endpoint.String()),
		otlptracehttp.WithTimeout(sendLimit),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: retryFor}))
	if err != nil {
		return nil, fmt.Errorf("traces.endpoint: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "signet"), attribute.String("service.version", s.Version)),
		resource.WithFromEnv()) // OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	t := &Traces{sender: &sender{SpanExporter: exporter, log: s.Log}, queue: &queue{most: maxQueued, log: s.Log}}
	t.sender.sentOrGivenUp = t.queue.left
	t.queue.SpanProcessor = sdktrace.NewBatchSpanProcessor(t.sender, sdktrace.WithMaxQueueSize(maxQueued),
		sdktrace.WithMaxExportBatchSize(maxBatch), sdktrace.WithBatchTimeout(batchDelay),
		sdktrace.WithExportTimeout(retryFor+sendLimit))
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(about),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(1/float64(max(1, s.OneIn))))),
		sdktrace.WithSpanProcessor(t.queue))
	t.tracer = t.provider.Tracer("github.com/signet-id/signet")
	return t, nil
}

// Stop sends what still waits, for three seconds at most.
func (t *Traces) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.sender.log.Warn("the last traces were not sent", "error", err)
	}
}

// Failed returns how many spans the collector did not take, for metrics.
func (t *Traces) Failed() uint64 { return t.sender.failed.Load() }

// Dropped returns how many spans did not fit into the queue, for metrics. They are not among the
// failed ones.
func (t *Traces) Dropped() uint64 { return t.queue.dropped.Load() }

// Sent returns how many spans the collector took.
func (t *Traces) Sent() uint64 { return t.sender.sent.Load() }

// Request begins the span of a request, if it is recorded, and returns its context and the id of its
// trace. parent is the traceparent header of a proxy that is trusted to set it; empty: the trace
// begins here.
func (t *Traces) Request(ctx context.Context, method, route, parent string) (context.Context, span.Span, string) {
	if parent != "" {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
	}
	ctx, s := t.tracer.Start(ctx, method+" "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", method), attribute.String("http.route", route)))
	if !s.IsRecording() {
		return ctx, span.Span{}, ""
	}
	return span.With(ctx, tracer{t.tracer}), span.Of(open{s}), s.SpanContext().TraceID().String()
}

type tracer struct{ trace.Tracer }

func (t tracer) Begin(ctx context.Context, name string) (context.Context, span.Open) {
	ctx, s := t.Start(ctx, name)
	return ctx, open{s}
}

type open struct{ trace.Span }

func (o open) Text(key, value string)   { o.SetAttributes(attribute.String(key, value)) }
func (o open) Number(key string, n int) { o.SetAttributes(attribute.Int(key, n)) }
func (o open) End(failed bool) {
	if failed {
		o.SetStatus(codes.Error, "")
	}
	o.Span.End()
}

// sender counts what is sent, and logs an outage of the collector once.
type sender struct {
	sdktrace.SpanExporter
	log           *slog.Logger
	down          atomic.Bool
	sent, failed  atomic.Uint64
	sentOrGivenUp func(spans int)
}

// ExportSpans never returns an error: the library would write it to the process's standard error.
func (s *sender) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := s.SpanExporter.ExportSpans(ctx, spans)
	s.sentOrGivenUp(len(spans))
	if err != nil {
		s.failed.Add(uint64(len(spans)))
		if !s.down.Swap(true) {
			s.log.Warn("traces cannot be sent to traces.endpoint; what does not fit into the queue meanwhile is dropped", "error", err)
		}
		return nil
	}
	s.sent.Add(uint64(len(spans)))
	if s.down.Swap(false) {
		s.log.Info("traces are sent again")
	}
	return nil
}
