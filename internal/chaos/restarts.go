package chaos

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// Rolling restarts the replicas one after the other by SIGTERM, while clients with connections that
// they keep send requests to those that a balancer calls ready. Not one request may fail.
func (s *System) Rolling(ctx context.Context) (*Report, error) {
	began := time.Now()
	v, err := s.verifiers()
	if err != nil {
		return nil, err
	}
	l, err := s.load("restarts.jsonl", v)
	if err != nil {
		return nil, err
	}
	l.OnlyReady = true
	l.Think = max(l.Think, 100*time.Millisecond) // so that no request is turned away because of the load
	report := &Report{Name: "rolling restarts", Checker: NewChecker(), Live: l.Live}
	loaded, unload := context.WithCancel(ctx)
	defer unload()
	var clients sync.WaitGroup
	var failed error
	clients.Go(func() { failed = l.runClients(loaded, 2_000_000, min(s.Clients, 8)) })
	progress, stop := context.WithCancel(ctx)
	defer stop()
	clients.Go(func() { _ = s.progress(progress, l, began) })
	err = s.roll(ctx, l)
	unload()
	stop()
	clients.Wait()
	if err := l.Journal.Close(); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	report.Took = time.Since(began)
	if err := s.judge(ctx, report, v, "restarts.jsonl"); err != nil {
		return nil, err
	}
	if n := report.Counts.Lost + report.Counts.Unavailable; n > 0 {
		report.violated(Answers, "failed request", "%d requests failed during %d restarts: %d lost, %d × 503", n,
			s.Restarts, report.Counts.Lost, report.Counts.Unavailable)
	}
	return report, nil
}

func (s *System) roll(ctx context.Context, l *Load) error {
	for n := range s.Restarts {
		r := s.Replicas[n%len(s.Replicas)]
		limit, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := s.untilReady(limit); err != nil {
			return err
		}
		exited := r.signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-limit.Done():
			return fmt.Errorf("%s does not stop", r.Name)
		}
		l.Live.Fault("replica stopped (SIGTERM)")
	}
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return s.untilReady(limit)
}
