package traces

import (
	"log/slog"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// queue bounds the spans that wait for the collector, those of the batch that is being sent included.
// The library's own queue drops what does not fit without telling anybody. So this bound comes before
// it: a span that does not fit is counted here, and what comes through always fits there.
type queue struct {
	sdktrace.SpanProcessor
	most    int64
	log     *slog.Logger
	waiting atomic.Int64
	dropped atomic.Uint64
	full    atomic.Bool // and the log has said so
}

// OnEnd queues a span that has ended, or drops it. It never waits.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return // it would not be sent, so it takes no place
	}
	if q.waiting.Add(1) > q.most {
		q.waiting.Add(-1)
		q.dropped.Add(1)
		if !q.full.Swap(true) {
			q.log.Warn("traces are dropped: more spans wait for traces.endpoint than fit into the queue; "+
				"raise traces.one_in, or look after the collector", "most", q.most)
		}
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// left gives back the places of spans that were sent or given up. Once none waits, the next span
// that is dropped is news again.
func (q *queue) left(spans int) {
	if q.waiting.Add(-int64(spans)) == 0 {
		q.full.Store(false)
	}
}
