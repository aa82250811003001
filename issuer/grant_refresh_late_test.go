package issuer_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

func TestLateAnswersAreCounted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		tokens := w.generations(2)
		w.wait(time.Hour)
		for n := range 5 {
			if r := w.refreshed(tokens[1]); r.RefreshToken != tokens[2] {
				t.Fatalf("late answer %d made another token", n+1)
			}
			if g := w.row(tokens[1]); g.LateGeneration != 2 || g.LateCount != int64(n+1) {
				t.Fatalf("after late answer %d the row says %d times %d", n+1, g.LateGeneration, g.LateCount)
			}
		}
		_, err := w.refresh(tokens[1])
		w.refused(err, issuer.InvalidGrant)
		w.dead(tokens[2])
		if w.log.count("refresh_late") != 5 || w.log.count("refresh_replay") != 1 {
			t.Errorf("logged %s", w.log)
		}
	})
}

// A thief who follows in step: the one of the two who comes second outside the window is answered
// once, not for two generations in a row.
func TestTwoLateGenerationsInARowAreAReplay(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		tokens := w.generations(2)
		w.wait(time.Hour)
		w.refreshed(tokens[1]) // late for 2
		third := w.refreshed(tokens[2]).RefreshToken
		w.wait(time.Hour)
		_, err := w.refresh(tokens[2]) // late for 3, with 2 late before
		w.refused(err, issuer.InvalidGrant)
		w.dead(third)
	})
}

func TestLateGenerationsThatAreNotInARowAreAnswered(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		tokens := w.generations(2)
		w.wait(time.Hour)
		w.refreshed(tokens[1]) // late for 2
		third := w.refreshed(tokens[2]).RefreshToken
		fourth := w.refreshed(third).RefreshToken
		w.wait(time.Hour)
		if r := w.refreshed(third); r.RefreshToken != fourth { // late for 4
			t.Error("another token")
		}
		if g := w.row(fourth); g.LateGeneration != 4 || g.LateCount != 1 {
			t.Errorf("the row says %d times %d, want counting to start anew", g.LateGeneration, g.LateCount)
		}
	})
}

// A generation that is answered within the window is not counted: only requests after the window
// are.
func TestInsideTheWindowNothingIsWritten(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		tokens := w.generations(2)
		w.untouched(tokens[2], func() {
			for range 20 {
				w.refreshed(tokens[1])
			}
		})
	})
}

func TestT22AfterARestartOfAllReplicas(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		tokens := w.generations(3)
		w.replica()
		if r := w.refreshed(tokens[2]); r.RefreshToken != tokens[3] {
			t.Error("one generation old: another successor")
		}
		_, err := w.refresh(tokens[1])
		w.refused(err, issuer.InvalidGrant)
		w.dead(tokens[3])
	})
}

// A crash, or a lost answer, after the commit: the client sends the same again.
func TestALostAnswerNeverEndsASession(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.login("profile").RefreshToken
		w.store.on("AdvanceGrant", nil, once(func() error { return fmt.Errorf("cut: %w", userstore.ErrUnavailable) }))
		_, err := w.refresh(token)
		w.refused(err, issuer.Unavailable)
		if g := w.row(token); g.Generation != 2 {
			t.Fatalf("the row is of generation %d", g.Generation)
		}
		again := w.refreshed(token)
		if g := w.row(token); g.Generation != 2 || !g.RevokedAt.IsZero() {
			t.Fatalf("the row is of generation %d", g.Generation)
		}
		w.refreshed(again.RefreshToken)
	})
}

// Late answers race as well: no more than five are ever given.
func TestParallelLateRefreshesStayWithinTheLimit(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		tokens := w.generations(2)
		w.wait(time.Hour)
		var mu sync.Mutex
		answered := 0
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				r, err := w.refresh(tokens[1])
				mu.Lock()
				defer mu.Unlock()
				var e *issuer.Error
				switch {
				case err == nil && r.RefreshToken == tokens[2]:
					answered++
				case err == nil:
					t.Error("another successor")
				case !errors.As(err, &e) || e.Code != issuer.InvalidGrant && e.Code != issuer.Unavailable:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if answered > 5 {
			t.Errorf("%d late answers", answered)
		}
		w.dead(tokens[2])
	})
}

// A late answer that loses a race is checked once more against the winner's row.
func TestLateAnswerThatLosesARace(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		tokens := w.generations(2)
		w.wait(time.Hour)
		w.store.on("GrantByID", nil, once(func() error { _, err := w.refresh(tokens[2]); return err }))
		_, err := w.refresh(tokens[1]) // by now two generations old
		w.refused(err, issuer.InvalidGrant)
		w.dead(tokens[2])
	})
}
