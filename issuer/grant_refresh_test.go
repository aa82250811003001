package issuer_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

func TestRefreshIsOneStatement(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.login("openid profile")
		w.store.called()
		second := w.refreshed(first.RefreshToken)
		w.wantCalls("AdvanceGrant")
		if c := w.claims(second.RefreshToken); fmt.Sprint(c["gen"]) != "2" {
			t.Errorf("gen is %v, want 2", c["gen"])
		}

		// With scope or resource there is one read more, and the same reads when the swap fails.
		third, err := w.Refresh(t.Context(),
			issuer.RefreshRequest{RefreshToken: second.RefreshToken, Scope: "profile", FirstParty: true})
		w.must(err)
		w.wantCalls("GrantByID", "AdvanceGrant")
		w.refreshed(second.RefreshToken)
		w.wantCalls("AdvanceGrant", "GrantByID")
		_, err = w.Refresh(t.Context(),
			issuer.RefreshRequest{RefreshToken: second.RefreshToken, Scope: "profile", FirstParty: true})
		w.must(err)
		w.wantCalls("GrantByID")
		w.refreshed(third.RefreshToken)
		w.wantCalls("AdvanceGrant")
	})
}

// The table of "A grant is one row". Each row starts from a grant of generation
// 3, whose tokens 1 to 3 the client holds; 4 was never handed out.
func TestRefreshTable(t *testing.T) {
	const window = time.Minute
	rows := map[string]struct {
		present int
		after   time.Duration // since the rotation to 3
		answer  int           // the generation that is answered; 0: refused and the grant revoked
		event   string
	}{
		"G rotates at once":                              {3, 0, 4, ""},
		"G rotates much later":                           {3, 24 * time.Hour, 4, ""},
		"T-19 G-1 at once is answered with G":            {2, 0, 3, ""},
		"G-1 at the very end of the window is inside it": {2, window, 3, ""},
		"G-1 a microsecond later is late, and answered":  {2, window + time.Microsecond, 3, "refresh_late"},
		"G-1 days later is late, and answered":           {2, 72 * time.Hour, 3, "refresh_late"},
		"G-1 on a clock that lags behind is inside":      {2, -2 * time.Second, 3, ""},
		"T-21 G-2 in the same microsecond is a replay":   {1, 0, 0, "refresh_replay"},
		"G-2 later is a replay":                          {1, time.Hour, 0, "refresh_replay"},
		"G+1 means that the store has lost writes":       {4, 0, 0, "generation_ahead"},
		"G+1 later as well":                              {4, time.Hour, 0, "generation_ahead"},
	}
	each(t, func(t *testing.T, w *world) {
		for name, c := range rows {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.another()
				w.log = &logged{}
				w.Issuer.Log = slog.New(slog.NewJSONHandler(w.log, nil))
				tokens := w.generations(3)
				w.clock.add(c.after)
				w.must(w.ring.Step(t.Context()))
				w.inspected(tokens[c.present], map[string]issuer.Standing{
					"refresh_late": issuer.Late, "refresh_replay": issuer.Replayed, "generation_ahead": issuer.Ahead,
				}[c.event], c.event == "" && c.answer == 3)
				r, err := w.refresh(tokens[c.present])
				if c.answer == 0 {
					w.refused(err, issuer.InvalidGrant)
					w.dead(tokens[3])
				} else {
					w.must(err)
					if got := fmt.Sprint(w.claims(r.RefreshToken)["gen"]); got != fmt.Sprint(c.answer) {
						t.Errorf("answered generation %s, want %d", got, c.answer)
					}
					if g := w.row(tokens[1]); g.Generation != int64(c.answer) {
						t.Errorf("the row is of generation %d, want %d", g.Generation, c.answer)
					}
					if c.answer == 3 && r.RefreshToken != tokens[3] {
						t.Errorf("answering again made another token:\n%s\n%s", r.RefreshToken, tokens[3])
					}
				}
				for _, event := range []string{"refresh_late", "refresh_replay", "generation_ahead"} {
					want := 0
					if event == c.event {
						want = 1
					}
					if got := w.log.count(event); got != want {
						t.Errorf("event %s logged %d times, want %d", event, got, want)
					}
				}
				for _, token := range tokens[1:] {
					if strings.Contains(w.log.String(), token[strings.LastIndex(token, ".")+1:]) {
						t.Error("a token reached the log")
					}
				}
			})
		}
	})
}

// inspected compares what an operator is shown about a token with what will happen, and leaves the
// row unchanged.
func (w *world) inspected(token string, want issuer.Standing, again bool) {
	w.Helper()
	if again {
		want = issuer.InWindow
	}
	w.untouched(token, func() {
		if got, err := w.InspectRefresh(w.Context(), token); err != nil || got != want {
			w.Errorf("an inspection says %d, %v; want %d", got, err, want)
		}
	})
}

