package main

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/signet-id/signet/internal/backchannel"
	"github.com/signet-id/signet/internal/counts"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// metrics exports the packages' counts to Prometheus. Labels have few values, and strangers cannot
// add any: routes are templates, and unknown methods are OTHER.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec

	// Looking up a labelled counter costs more than counting, so each is looked up once.
	cells counts.Cells[cellKey, cell]
}

type cellKey struct {
	route, method string
	status        int
}

type cell struct {
	requests prometheus.Counter
	latency  prometheus.Observer
}

// metricParts are the parts of a server that know something to show.
type metricParts struct {
	hasher    *password.Hasher
	keys      *keys.Manager
	db        *sqlstore.DB
	mail      *mail.Worker
	logouts   *backchannel.Sender
	admission *issuer.Admission
	throttle  *userstore.Throttle
	documents *issuer.ClientDocuments // nil: there are none
	issued    *issuer.Counts
	accounts  *userstore.Counts
	swept     *counts.Words
	now       func() time.Time
}

func newMetrics(p metricParts) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signet_http_requests_total", Help: "Answered requests by route, method and status.",
		}, []string{"route", "method", "status"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "signet_http_request_duration_seconds", Help: "Time from the header of a request to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
	}
	build := buildVersion()
	m.registry.MustRegister(
		m.requests, m.latency,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "signet_build_info", Help: "1, with the version, and what makes RSA signatures, in the labels.",
			ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.revision(), "go": build.Go, "rsa": build.RSA},
		}, func() float64 { return 1 }),
	)
	for _, part := range []func(metricParts) []prometheus.Collector{
		tokenMetrics, accountMetrics, hashMetrics, keyMetrics, storeMetrics, outboxMetrics,
	} {
		m.registry.MustRegister(part(p)...)
	}
	return m
}

// Request implements api.Metrics.
func (m *metrics) Request(route, method string, status int, took time.Duration) {
	c := m.cells.Of(cellKey{route, method, status}, m.cell)
	c.requests.Inc()
	c.latency.Observe(took.Seconds())
}

func (m *metrics) cell(key cellKey) cell {
	return cell{
		requests: m.requests.WithLabelValues(key.route, key.method, strconv.Itoa(key.status)),
		latency:  m.latency.WithLabelValues(key.route, key.method),
	}
}

func gauge(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
}

func counter(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value)
}

// counterSet is a family of counters that a package counts itself. Outcomes that never happened are
// there with 0, so that an alert sees the first one.
type counterSet struct {
	desc *prometheus.Desc
	each func(yield func(labels []string, n uint64))
}

func (c *counterSet) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

func (c *counterSet) Collect(ch chan<- prometheus.Metric) {
	c.each(func(labels []string, n uint64) {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(n), labels...)
	})
}

// counters returns a counterSet with one label.
func counters(name, help, label string, each func(yield func(value string, n uint64))) prometheus.Collector {
	return &counterSet{prometheus.NewDesc(name, help, []string{label}, nil), func(yield func([]string, uint64)) {
		each(func(value string, n uint64) { yield([]string{value}, n) })
	}}
}

// counters2 returns a counterSet with two labels.
func counters2(name, help string, labels [2]string, each func(yield func(first, second string, n uint64))) prometheus.Collector {
	return &counterSet{prometheus.NewDesc(name, help, labels[:], nil), func(yield func([]string, uint64)) {
		each(func(first, second string, n uint64) { yield([]string{first, second}, n) })
	}}
}

// histogram returns durations that a package counts itself.
func histogram(d *prometheus.Desc, h counts.Durations, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstHistogram(d, h.Count, h.Sum.Seconds(), h.Buckets, labels...)
}
