package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signet-id/signet/internal/counts"
	"github.com/signet-id/signet/userstore/sqlstore"
)

func storeMetrics(p metricParts) []prometheus.Collector {
	return []prometheus.Collector{
		&poolCollector{db: p.db},
		&callCollector{db: p.db},
		counters("signet_store_retries_total", "Operations of the store that were tried once more, by cause.", "cause", p.db.Retries),
		counter("signet_store_failures_total", "Calls for which the database was not there or not in time, after all retries.",
			func() float64 { return float64(p.db.Failures()) }),
		counters("signet_audit_entries_total", "Entries of the audit log that this replica stored, by event.", "event", p.db.Entries),
		counter("signet_audit_failures_total", "Times that audit entries could not be stored; what they tell of failed with them, or was tried again.",
			func() float64 { return float64(p.db.FailedEntries()) }),
		counters("signet_swept_rows_total", "Expired rows that this replica removed, by kind.", "kind",
			func(yield func(string, uint64)) { p.swept.Each(sweptKinds, yield) }),
	}
}

// callCollector collects the calls of the store by method.
type callCollector struct{ db *sqlstore.DB }

var storeCalls = prometheus.NewDesc("signet_store_call_duration_seconds",
	"Time of the calls of the store by method, with waiting and retries.", []string{"method"}, nil)

func (c *callCollector) Describe(ch chan<- *prometheus.Desc) { ch <- storeCalls }

func (c *callCollector) Collect(ch chan<- prometheus.Metric) {
	c.db.Calls(func(method string, calls counts.Durations) { ch <- histogram(storeCalls, calls, method) })
}

// poolCollector collects the store's connections.
type poolCollector struct{ db *sqlstore.DB }

var (
	poolConns = prometheus.NewDesc("signet_store_connections", "Connections to the store by state.", []string{"state"}, nil)
	poolMax   = prometheus.NewDesc("signet_store_connections_max", "Connections that the pool may open.", nil, nil)
	poolWaits = prometheus.NewDesc("signet_store_waits_total", "Calls that had to wait for a connection.", nil, nil)
	poolTime  = prometheus.NewDesc("signet_store_wait_seconds_total", "Time that calls waited for a connection.", nil, nil)
	storeLog  = prometheus.NewDesc("signet_store_log_bytes",
		"Size of the log of an embedded database, which grows while it cannot be written back.", nil, nil)
)

func (p *poolCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolConns, poolMax, poolWaits, poolTime, storeLog} {
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
	if p.db.Engine() == "sqlite" {
		ch <- prometheus.MustNewConstMetric(storeLog, prometheus.GaugeValue, float64(s.Log))
	}
}
