package chaos

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Rotations runs clients while nothing happens but rotations, until every algorithm has had enough of
// them and the verifiers have checked enough tokens. Each token meets every verifier twice.
func (s *System) Rotations(ctx context.Context, rotations int, verifications int64) (*Report, error) {
	began := time.Now()
	v, err := s.verifiers()
	if err != nil {
		return nil, err
	}
	v.allEvery = 1
	l, err := s.load("rotations.jsonl", v)
	if err != nil {
		return nil, err
	}
	report := &Report{Name: "rotations", Checker: NewChecker(), Live: l.Live}
	loaded, unload := context.WithCancel(ctx)
	defer unload()
	var clients sync.WaitGroup
	var failed error
	clients.Go(func() {
		defer unload()
		failed = l.runClients(loaded, 3_000_000, s.Clients)
	})
	clients.Go(func() { _ = s.progress(loaded, l, began) })
	for loaded.Err() == nil {
		pause(loaded, time.Second)
		done, err := s.rotated(ctx)
		if err != nil {
			return nil, err
		}
		if checked, _ := v.Counts(); done >= rotations && checked >= verifications {
			break
		}
	}
	unload()
	clients.Wait()
	if failed != nil {
		return nil, failed
	}
	if err := l.Journal.Close(); err != nil {
		return nil, err
	}
	report.Took = time.Since(began)
	if err := s.judge(ctx, report, v, "rotations.jsonl"); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for alg, n := range report.Rotations {
		if n < rotations {
			return nil, fmt.Errorf("%s had %d rotations", alg, n)
		}
	}
	return report, nil
}
