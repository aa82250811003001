package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signet-id/signet/internal/delivery"
	"github.com/signet-id/signet/userstore"
)

// Each verdict has one consequence, in the outbox, in the numbers and in the log.
func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		name    string
		outcome delivery.Outcome
		gone    []string // none: the entry waits
		stats   delivery.Stats
		log     string // empty: no line
	}{
		{"sent", delivery.Outcome{Verdict: delivery.Sent, Answer: "250 fine"}, []string{"a: removed"},
			delivery.Stats{Sent: 1},
			`level=INFO msg="was sent" name=a attempt=1 answer="250 fine" waited=5s`},
		{"nobody to send it to", delivery.Outcome{Verdict: delivery.Dropped}, []string{"a: removed"}, delivery.Stats{},
			`level=DEBUG msg="was dropped" name=a attempt=1`},
		{"failed", delivery.Outcome{Reason: "450"}, nil, delivery.Stats{Waiting: 1, Failed: 1},
			`level=WARN msg="was not sent" name=a attempt=1 reason=450 next=`},
		{"refused", delivery.Outcome{Verdict: delivery.Rejected, Reason: "550"}, []string{"a: refused, 550"},
			delivery.Stats{Failed: 1, GivenUp: 1},
			`level=ERROR msg="was given up" name=a attempt=1 event=mail_given_up why=refused reason=550`},
		{"of no use", delivery.Outcome{Verdict: delivery.TooLate, Reason: "450"}, []string{"a: ended, 450"},
			delivery.Stats{GivenUp: 1},
			`level=ERROR msg="was given up" name=a attempt=1 event=mail_given_up why=ended reason=450`},
		{"no way", delivery.Outcome{Verdict: delivery.NotTried, Reason: "no mail", Due: time.Now().Add(time.Hour)}, nil,
			delivery.Stats{Waiting: 1}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBox(t, "a")
				posted := time.Now()
				time.Sleep(5 * time.Second)
				test.outcome.Due = time.Now().Add(time.Hour)
				b.send = func(context.Context, string) delivery.Outcome { return test.outcome }
				s := b.sender()
				b.step(s, 1)
				b.step(s, 0)
				if test.stats.Waiting > 0 {
					test.stats.Oldest = posted
				}
				if stats := s.Numbers.Stats(); !slices.Equal(b.gone, test.gone) || stats != test.stats {
					t.Errorf("%q, %+v", b.gone, stats)
				}
				log := withoutLease(b.log.String())
				if test.log == "" && log != "" || !strings.Contains(log, test.log) || strings.Count(log, "\n") > 1 {
					t.Errorf("the log is %s", log)
				}
				if test.gone == nil && b.waiting[0].reason != test.outcome.Reason {
					t.Errorf("it waits because of %q", b.waiting[0].reason)
				}
				if test.outcome.Verdict == delivery.NotTried && !b.waiting[0].due.Equal(test.outcome.Due) {
					t.Errorf("due at %s, want %s", b.waiting[0].due, test.outcome.Due)
				}
			})
		})
	}
}

// withoutLease leaves out the random part of a line of the log.
func withoutLease(log string) string {
	before, after, found := strings.Cut(log, " lease=")
	if !found {
		return log
	}
	_, after, _ = strings.Cut(after, " ")
	return before + " " + after
}

// What fails is tried again after the waits, 20 % more or less, the last of which goes on until the
// entry ends.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, "a")
		s := b.sender()
		b.send = func(context.Context, string) delivery.Outcome { return delivery.Outcome{Reason: "450"} }
		ends := b.waiting[0].ends
		attempts := 0
		for ; len(b.waiting) > 0; attempts++ {
			b.step(s, 1)
			b.step(s, 0)
			if len(b.waiting) == 0 {
				break
			}
			want := s.Waits[min(attempts, 2)]
			wait := time.Until(b.waiting[0].due)
			if wait < want*4/5 || wait > want*6/5 {
				t.Errorf("a wait of %s after attempt %d, want about %s", wait, attempts+1, want)
			}
			if !b.waiting[0].due.Before(ends) {
				t.Fatalf("due at %s, of no use since %s", b.waiting[0].due, ends)
			}
			time.Sleep(wait - time.Nanosecond)
			b.step(s, 0)
			time.Sleep(time.Nanosecond)
		}
		if left := time.Until(ends); left <= 0 || left > 72*time.Minute || attempts < 20 || attempts > 31 {
			t.Errorf("given up after %d attempts, %s before its end", attempts+1, left)
		}
		if !slices.Equal(b.gone, []string{"a: ended, 450"}) {
			t.Errorf("%q", b.gone)
		}
	})
}

