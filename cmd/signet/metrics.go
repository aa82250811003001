package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/backchannel"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/keys"
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
	cells sync.Map // cellKey → cell
}

type cellKey struct {
	route, method string
	status        int
}

type cell struct {
	requests prometheus.Counter
	latency  prometheus.Observer
}

func newMetrics(hasher *password.Hasher, manager *keys.Manager, db *sqlstore.DB, mailer *mail.Worker, logouts *backchannel.Sender, now func() time.Time) *metrics {
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
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	counter := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value)
	}
	build := buildVersion()
	m.registry.MustRegister(
		m.requests, m.latency,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "signet_build_info", Help: "1, with the version in the labels.",
			ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.revision(), "go": build.Go},
		}, func() float64 { return 1 }),
		gauge("signet_password_hashes_running", "Passwords that are being hashed.", func() float64 { return float64(hasher.Stats().Running) }),
		gauge("signet_password_hashes_waiting", "Callers that wait for a hash slot.", func() float64 { return float64(hasher.Stats().Waiting) }),
		counter("signet_password_hashes_total", "Passwords hashed since the start.", func() float64 { return float64(hasher.Stats().Started) }),
		counter("signet_password_hashes_refused_total", "Callers sent away because the queue was full or the wait too long.", func() float64 { return float64(hasher.Stats().Refused) }),
		gauge("signet_client_secret_hashes_waiting", "Callers that wait for the slot of client secrets.", func() float64 { return float64(hasher.Secrets.Stats().Waiting) }),
		counter("signet_client_secret_hashes_total", "Client secrets hashed since the start.", func() float64 { return float64(hasher.Secrets.Stats().Started) }),
		counter("signet_client_secret_hashes_refused_total", "Callers sent away from the queue of client secrets.", func() float64 { return float64(hasher.Secrets.Stats().Refused) }),
		gauge("signet_keys_ready", "1 when this replica may sign.", func() float64 {
			if manager.Ready() != nil {
				return 0
			}
			return 1
		}),
		gauge("signet_mail_waiting", "Messages that wait in the outbox.", func() float64 { return float64(mailer.Stats().Waiting) }),
		gauge("signet_mail_oldest_seconds", "Age of the oldest message that waits; 0 when none does.", func() float64 {
			oldest := mailer.Stats().Oldest
			if oldest.IsZero() {
				return 0
			}
			return max(0, now().Sub(oldest).Seconds())
		}),
		counter("signet_mail_sent_total", "Messages that the mail server accepted from this replica since its start.", func() float64 { return float64(mailer.Stats().Sent) }),
		counter("signet_mail_failed_total", "Attempts of this replica to send a message that failed.", func() float64 { return float64(mailer.Stats().Failed) }),
		counter("signet_mail_given_up_total", "Messages that this replica gave up.", func() float64 { return float64(mailer.Stats().GivenUp) }),
		gauge("signet_logout_waiting", "Ended sessions whose apps have to be told.", func() float64 { return float64(logouts.Stats().Waiting) }),
		gauge("signet_logout_oldest_seconds", "How long the oldest ended session waits for its app; 0 when none does.", func() float64 {
			oldest := logouts.Stats().Oldest
			if oldest.IsZero() {
				return 0
			}
			return max(0, now().Sub(oldest).Seconds())
		}),
		counter("signet_logout_sent_total", "Logouts of which this replica told an app since its start.", func() float64 { return float64(logouts.Stats().Sent) }),
		counter("signet_logout_failed_total", "Attempts of this replica to tell an app that failed.", func() float64 { return float64(logouts.Stats().Failed) }),
		counter("signet_logout_given_up_total", "Logouts that this replica gave up.", func() float64 { return float64(logouts.Stats().GivenUp) }),
		&keyCollector{manager: manager, now: now},
		&poolCollector{db: db},
	)
	return m
}

// Request implements api.Metrics.
func (m *metrics) Request(route, method string, status int, took time.Duration) {
	key := cellKey{route, method, status}
	found, ok := m.cells.Load(key)
	if !ok {
		found, _ = m.cells.LoadOrStore(key, cell{
			requests: m.requests.WithLabelValues(route, method, strconv.Itoa(status)),
			latency:  m.latency.WithLabelValues(route, method),
		})
	}
	c := found.(cell)
	c.requests.Inc()
	c.latency.Observe(took.Seconds())
}

