package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/signet-id/signet/internal/faultproxy"
)

// Report is what a run has shown.
type Report struct {
	*Checker
	Name        string
	Took        time.Duration
	Live        *Live
	Prober      *Prober       // nil: nothing happened to the database
	Checked     int64         // verifications
	Revoked     int           // failed ones because the token's key had been revoked
	Early       int           // failed ones because its key had to sign too early after a revocation
	LastRevoked time.Duration // after its revocation a key's token was last accepted
	Before, Now []Usage
	Requests    int64
	Rotations   map[string]int // by algorithm
	Unfinished  int
}

// Faults runs clients for the configured time while faults happen, and checks everything afterwards.
func (s *System) Faults(ctx context.Context) (*Report, error) {
	began := time.Now()
	if err := durable(ctx, s.Database); err != nil {
		return nil, err
	}
	v, err := s.verifiers()
	if err != nil {
		return nil, err
	}
	report := &Report{Name: "faults", Checker: NewChecker()}
	if report.Before, err = s.warmUp(ctx, v); err != nil {
		return nil, err
	}
	l, err := s.load("faults.jsonl", v)
	if err != nil {
		return nil, err
	}
	report.Live = l.Live
	if report.Prober, err = s.prober(ctx); err != nil {
		return nil, err
	}
	if err := s.withFaults(ctx, l, report.Prober, began); err != nil {
		return nil, err
	}
	closing, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := l.closing(closing); err != nil {
		return nil, fmt.Errorf("after the faults: %w", err)
	}
	if err := l.Journal.Close(); err != nil {
		return nil, err
	}
	if report.Now, err = s.settled(ctx, report); err != nil {
		return nil, err
	}
	for _, text := range report.Prober.Refused() {
		report.violated(Sessions, "a session of the prober", "%s", text)
	}
	report.Took = time.Since(began)
	return report, s.judge(ctx, report, v, "faults.jsonl")
}

func (s *System) verifiers() (*Verifiers, error) {
	return NewVerifiers(s.Verifiers, 8, issuerURL, s.Timeline.Skew, s.targets())
}

// warmUp runs clients without faults, and returns what the replicas hold when they rest after that.
func (s *System) warmUp(ctx context.Context, v *Verifiers) (usages []Usage, err error) {
	l, err := s.load("warm-up.jsonl", v)
	if err != nil {
		return nil, err
	}
	warm, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	if err := l.runClients(warm, 1_000_000, s.Clients); err != nil {
		return nil, err
	}
	if err := l.Journal.Close(); err != nil {
		return nil, err
	}
	pause(ctx, time.Second)
	for _, r := range s.Replicas {
		u, err := r.usage()
		if err != nil {
			return nil, err
		}
		usages = append(usages, u)
	}
	return usages, nil
}