// An outcome that is not stored costs the lease: the entry is sent again when it has ended, and not
// before.
func TestAnOutcomeThatIsNotStored(t *testing.T) {
	for _, verdict := range []delivery.Verdict{delivery.Sent, delivery.Failed, delivery.Rejected} {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(t, "a")
			b.send = func(context.Context, string) delivery.Outcome { return delivery.Outcome{Verdict: verdict} }
			b.unnoted = userstore.ErrUnavailable
			killed, other := b.sender(), b.sender()
			b.step(killed, 1)
			if n := strings.Count(b.log.String(), `msg="is unnoted"`); n != 1 || killed.Numbers.Stats().GivenUp != 0 {
				t.Errorf("%d lines, %+v:\n%s", n, killed.Numbers.Stats(), &b.log)
			}
			b.unnoted = nil
			b.send = func(context.Context, string) delivery.Outcome { return delivery.Outcome{Verdict: delivery.Sent} }
			time.Sleep(time.Minute - time.Nanosecond)
			b.step(other, 0)
			time.Sleep(time.Nanosecond)
			b.step(other, 1)
			b.step(other, 0)
			if !slices.Equal(b.gone, []string{"a: removed"}) {
				t.Errorf("%q", b.gone)
			}
		})
	}
}

// A sender that comes back after its lease has ended does not undo what the next sender did, and
// says nothing about it.
func TestALeaseThatIsLost(t *testing.T) {
	for _, verdict := range []delivery.Verdict{delivery.Failed, delivery.Rejected} {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(t, "a")
			slow, other := b.sender(), b.sender()
			b.send = func(context.Context, string) delivery.Outcome {
				b.send = func(context.Context, string) delivery.Outcome { return delivery.Outcome{Reason: "of the other"} }
				time.Sleep(time.Minute) // it ignores the end of its context
				b.step(other, 1)
				return delivery.Outcome{Verdict: verdict, Reason: "too late"}
			}
			b.step(slow, 1)
			if len(b.waiting) != 1 || b.waiting[0].reason != "of the other" || b.waiting[0].attempts != 2 {
				t.Errorf("%+v, %q", b.waiting, b.gone)
			}
			if s := slow.Numbers.Stats(); s.GivenUp != 0 || strings.Contains(b.log.String(), "unnoted") {
				t.Errorf("%+v\n%s", s, &b.log)
			}
		})
	}
}

// A send has half of the lease, counted from a moment before the claim.
func TestSendsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, "a")
		s := b.sender()
		s.Limits = delivery.Limits{Lease: 3 * time.Minute}
		s.Waits = []time.Duration{time.Hour}
		s.Now = func(context.Context) (time.Time, error) { time.Sleep(time.Second); return time.Now(), nil }
		b.send = func(ctx context.Context, _ string) delivery.Outcome {
			<-ctx.Done()
			return delivery.Outcome{Reason: ctx.Err().Error()}
		}
		began := time.Now()
		b.step(s, 1)
		if took := time.Since(began); took != 91*time.Second || b.waiting[0].reason != "context deadline exceeded" {
			t.Errorf("took %s: %+v", took, b.waiting[0])
		}
	})
}

// As many entries are sent at once as the limit says, and no more.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		s := b.sender()
		for n := range 30 {
			b.post(fmt.Sprint(n))
		}
		var mu sync.Mutex
		now, most := 0, 0
		count := func(by int) {
			mu.Lock()
			defer mu.Unlock()
			now += by
			most = max(most, now)
		}
		b.send = func(context.Context, string) delivery.Outcome {
			count(1)
			defer count(-1)
			time.Sleep(time.Second)
			return delivery.Outcome{Verdict: delivery.Sent}
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second+time.Millisecond)
		defer stop()
		b.run(ctx, s)
		if most != 3 || len(b.gone) != 30 || s.Numbers.Stats().Sent != 30 {
			t.Errorf("%d at once, %d sent", most, len(b.gone))
		}
	})
}

// Senders of three replicas send each entry once.
func TestThreeReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		var want []string
		for n := range 60 {
			b.post(fmt.Sprint(n))
			want = append(want, fmt.Sprint(n))
		}
		var mu sync.Mutex
		var got []string
		b.send = func(_ context.Context, name string) delivery.Outcome {
			mu.Lock()
			got = append(got, name)
			mu.Unlock()
			time.Sleep(time.Second)
			return delivery.Outcome{Verdict: delivery.Sent}
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		b.run(ctx, b.sender(), b.sender(), b.sender())
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || len(b.waiting) != 0 {
			t.Errorf("%d sends of %d entries, %d wait", len(got), len(want), len(b.waiting))
		}
	})
}

// F-06, F-39: while the store is away nothing is sent, one line says so, and then the sender goes
// on.
func TestAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, "a")
		b.fault = errors.New("away") // before the sender looks for the first time
		s := b.sender()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		set := func(err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.fault, b.claims = err, 0
		}
		for n, gone := range []int{0, 1} {
			set(errors.New("away"))
			if n > 0 {
				b.post("b")
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(b.gone) != gone || b.claims < 50 || b.claims > 75 || strings.Count(b.log.String(), "is unread") != n+1 {
				t.Fatalf("%q gone, looked %d times in a minute:\n%s", b.gone, b.claims, &b.log)
			}
			set(nil)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if len(b.gone) != gone+1 {
				t.Fatalf("%q gone when the store was back", b.gone)
			}
		}
		stop()
		<-ended
	})
}

