package main

import (
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is a collector that takes OTLP over HTTP.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
	raw   []byte // all that came, to look for secrets
}

func newReceiver(t *testing.T) *receiver {
	c := &receiver{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(r.Body)
		}
		raw, _ := io.ReadAll(body)
		var request collector.ExportTraceServiceRequest
		if r.URL.Path != "/v1/traces" || proto.Unmarshal(raw, &request) != nil {
			t.Errorf("not OTLP: %s %s", r.URL, raw)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw = append(c.raw, raw...)
		for _, of := range request.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// A login is recorded with what it spends its time on, without anything that people or clients sent.
// The end of the server sends what waits.
func TestTracesOfRequests(t *testing.T) {
	c := newReceiver(t)
	s := serving(t, "SIGNET_TRACES_ENDPOINT="+c.URL, "SIGNET_TRACES_ONE_IN=1")
	s.traffic()
	if answer, err := http.Get(s.address + "/healthz?secret-query"); err == nil {
		answer.Body.Close()
	}
	s.stop()

	byID := map[string]*tracepb.Span{}
	for _, span := range c.spans {
		byID[string(span.GetSpanId())] = span
	}
	var within, statuses []string
	login := ""
	for _, span := range c.spans {
		if span.GetName() == "GET /healthz" {
			t.Error("a probe is recorded")
		}
		if span.GetName() == "POST /v1/login" {
			for _, a := range span.GetAttributes() {
				if a.GetKey() == "http.response.status_code" {
					statuses = append(statuses, a.GetValue().String())
				}
			}
			login = string(span.GetTraceId())
		}
	}
	for _, span := range c.spans {
		if string(span.GetTraceId()) == login {
			within = append(within, span.GetName())
			if parent := byID[string(span.GetParentSpanId())]; parent == nil && span.GetName() != "POST /v1/login" {
				t.Errorf("%s has no parent", span.GetName())
			}
		}
	}
	for _, want := range []string{"POST /v1/login", "store LoginView", "wait for a hash slot", "hash", "store StartGrant", "sign tokens"} {
		if !slices.Contains(within, want) {
			t.Errorf("the trace of a login has no %q: %q", want, within)
		}
	}
	if len(statuses) != 2 {
		t.Errorf("the statuses of two logins: %q", statuses)
	}
	for _, secret := range []string{"ada@example.com", "very long password", secretOfBatch, "secret-query", "eyJ", "127.0.0.1"} {
		if strings.Contains(string(c.raw), secret) {
			t.Errorf("the traces have %q", secret)
		}
	}
	for _, line := range s.lines() {
		if id, _ := line["trace_id"].(string); line["msg"] == "request" && len(id) != 32 {
			t.Errorf("a line without the id of its trace: %v", line)
		}
	}
}

// A stranger neither forces that a request is recorded nor chooses its ids.
func TestStrangersDoNotChooseTraces(t *testing.T) {
	for name, c := range map[string]struct {
		settings []string
		followed bool
	}{
		"by default":                    {nil, false},
		"from a proxy that sets it not": {[]string{"SIGNET_HTTP_TRUSTED_PROXIES=127.0.0.1"}, false},
		"from another address":          {[]string{"SIGNET_HTTP_TRUSTED_PROXIES=192.0.2.1", "SIGNET_TRACES_FROM_PROXIES=true"}, false},
		"from a proxy that sets it":     {[]string{"SIGNET_HTTP_TRUSTED_PROXIES=127.0.0.1", "SIGNET_TRACES_FROM_PROXIES=true"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver := newReceiver(t)
			s := serving(t, append(c.settings, "SIGNET_TRACES_ENDPOINT="+receiver.URL, "SIGNET_TRACES_ONE_IN=1000000")...)
			r, _ := http.NewRequest(http.MethodGet, s.address+"/v1/profile", nil)
			r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			s.stop()
			if followed := len(receiver.spans) > 0; followed != c.followed {
				t.Errorf("followed: %t", followed)
			}
			if logged := strings.Contains(s.log.String(), "0af7651916cd43dd8448eb211c80319c"); logged != c.followed {
				t.Errorf("in the log: %t", logged)
			}
		})
	}
}

// A collector that refuses, or never answers, costs a request nothing, and a stop its bound at most.
func TestACollectorThatFails(t *testing.T) {
	t.Run("it refuses connections", func(t *testing.T) {
		closed := httptest.NewServer(nil)
		closed.Close()
		s := serving(t, "SIGNET_TRACES_ENDPOINT="+closed.URL, "SIGNET_TRACES_ONE_IN=1")
		s.traffic()
		s.stop()
		if log := s.log.String(); strings.Count(log, "were not sent") != 1 && strings.Count(log, "cannot be sent") != 1 {
			t.Errorf("the outage stands in the log once: %s", log)
		}
	})
	t.Run("it never answers", func(t *testing.T) {
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		s := serving(t, "SIGNET_TRACES_ENDPOINT=http://"+silent.Addr().String(), "SIGNET_TRACES_ONE_IN=1")
		s.traffic()
		ended := make(chan struct{})
		go func() { s.stop(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(time.Minute): // the bound is 3 s; without one it would be for ever
			t.Fatal("the server does not end")
		}
	})
}