// withFaults runs clients and faults for the configured time, and clients a little longer.
func (s *System) withFaults(ctx context.Context, l *Load, p *Prober, began time.Time) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	failing, healed := context.WithTimeout(running, s.Time)
	defer healed()
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	begin := func(fn func() error) {
		all.Go(func() {
			if err := fn(); err != nil {
				stop()
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	clients := make(chan struct{})
	loaded, unload := context.WithCancel(running)
	defer unload()
	begin(func() error {
		defer close(clients)
		return l.runClients(loaded, 0, s.Clients)
	})
	begin(func() error {
		p.Run(running)
		return nil
	})
	var faults sync.WaitGroup
	for _, g := range []Group{
		s.Database.Faults(p),
		replicaFaults(s.Replicas),
		networkFaults("database connections", s.Replicas, func(r *Replica) *faultproxy.Proxy { return r.Database }),
		networkFaults("client connections", s.Replicas, func(r *Replica) *faultproxy.Proxy { return r.Clients }),
		s.keyFaults(l),
	} {
		faults.Add(1)
		begin(func() error {
			defer faults.Done()
			return g.run(failing, s.Seed, s.Time, s.Pace, l.Live)
		})
	}
	begin(func() error { return s.progress(running, l, began) })
	<-failing.Done()
	faults.Wait()
	for _, r := range s.Replicas {
		r.signal(syscall.SIGCONT)
		r.Clients.Heal()
		r.Database.Heal()
	}
	ready, cancel := context.WithTimeout(running, time.Minute)
	defer cancel()
	begin(func() error {
		if err := s.untilReady(ready); err != nil && running.Err() == nil {
			return fmt.Errorf("a minute after the last fault: %w", err)
		}
		pause(running, 3*time.Second)
		unload()
		<-clients
		stop()
		return nil
	})
	all.Wait()
	return errors.Join(errs...)
}

func (s *System) progress(ctx context.Context, l *Load, began time.Time) error {
	every := time.NewTicker(10 * time.Second)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
			fmt.Fprintln(s.Out, l.Live.Line(began, l.Verifiers))
		}
	}
}

// closing uses every session that was kept, and logs in some of the users with a changed password.
func (l *Load) closing(ctx context.Context) error {
	const atOnce = 8
	l.Live.mu.Lock()
	kept, users := l.Live.kept, l.Live.users
	l.Live.mu.Unlock()
	var all sync.WaitGroup
	errs := make([]error, atOnce)
	for first := range atOnce {
		all.Go(func() { errs[first] = l.close(ctx, first, atOnce, kept, users) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// close is a share of closing.
func (l *Load) close(ctx context.Context, first, step int, kept []tokens, users []string) error {
	quick := *l
	quick.Think = 0
	c := quick.newClient(closers - first)
	defer c.session.CloseIdleConnections()
	for n := first; n < len(kept); n += step {
		if _, err := c.refreshOnce(ctx, &kept[n]); err != nil && !errors.Is(err, errBroken) {
			return err
		}
	}
	for n := first; n < len(users); n += step * (1 + len(users)/200) {
		if _, _, err := c.firstLogin(ctx, users[n], 2, Granted); err != nil && !errors.Is(err, errBroken) {
			return err
		}
		if _, _, err := c.firstLogin(ctx, users[n], 1, Refused); err != nil {
			return err
		}
	}
	return nil
}

// settled waits, a minute at most, until the replicas hold no more than at the beginning.
func (s *System) settled(ctx context.Context, report *Report) (now []Usage, err error) {
	most := Usage{}
	for _, u := range report.Before {
		most.Goroutines, most.Files = max(most.Goroutines, u.Goroutines), max(most.Files, u.Files)
		most.Resident = max(most.Resident, u.Resident)
	}
	for end := time.Now().Add(time.Minute); ; {
		var over []string
		now = nil
		for _, r := range s.Replicas {
			u, err := r.usage()
			if err != nil {
				return nil, err
			}
			now = append(now, u)
			if u.Goroutines > most.Goroutines*11/10+5 || u.Files > most.Files*11/10+5 ||
				u.Resident > most.Resident*11/10+32<<20 {
				over = append(over, fmt.Sprintf("%s holds %+v, and at the beginning at most %+v", r.Name, u, most))
			}
		}
		if len(over) == 0 || time.Now().After(end) {
			for _, text := range over {
				report.violated(Processes, "leak", "%s", text)
			}
			return now, nil
		}
		pause(ctx, time.Second)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// judge stops the replicas and checks the journal, the database, the verifiers and the processes.
func (s *System) judge(ctx context.Context, report *Report, v *Verifiers, journal string) error {
	failures, accepted, lastUse := v.Finish()
	report.Checked = v.checked.Load()
	for _, f := range failures {
		s.log.Printf("refused: key %s, issued %s, by verifier %d at %s: %s", f.Key, f.Issued.Format(time.TimeOnly),
			f.Verifier, f.At.Format(time.StampMilli), f.Reason)
	}
	state, err := ReadState(ctx, s.Database.URL())
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(s.Dir, journal))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := ReadJournal(f, report.Record); err != nil {
		return err
	}
	report.Unfinished = report.Checker.Unfinished()
	report.End(state, s.Timeline)
	report.Revoked, report.Early = report.Failures(state, s.Timeline, failures)
	for _, what := range accepted {
		report.violated(Verified, "accepted", "a verifier accepted %s", what)
	}
	report.Rotations = map[string]int{}
	now := time.Now()
	for _, k := range state.Keys {
		if k.Activate.Before(now) && k.Seq > 1 {
			report.Rotations[k.Algorithm]++
		}
		if !k.Revoked.IsZero() {
			s.log.Printf("key %s was revoked at %s; a token of it was last accepted at %s", k.ID,
				k.Revoked.Format(time.StampMilli), lastUse[k.ID].Format(time.StampMilli))
		}
		if used, ok := lastUse[k.ID]; ok && !k.Revoked.IsZero() {
			after := used.Sub(k.Revoked)
			report.LastRevoked = max(report.LastRevoked, after)
			if after > s.Timeline.MaxAge+time.Minute {
				report.violated(Verified, "revoked key accepted", "%s, %s after its revocation", k.ID, after)
			}
		}
	}
	for _, r := range s.Replicas {
		for _, exit := range r.Exits() {
			report.violated(Processes, "exit", "%s", exit)
		}
	}
	return nil
}
