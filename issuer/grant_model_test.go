package issuer_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signet-id/signet/issuer"
)

// The table of refresh outcomes once more, as a model that random lives of a grant are compared
// with.
type grantModel struct {
	generation int
	rotated    time.Time
	lateFor    int // late_gen
	lateCount  int
	revoked    bool
}

// present returns the generation that is answered; 0: refused.
func (m *grantModel) present(gen int, now time.Time) int {
	switch late := now.Sub(m.rotated) > time.Minute; {
	case m.revoked:
		return 0
	case gen == m.generation:
		m.generation, m.rotated = gen+1, now
		return m.generation
	case gen == m.generation-1 && !late:
		return m.generation
	case gen == m.generation-1 && m.lateFor != gen && !(m.lateFor == m.generation && m.lateCount == 5):
		if m.lateFor != m.generation {
			m.lateFor, m.lateCount = m.generation, 0
		}
		m.lateCount++
		return m.generation
	}
	m.revoked = true
	return 0
}

func TestRandomLivesOfAGrant(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		rapid.Check(t, func(r *rapid.T) {
			tokens := []string{"", w.login("profile").RefreshToken}
			model := grantModel{generation: 1, rotated: w.clock.Now()}
			story := ""
			for range rapid.IntRange(1, 25).Draw(r, "steps") {
				wait := rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second, time.Minute, time.Minute + time.Microsecond,
					time.Hour}).Draw(r, "wait")
				w.clock.add(wait)
				if wait >= time.Minute {
					if err := w.ring.Step(t.Context()); err != nil {
						r.Fatal(err)
					}
				}
				// Mostly the newest tokens: older ones end the story.
				gen := max(1, len(tokens)-1-rapid.SampledFrom([]int{0, 0, 0, 1, 1, 1, 1, 2, 3}).Draw(r, "age"))
				story += fmt.Sprintf("\nafter %v present %d of %d", wait, gen, model.generation)
				want := model.present(gen, w.clock.Now())
				answer, err := w.refresh(tokens[gen])
				if want == 0 {
					var e *issuer.Error
					if !errors.As(err, &e) || e.Code != issuer.InvalidGrant {
						r.Fatalf("%s: got %v, want invalid_grant", story, err)
					}
					continue
				}
				if err != nil {
					r.Fatalf("%s: %v, want generation %d", story, err, want)
				}
				if want == len(tokens) {
					tokens = append(tokens, answer.RefreshToken)
				}
				if answer.RefreshToken != tokens[want] {
					r.Fatalf("%s: another token for generation %d", story, want)
				}
			}
			row := w.row(tokens[1])
			if row.Generation != int64(model.generation) || row.RevokedAt.IsZero() == model.revoked ||
				row.LateGeneration != int64(model.lateFor) || row.LateCount != int64(model.lateCount) {
				r.Fatalf("%s: the row is %+v, want %+v", story, row, model)
			}
		})
	})
}
