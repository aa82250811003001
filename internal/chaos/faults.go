package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/signet-id/signet/internal/faultproxy"
)

// Fault is something bad that happens from time to time.
type Fault struct {
	Name  string
	Every time.Duration // on average
	Do    func(ctx context.Context, random *rand.Rand) error
}

// Faults that happen to one part of the system, one at a time.
type Group struct {
	Name   string
	Faults []Fault
}

// run draws faults from the seed until ctx ends. Each fault comes first within the time that the run
// has, so that even a short run has all of them.
func (g Group) run(ctx context.Context, seed uint64, length time.Duration, pace float64, live *Live) error {
	h := fnv.New64a()
	_, _ = h.Write([]byte(g.Name))
	random := rand.New(rand.NewPCG(seed, h.Sum64()))
	began := time.Now()
	next := make([]time.Time, len(g.Faults))
	every := make([]time.Duration, len(g.Faults))
	for n, f := range g.Faults {
		every[n] = time.Duration(float64(f.Every) / pace)
		next[n] = began.Add(time.Duration(float64(min(every[n], length*6/10)) * (0.2 + 0.8*random.Float64())))
	}
	for {
		soonest := 0
		for n := range next {
			if next[n].Before(next[soonest]) {
				soonest = n
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next[soonest])):
		}
		f := g.Faults[soonest]
		next[soonest] = next[soonest].Add(time.Duration(float64(every[soonest]) * (0.5 + random.Float64())))
		err := f.Do(ctx, random)
		switch {
		case errors.Is(err, errNotNow) || ctx.Err() != nil:
		case err != nil:
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if err == nil {
			live.Fault(f.Name)
		} else {
			next[soonest] = time.Now().Add(2 * time.Second)
		}
	}
}

// errNotNow says that a fault could not be made, because of another one.
var errNotNow = errors.New("not now")

// between draws a duration.
func between(random *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(random.Int64N(int64(to-from)))
}

// pause waits, but not longer than the run.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// replicaFaults kill and restart replicas.
func replicaFaults(replicas []*Replica) Group {
	end := func(s syscall.Signal) func(context.Context, *rand.Rand) error {
		return func(ctx context.Context, random *rand.Rand) error {
			exited := replicas[random.IntN(len(replicas))].signal(s)
			if exited == nil {
				return errNotNow
			}
			select {
			case <-exited:
			case <-time.After(30 * time.Second):
				return fmt.Errorf("a replica still runs 30 seconds after %s", s)
			}
			return nil
		}
	}
	return Group{"replicas", []Fault{
		{"replica killed (SIGKILL)", 17 * time.Second, end(syscall.SIGKILL)},
		{"replica stopped (SIGTERM)", 31 * time.Second, end(syscall.SIGTERM)},
		{"replica frozen", 90 * time.Second, func(ctx context.Context, random *rand.Rand) error {
			r := replicas[random.IntN(len(replicas))]
			if r.signal(syscall.SIGSTOP) == nil {
				return errNotNow
			}
			pause(ctx, between(random, time.Second, 8*time.Second))
			r.signal(syscall.SIGCONT)
			return nil
		}},
	}}
}

// networkFaults meet the connections of one replica: which is the way that of picks.
func networkFaults(name string, replicas []*Replica, of func(*Replica) *faultproxy.Proxy) Group {
	during := func(faults func(*rand.Rand) faultproxy.Faults, from, to time.Duration, reset bool) func(context.Context,
		*rand.Rand) error {
		return func(ctx context.Context, random *rand.Rand) error {
			r := replicas[random.IntN(len(replicas))]
			p := of(r)
			over := r.met(p)
			p.Set(faults(random))
			if reset {
				p.Reset()
			}
			pause(ctx, between(random, from, to))
			p.Heal()
			over()
			return nil
		}
	}
	return Group{name, []Fault{
		{name + ": connections reset", 22 * time.Second, func(ctx context.Context, random *rand.Rand) error {
			r := replicas[random.IntN(len(replicas))]
			over := r.met(of(r))
			of(r).Reset()
			over()
			return nil
		}},
		{name + ": answers lost", 11 * time.Second, during(func(random *rand.Rand) faultproxy.Faults {
			return faultproxy.Faults{Cut: &faultproxy.Cut{Direction: faultproxy.ToClient, Times: 1 + random.IntN(6)}}
		}, 500*time.Millisecond, time.Second, false)},
		{name + ": cut in a request", 29 * time.Second, during(func(random *rand.Rand) faultproxy.Faults {
			return faultproxy.Faults{Cut: &faultproxy.Cut{Direction: faultproxy.ToTarget, After: random.Int64N(2000),
				Times: 1 + random.IntN(6)}}
		}, 500*time.Millisecond, time.Second, false)},
		{name + ": cut in an answer", 29 * time.Second, during(func(random *rand.Rand) faultproxy.Faults {
			return faultproxy.Faults{Cut: &faultproxy.Cut{Direction: faultproxy.ToClient, After: 1 + random.Int64N(2000),
				Times: 1 + random.IntN(6)}}
		}, 500*time.Millisecond, time.Second, false)},
		{name + ": latency", 47 * time.Second, during(func(random *rand.Rand) faultproxy.Faults {
			return faultproxy.Faults{Latency: between(random, 10*time.Millisecond, 200*time.Millisecond)}
		}, 2*time.Second, 5*time.Second, false)},
		{name + ": black hole of requests", 67 * time.Second, during(func(*rand.Rand) faultproxy.Faults {
			return faultproxy.Faults{Hold: map[faultproxy.Direction]bool{faultproxy.ToTarget: true}}
		}, 2*time.Second, 8*time.Second, false)},
		{name + ": black hole of answers", 67 * time.Second, during(func(*rand.Rand) faultproxy.Faults {
			return faultproxy.Faults{Hold: map[faultproxy.Direction]bool{faultproxy.ToClient: true}}
		}, 2*time.Second, 8*time.Second, false)},
		{name + ": cut off", 61 * time.Second, during(func(*rand.Rand) faultproxy.Faults {
			return faultproxy.Faults{Refuse: true}
		}, 2*time.Second, 6*time.Second, true)},
	}}
}
