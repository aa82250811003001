package keys_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

const (
	issuerURL = "https://issuer.test"
	audience  = "https://api.test"
)

// rotations is how many rotations the tests drive: 100, or what ROTATIONS says. From 1,000
// on there are 50 verifiers instead of 20, and each checks every token that lives instead of one or
// two.
func rotations(t *testing.T) (n int, thorough bool) {
	n = 100
	if text := os.Getenv("ROTATIONS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 100 {
			t.Fatalf("ROTATIONS is %q: give a number of at least 100", text)
		}
	}
	return n, n >= 1000
}

// TestRotations is the design's invariant, driven with real parts: 3 replicas whose clocks differ on
// one PostgreSQL, caching verifiers, scheduled rotations and `rotate` commands. Now and then a
// replica is cut off for minutes, its clock jumps, or its process ends at some call of the store
// and starts again.
//
//	No token that was valid when issued ever fails verification before its exp,
//	and no verifier ever meets a kid that it could not have had — unless its key
//	was revoked, or the only propagated key was.
func TestRotations(t *testing.T) {
	rotations, thorough := rotations(t)
	f := newFleet(t, thorough)
	var live []issued
	signedBy := map[string]bool{} // kids of RS256
	commands, refused, verified, began := 0, 0, 0, time.Now()

	for len(signedBy) <= rotations {
		now := f.step(time.Duration(40+f.random.IntN(200)) * time.Second)

		switch f.random.IntN(20) {
		case 0, 1: // an operator, or two at once
			var operators sync.WaitGroup
			for _, r := range f.replicas[:1+f.random.IntN(2)] {
				operators.Go(func() {
					if _, err := r.manager.Rotate(t.Context(), false); err != nil && r.healthy() {
						t.Errorf("rotate: %v", err)
					}
				})
			}
			operators.Wait()
			commands++
		case 2: // a partition
			f.replicas[f.random.IntN(3)].cutUntil = now.Add(time.Duration(f.random.IntN(12)) * time.Minute)
		case 3: // a clock that jumps, and is set right some ticks later
			r := f.replicas[f.random.IntN(3)]
			r.wrong = jumps[f.random.IntN(len(jumps))]
			f.jumped++
		case 4: // a process that ends at one of its next calls of the store
			f.replicas[f.random.IntN(3)].fuse.Store(int64(1 + f.random.IntN(12)))
		}

		live = slices.DeleteFunc(live, func(i issued) bool { return !now.Before(i.exp) })
		r := f.replicas[f.random.IntN(3)]
		for _, alg := range f.policy.Algorithms {
			token, err := f.sign(r, alg)
			if err == nil && r.isWrong && !r.cut.Load() {
				t.Fatal("a replica signs that has compared its clock with the database's and found it wrong")
			}
			if err != nil {
				if r.mustSign() {
					t.Fatalf("a replica that is up to date does not sign: %v", err)
				}
				refused++
				continue
			}
			live = append(live, token)
			if alg == jose.RS256 {
				signedBy[token.kid] = true
			}
		}

		for i, v := range f.verifiers {
			if len(live) == 0 || i%2 != f.ticks%2 {
				continue
			}
			// Each verifies a live token; in turn one verifies the oldest and the newest.
			look := []issued{live[f.random.IntN(len(live))]}
			if i == f.ticks%len(f.verifiers) {
				look = append(look, live[0], live[len(live)-1])
			}
			if thorough {
				look = live
			}
			for _, token := range look {
				if _, err := v.Verify(t.Context(), token.raw); err != nil {
					t.Fatalf("after %d rotations verifier %d refuses a token of %s, signed at %v, at %v before its exp %v: %v\n%s",
						len(signedBy)-1, i, token.kid, token.at, f.clock.now(), token.exp, err, f.timeline())
				}
				verified++
			}
		}
		if t.Failed() {
			return
		}
		if thorough && f.ticks%200 == 0 {
			fmt.Fprintf(os.Stderr, "%4d of %d rotations, %7d verifications, %v\n", len(signedBy)-1, rotations, verified,
				time.Since(began).Round(time.Second))
		}
	}
	if commands < 10 || refused < 10 || verified < 5000 || f.jumped < 10 || f.ended < 10 {
		t.Errorf("the test lost its teeth: %d commands, %d refusals of stale replicas, %d verifications, %d jumps, %d ends",
			commands, refused, verified, f.jumped, f.ended)
	}
	t.Logf("%d ticks, %d RS256 keys, %d rotate commands, %d jumps of clocks, %d processes ended, "+
		"%d signatures refused, %d verifications, %d fetches",
		f.ticks, len(signedBy), commands, f.jumped, f.ended, refused, verified, f.fetches.Load())
}

// jumps are by how much a clock jumps: more than half of the skew.
var jumps = []time.Duration{-365 * 24 * time.Hour, -24 * time.Hour, -time.Hour, -time.Minute, time.Minute, time.Hour,
	24 * time.Hour, 40 * 24 * time.Hour}
