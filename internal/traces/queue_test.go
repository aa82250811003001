package traces

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// While the collector does not answer, spans wait up to the bound. What is more is dropped, counted
// and said once. Each span is sent, failed or dropped, and none of them twice.
func TestSpansThatDoNotFitAreCounted(t *testing.T) {
	answer := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-answer }))
	defer collector.Close()
	var log bytes.Buffer
	traces, err := New(t.Context(), Settings{Endpoint: collector.URL, OneIn: 1,
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	record := func(spans int) {
		for range spans {
			_, span, _ := traces.Request(t.Context(), "GET", "/v1/profile", "")
			span.End(nil)
		}
	}

	const more = 100
	record(maxQueued)
	if got := traces.Dropped(); got != 0 {
		t.Errorf("%d spans are dropped, and there is room for all", got)
	}
	record(more)
	if got := traces.Dropped(); got != more {
		t.Errorf("%d spans are dropped, want %d", got, more)
	}
	if n := strings.Count(log.String(), "traces are dropped"); n != 1 {
		t.Errorf("the log says so %d times: %s", n, &log)
	}

	close(answer)
	if err := traces.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sent, failed := traces.Sent(), traces.Failed(); sent != maxQueued || failed != 0 {
		t.Errorf("%d spans are sent and %d failed, want %d and none", sent, failed, maxQueued)
	}
	record(maxQueued + 1) // there is room again, and what does not fit is said again
	if got := traces.Dropped(); got > more+1 {
		t.Errorf("%d spans are dropped, want %d at most", got, more+1)
	}
	traces.Stop()
	if got := traces.Sent() + traces.Dropped(); got != 2*maxQueued+more+1 {
		t.Errorf("%d spans are sent or dropped, want %d", got, 2*maxQueued+more+1)
	}
}
