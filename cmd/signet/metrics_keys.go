package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signet-id/signet/keys"
)

// keyCollector collects the signing keys as this replica sees them. It does not ask the store,
// because metrics matter most while the store is down.
type keyCollector struct {
	manager *keys.Manager
	now     func() time.Time
}

var (
	keyStates   = prometheus.NewDesc("signet_signing_keys", "Signing keys by algorithm and state.", []string{"alg", "state"}, nil)
	keySince    = prometheus.NewDesc("signet_signing_key_active_since_timestamp_seconds", "When the key of an algorithm that signs now began to sign.", []string{"alg"}, nil)
	keyRotation = prometheus.NewDesc("signet_signing_key_next_rotation_timestamp_seconds", "When the next key of an algorithm begins to sign.", []string{"alg"}, nil)
	keyAge      = prometheus.NewDesc("signet_keys_view_age_seconds", "How long ago this replica last read the key set.", nil, nil)
	keyClock    = prometheus.NewDesc("signet_clock_offset_seconds", "This replica's clock minus the database's, as far as the time of the answer allows to tell.", nil, nil)
)

func (k *keyCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- keyStates
	ch <- keySince
	ch <- keyRotation
	ch <- keyAge
	ch <- keyClock
}

func (k *keyCollector) Collect(ch chan<- prometheus.Metric) {
	report, ok := k.manager.Current()
	if !ok {
		return
	}
	if f, ok := k.manager.Freshness(); ok {
		ch <- prometheus.MustNewConstMetric(keyAge, prometheus.GaugeValue, f.Age.Seconds())
		ch <- prometheus.MustNewConstMetric(keyClock, prometheus.GaugeValue, f.Offset.Seconds())
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
		if key.State == keys.Active {
			ch <- timestamp(keySince, key.ActivateAt, key.Algorithm)
		}
		if at := next[key.Algorithm]; key.State == keys.Pending && (at.IsZero() || key.ActivateAt.Before(at)) {
			next[key.Algorithm] = key.ActivateAt
		}
	}
	for g, n := range counts {
		ch <- prometheus.MustNewConstMetric(keyStates, prometheus.GaugeValue, float64(n), g.alg, string(g.state))
	}
	for alg, at := range next {
		ch <- timestamp(keyRotation, at, alg)
	}
}

func timestamp(d *prometheus.Desc, at time.Time, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(at.UnixMilli())/1000, labels...)
}

func keyMetrics(p metricParts) []prometheus.Collector {
	return []prometheus.Collector{
		gauge("signet_keys_ready", "1 when this replica may sign.", func() float64 {
			if p.keys.Ready() != nil {
				return 0
			}
			return 1
		}),
		gauge("signet_keys_view_limit_seconds", "How old this replica's view of the key set may be while it signs.",
			func() float64 { return p.keys.Policy.StaleLimit().Seconds() }),
		gauge("signet_clock_offset_limit_seconds", "How far this replica's clock may be from the database's while it signs.",
			func() float64 { return p.keys.Policy.ClockLimit().Seconds() }),
		&keyCollector{manager: p.keys, now: p.now},
	}
}