// A clock that cannot be read is a store that is away.
func TestAClockThatIsAway(t *testing.T) {
	b := newBox(t, "a")
	s := b.sender()
	s.Now = func(context.Context) (time.Time, error) { return time.Time{}, errors.New("away") }
	if n, err := s.Step(t.Context()); n != 0 || err == nil || err.Error() != "away" || b.claims != 0 {
		t.Errorf("%d, %v, %d claims", n, err, b.claims)
	}
}

// While nothing can be sent, a backlog does not become as many attempts: one entry at a time shows
// whether that is over, after growing pauses. The first one that is accepted ends the pauses.
func TestARestWhileNothingCanBeSent(t *testing.T) {
	unusable := func(time.Duration) delivery.Outcome { return delivery.Outcome{Unusable: true} }
	for _, test := range []struct {
		name        string
		takes       time.Duration // a send
		outcome     func(since time.Duration) delivery.Outcome
		least, most int // claims
		atOnce      int // sends at once after the first half a minute
	}{
		{"unusable", time.Second, unusable, 24, 36, 1},
		{"unusable and slow", 20 * time.Second, unusable, 9, 15, 1},
		{"entries fail", time.Second, func(time.Duration) delivery.Outcome { return delivery.Outcome{} }, 800, 1000, 3},
		{"usable after half a minute", time.Second, func(since time.Duration) delivery.Outcome {
			if since < 30*time.Second {
				return delivery.Outcome{Unusable: true}
			}
			return delivery.Outcome{Verdict: delivery.Sent}
		}, 500, 850, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, began := newBox(t), time.Now()
				for n := range 2000 {
					b.post(fmt.Sprint(n))
				}
				var now, most atomic.Int64
				b.send = func(context.Context, string) delivery.Outcome {
					n := now.Add(1)
					defer now.Add(-1)
					if time.Since(began) > 30*time.Second {
						most.Store(max(most.Load(), n))
					}
					time.Sleep(test.takes)
					return test.outcome(time.Since(began))
				}
				ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
				defer stop()
				b.run(ctx, b.sender())
				if b.claims < test.least || b.claims > test.most || most.Load() != int64(test.atOnce) {
					t.Errorf("%d entries were claimed in five minutes, want %d to %d, %d at once, want %d",
						b.claims, test.least, test.most, most.Load(), test.atOnce)
				}
			})
		})
	}
}

// A sender that stops finishes the current sends and claims no more.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, "a")
		s := b.sender()
		ctx, stop := context.WithCancel(t.Context())
		b.send = func(ctx context.Context, _ string) delivery.Outcome {
			stop()
			b.post("b")
			time.Sleep(4 * time.Second)
			if ctx.Err() != nil {
				t.Error("it was cut off")
			}
			return delivery.Outcome{Verdict: delivery.Sent}
		}
		b.run(ctx, s)
		if !slices.Equal(b.gone, []string{"a: removed"}) || len(b.waiting) != 1 || b.waiting[0].attempts != 0 {
			t.Errorf("%q gone, %d wait", b.gone, len(b.waiting))
		}
	})
}

// What takes longer is cut off after five seconds, and its outcome is stored: it is due again.
func TestStopCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, "a", "b")
		s := b.sender()
		ctx, stop := context.WithCancel(t.Context())
		b.send = func(ctx context.Context, _ string) delivery.Outcome {
			<-ctx.Done()
			return delivery.Outcome{Reason: "cut off"}
		}
		time.AfterFunc(time.Second, stop)
		began := time.Now()
		b.run(ctx, s)
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("it ended after %s", took)
		}
		for _, r := range b.waiting {
			if r.attempts != 1 || r.reason != "cut off" || r.lease != "" {
				t.Errorf("%+v", r)
			}
		}
		if len(b.waiting) != 2 {
			t.Errorf("%d wait", len(b.waiting))
		}
	})
}

// Metrics are counted every ten seconds.
func TestNumbersOfTheOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		s := b.sender()
		posted := time.Now()
		b.send = func(context.Context, string) delivery.Outcome { return delivery.Outcome{} }
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		synctest.Wait()
		if got := s.Numbers.Stats(); got != (delivery.Stats{}) {
			t.Errorf("%+v", got)
		}
		b.post("a")
		b.post("b")
		time.Sleep(12*time.Second + time.Millisecond)
		synctest.Wait()
		if got := s.Numbers.Stats(); got.Waiting != 2 || !got.Oldest.Equal(posted) {
			t.Errorf("%+v", got)
		}
		stop()
		<-ended
	})
}