// keyCollector collects the signing keys as this replica sees them. It does not ask the store,
// because metrics matter most while the store is down.
type keyCollector struct {
	manager *keys.Manager
	now     func() time.Time
}

var (
	keyStates   = prometheus.NewDesc("signet_signing_keys", "Signing keys by algorithm and state.", []string{"alg", "state"}, nil)
	keyRotation = prometheus.NewDesc("signet_signing_key_next_rotation_timestamp_seconds", "When the next key of an algorithm begins to sign.", []string{"alg"}, nil)
)

func (k *keyCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- keyStates
	ch <- keyRotation
}

func (k *keyCollector) Collect(ch chan<- prometheus.Metric) {
	report, ok := k.manager.Current()
	if !ok {
		return
	}
	type group struct {
		alg   string
		state keys.State
	}
	counts := map[group]int{}
	next := map[string]time.Time{}
	for _, alg := range report.Algorithms {
		for _, state := range []keys.State{keys.Pending, keys.Active, keys.Retiring} {
			counts[group{alg, state}] = 0
		}
	}
	for _, key := range report.Keys {
		if key.State == keys.Removed {
			continue
		}
		counts[group{key.Algorithm, key.State}]++
		if at := next[key.Algorithm]; key.State == keys.Pending && (at.IsZero() || key.ActivateAt.Before(at)) {
			next[key.Algorithm] = key.ActivateAt
		}
	}
	for g, n := range counts {
		ch <- prometheus.MustNewConstMetric(keyStates, prometheus.GaugeValue, float64(n), g.alg, string(g.state))
	}
	for alg, at := range next {
		ch <- prometheus.MustNewConstMetric(keyRotation, prometheus.GaugeValue, float64(at.UnixMilli())/1000, alg)
	}
}

// poolCollector collects the store's connections.
type poolCollector struct{ db *sqlstore.DB }

var (
	poolConns = prometheus.NewDesc("signet_store_connections", "Connections to the store by state.", []string{"state"}, nil)
	poolMax   = prometheus.NewDesc("signet_store_connections_max", "Connections that the pool may open.", nil, nil)
	poolWaits = prometheus.NewDesc("signet_store_waits_total", "Calls that had to wait for a connection.", nil, nil)
	poolTime  = prometheus.NewDesc("signet_store_wait_seconds_total", "Time that calls waited for a connection.", nil, nil)
)

func (p *poolCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolConns, poolMax, poolWaits, poolTime} {
		ch <- d
	}
}

func (p *poolCollector) Collect(ch chan<- prometheus.Metric) {
	s := p.db.Stats()
	ch <- prometheus.MustNewConstMetric(poolConns, prometheus.GaugeValue, float64(s.InUse), "in_use")
	ch <- prometheus.MustNewConstMetric(poolConns, prometheus.GaugeValue, float64(s.Idle), "idle")
	ch <- prometheus.MustNewConstMetric(poolMax, prometheus.GaugeValue, float64(s.Max))
	ch <- prometheus.MustNewConstMetric(poolWaits, prometheus.CounterValue, float64(s.Waits))
	ch <- prometheus.MustNewConstMetric(poolTime, prometheus.CounterValue, s.Waited.Seconds())
}

// serveMetrics opens the separate listener for metrics. If the default address is in use, the
// server starts without metrics; a configured address that is in use fails the start.
func serveMetrics(c configs.Config, m *metrics, log *slog.Logger) (closeListener func(), err error) {
	if c.Metrics.Listen == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", c.Metrics.Listen)
	if errors.Is(err, syscall.EADDRINUSE) && c.Source("metrics.listen") == "" {
		log.Warn("no metrics: the default address is in use by another program; set metrics.listen to another address, or to the empty text to turn metrics off", "listen", c.Metrics.Listen)
		return func() {}, nil
	}
	if err != nil {
		return nil, listenError("metrics.listen", c.Metrics.Listen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4, Timeout: 5 * time.Second,
	}))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", "error", err)
		}
	}()
	log.Info("serving metrics", "listen", listener.Addr().String())
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}, nil
}