// generations logs alice in and rotates up to n, at one instant. It returns tokens 1 to n, and n+1,
// which no client was given.
func (w *world) generations(n int) []string {
	w.Helper()
	tokens := []string{"", w.login("profile").RefreshToken}
	for range n - 1 {
		tokens = append(tokens, w.refreshed(tokens[len(tokens)-1]).RefreshToken)
	}
	grant := w.grantOf(tokens[1])
	jti, err := w.ring.RefreshJTI(grant, int64(n+1))
	w.must(err)
	claims := with(w.claims(tokens[n]), map[string]any{"gen": n + 1, "jti": jti})
	return append(tokens, w.forge(jose.EdDSA, issuer.TypeRefreshToken, claims))
}

func TestParallelRefreshesHaveOneSuccessor(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.login("profile").RefreshToken
		const n = 32
		answers, errs := make([]string, n), make([]error, n)
		var start, done sync.WaitGroup
		start.Add(1)
		for k := range n {
			done.Go(func() {
				start.Wait()
				r, err := w.refresh(token)
				answers[k], errs[k] = r.RefreshToken, err
			})
		}
		start.Done()
		done.Wait()
		for k := range n {
			if errs[k] != nil {
				t.Errorf("refresh %d: %v", k, errs[k])
			} else if answers[k] != answers[0] {
				t.Errorf("refresh %d has another successor", k)
			}
		}
		if g := w.row(token); g.Generation != 2 || g.LateCount != 0 {
			t.Errorf("row %+v", g)
		}
	})
}

func TestRefreshedIDToken(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		first := w.login("openid")
		w.wait(5 * time.Minute)
		second := w.refreshed(first.RefreshToken)
		before, after := w.claims(first.IDToken), w.claims(second.IDToken)
		for _, claim := range []string{"iss", "sub", "aud", "auth_time", "sid", "acr"} {
			if fmt.Sprint(before[claim]) != fmt.Sprint(after[claim]) {
				t.Errorf("OIDC Core 12.2: %s was %v and is %v", claim, before[claim], after[claim])
			}
		}
		if fmt.Sprint(after["iat"]) != fmt.Sprint(w.clock.Now().Unix()) || after["nonce"] != nil {
			t.Errorf("iat %v, nonce %v", after["iat"], after["nonce"])
		}
	})
}

func TestRefreshWhenAPartOfOursFails(t *testing.T) {
	down := func() error { return fmt.Errorf("read: %w", userstore.ErrUnavailable) }
	each(t, func(t *testing.T, w *world) {
		tokens := w.generations(3)
		for name, c := range map[string]struct {
			method string
			token  string
		}{
			"the swap":                   {"AdvanceGrant", tokens[3]},
			"the read after it":          {"GrantByID", tokens[2]},
			"the revocation of a replay": {"RevokeGrant", tokens[1]},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.store.on(c.method, down, nil)
				defer w.store.on(c.method, nil, nil)
				w.untouched(tokens[3], func() {
					_, err := w.refresh(c.token)
					w.refused(err, issuer.Unavailable)
				})
			})
		}
		w.wait(time.Hour)
		t.Run("the count of late answers", func(t *testing.T) {
			w := w.in(t)
			w.store.on("AnswerLate", down, nil)
			defer w.store.on("AnswerLate", nil, nil)
			w.untouched(tokens[3], func() {
				_, err := w.refresh(tokens[2])
				w.refused(err, issuer.Unavailable)
			})
		})
		t.Run("a row that keeps changing", func(t *testing.T) {
			w := w.in(t)
			w.store.on("AnswerLate", func() error { return userstore.ErrConflict }, nil)
			defer w.store.on("AnswerLate", nil, nil)
			_, err := w.refresh(tokens[2])
			w.refused(err, issuer.Unavailable)
		})
		t.Run("a key set too old to sign with", func(t *testing.T) {
			w := w.in(t)
			w.clock.add(time.Hour)
			w.untouched(tokens[3], func() {
				w.store.called()
				_, err := w.refresh(tokens[3])
				w.refused(err, issuer.Unavailable)
				w.wantCalls()
			})
			w.wait(0)
		})
		w.refreshed(tokens[3])
	})
}

func TestEveryStoreMethodThatTheIssuerUsesIsTraced(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		w.store.called()
		r := w.login("profile")
		_, err := w.Bearer(t.Context(), r.AccessToken)
		w.must(err)
		first := w.refreshed(r.RefreshToken).RefreshToken
		w.wait(time.Hour)
		w.refreshed(r.RefreshToken)
		w.refreshed(first)
		_, err = w.refresh(r.RefreshToken)
		w.refused(err, issuer.InvalidGrant)
		calls := w.store.called()
		for _, m := range []string{
			"LoginView", "StartGrant", "AdvanceGrant", "GrantByID", "GrantBySession", "AnswerLate", "RevokeGrant",
		} {
			if !slices.Contains(calls, m) {
				t.Errorf("%s was not seen in %v", m, calls)
			}
		}
	})
}
