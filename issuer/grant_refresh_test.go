package issuer_test

import (
	"context"
	"encoding/base64"
	"errors"
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
		third, err := w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: second.RefreshToken, Scope: "profile", FirstParty: true})
		w.must(err)
		w.wantCalls("GrantByID", "AdvanceGrant")
		w.refreshed(second.RefreshToken)
		w.wantCalls("AdvanceGrant", "GrantByID")
		_, err = w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: second.RefreshToken, Scope: "profile", FirstParty: true})
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

func TestT18ReplayEndsTheWholeGrant(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.login("openid")
		second := w.refreshed(first.RefreshToken)
		third := w.refreshed(second.RefreshToken)
		_, err := w.refresh(first.RefreshToken)
		w.refused(err, issuer.InvalidGrant)
		for name, token := range map[string]string{"first": first.RefreshToken, "second": second.RefreshToken, "third": third.RefreshToken} {
			t.Run(name, func(t *testing.T) { w.in(t).dead(token) })
		}
		for _, r := range []issuer.TokenResponse{first, second, third} {
			_, err := w.Bearer(t.Context(), r.AccessToken)
			w.refused(err, issuer.InvalidToken)
		}
		if w.log.count("refresh_replay") != 1 {
			t.Errorf("logged %s", w.log)
		}
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

func TestT24WhatEndsAGrantCounts(t *testing.T) {
	rows := map[string]func(w *world) error{
		"password change": func(w *world) error {
			return w.Accounts.SetPassword(w.Context(), w.alice.ID, "another password of alice")
		},
		"logout everywhere": func(w *world) error {
			_, err := w.db.RevokeUserGrants(w.Context(), w.alice.ID, "", w.clock.Now())
			return err
		},
		"user disabled":   func(w *world) error { return w.db.SetActive(w.Context(), w.alice.ID, false, w.clock.Now()) },
		"client disabled": func(w *world) error { return w.db.SetClientActive(w.Context(), "app", false, w.clock.Now()) },
		"user deleted":    func(w *world) error { return w.db.DeleteUser(w.Context(), w.alice.ID) },
	}
	each(t, func(t *testing.T, w *world) {
		for name, end := range rows {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.another()
				defer func() { w.must(w.db.SetClientActive(context.Background(), "app", true, w.clock.Now())) }()
				r := w.login("profile")
				// Refreshes run all the while; those that begin after the end are refused.
				stop, running := make(chan struct{}), sync.WaitGroup{}
				latest := r.RefreshToken
				running.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						next, err := w.refresh(latest)
						if err != nil {
							return
						}
						latest = next.RefreshToken
					}
				})
				w.must(end(w))
				_, err := w.refresh(r.RefreshToken)
				w.refused(err, issuer.InvalidGrant)
				close(stop)
				running.Wait()
				_, err = w.refresh(latest)
				w.refused(err, issuer.InvalidGrant)
				_, err = w.Bearer(t.Context(), r.AccessToken)
				w.refused(err, issuer.InvalidToken)
			})
		}
	})
}

// A disabled user or client whose grants were not revoked is refused all the same, and the grant
// stays unchanged.
func TestDisabledWithoutRevocationLeavesTheGrant(t *testing.T) {
	rows := map[string]func(v *userstore.GrantView){
		"user":   func(v *userstore.GrantView) { v.User.IsActive = false },
		"client": func(v *userstore.GrantView) { v.Client.DisabledAt = v.Grant.CreatedAt },
	}
	each(t, func(t *testing.T, w *world) {
		for name, edit := range rows {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				r := w.login("profile")
				w.store.on("AdvanceGrant", func() error { return userstore.ErrConflict }, nil)
				w.store.edit = edit
				w.untouched(r.RefreshToken, func() {
					_, err := w.refresh(r.RefreshToken)
					w.refused(err, issuer.InvalidGrant)
				})
				_, err := w.Bearer(t.Context(), r.AccessToken)
				w.refused(err, issuer.InvalidToken)
			})
		}
	})
}

func TestT25AnotherClientsToken(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.client(userstore.Client{ID: "other", AuthMethod: userstore.AuthNone, FirstParty: true, GrantTypes: []string{"refresh_token"}})
		w.client(userstore.Client{ID: "third", AuthMethod: userstore.AuthNone, GrantTypes: []string{"refresh_token"}})
		token := w.login("profile").RefreshToken
		w.untouched(token, func() {
			_, err := w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: token, ClientID: "other", FirstParty: true})
			w.refused(err, issuer.InvalidGrant)
			_, err = w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: token})
			w.refused(err, issuer.InvalidClient)
			// A thief of a signing key and a refresh token cannot move the token to another client.
			stolen := w.forge(jose.EdDSA, issuer.TypeRefreshToken, with(w.claims(token), map[string]any{"client_id": "other"}))
			for _, r := range []issuer.RefreshRequest{
				{RefreshToken: stolen, FirstParty: true}, {RefreshToken: stolen, ClientID: "other"},
				{RefreshToken: stolen, ClientID: "other", Scope: "profile"},
			} {
				_, err := w.Refresh(t.Context(), r)
				w.refused(err, issuer.InvalidGrant)
			}
		})
		// The right client gets it, named or not.
		next, err := w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: token, ClientID: "app"})
		w.must(err)
		w.refreshed(next.RefreshToken)
	})
}

// /v1/refresh serves public first-party clients only; the grants of others stay.
func TestFirstPartyOnly(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for id, c := range map[string]userstore.Client{
			"third":        {AuthMethod: userstore.AuthNone},
			"confidential": {FirstParty: true},
		} {
			t.Run(id, func(t *testing.T) {
				w := w.in(t)
				c.ID, c.GrantTypes = id, []string{"refresh_token"}
				w.client(c)
				token := w.grantFor(id)
				w.untouched(token, func() {
					for _, scope := range []string{"", "profile"} {
						_, err := w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: token, Scope: scope, FirstParty: true})
						w.refused(err, issuer.InvalidGrant)
					}
				})
				r, err := w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: token, ClientID: id})
				w.must(err)
				if c := w.claims(r.AccessToken); c["client_id"] != id {
					t.Errorf("client_id %v", c["client_id"])
				}
			})
		}
	})
}

// grantFor stores a grant of alice for a client that /v1/login would not serve,
// and makes its refresh token by hand.
func (w *world) grantFor(client string) string {
	w.Helper()
	alice, err := w.db.UserByID(w.Context(), w.alice.ID)
	w.must(err)
	now := w.clock.Now()
	g := userstore.Grant{
		ID: w.NewGrant(), SessionID: newID(), UserID: alice.ID, ClientID: client, Scopes: []string{"openid", "profile"}, AuthTime: now, AMR: []string{"pwd"}, ACR: "1",
		Generation: 1, RotatedAt: now, CreatedAt: now, ExpiresAt: now.Add(w.RefreshAbsolute),
	}
	w.must(w.db.StartGrant(w.Context(), userstore.StartGrant{Grant: g, PasswordHash: alice.PasswordHash}))
	jti, err := w.ring.RefreshJTI(g.ID, 1)
	w.must(err)
	return w.forge(jose.EdDSA, issuer.TypeRefreshToken, map[string]any{
		"iss": issuerURL, "aud": issuerURL, "client_id": client, "grant": base64.RawURLEncoding.EncodeToString(g.ID[:]),
		"gen": 1, "jti": jti, "iat": now.Unix(), "exp": now.Add(w.RefreshIdle).Unix(),
	})
}

func TestT25AliceDeletedAndBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.login("profile")
		w.must(w.db.DeleteUser(t.Context(), w.alice.ID))
		w.alice = w.user("alice@example.test")
		_, err := w.refresh(r.RefreshToken)
		w.refused(err, issuer.InvalidGrant)
		_, err = w.Bearer(t.Context(), r.AccessToken)
		w.refused(err, issuer.InvalidToken)
	})
}

func TestT28Limits(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.RefreshAbsolute, w.RefreshIdle = 30*time.Minute, 10*time.Minute

		idle := w.login("profile").RefreshToken
		w.wait(10*time.Minute - time.Second)
		idle = w.refreshed(idle).RefreshToken
		w.wait(10 * time.Minute)
		w.untouched(idle, func() {
			_, err := w.refresh(idle)
			w.refused(err, issuer.Expired)
			_, err = w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: idle, Scope: "profile", FirstParty: true})
			w.refused(err, issuer.Expired)
		})

		token := w.login("profile").RefreshToken
		for range 29 {
			w.wait(time.Minute)
			r := w.refreshed(token)
			token = r.RefreshToken
			left := w.row(token).ExpiresAt.Sub(w.clock.Now())
			if r.ExpiresIn > int64(left.Seconds()) {
				t.Fatalf("an access token of %d s outlives a grant that ends in %v", r.ExpiresIn, left)
			}
		}
		w.wait(time.Minute)
		w.untouched(token, func() {
			_, err := w.refresh(token)
			w.refused(err, issuer.Expired)
		})
	})
}

// The row's own limits hold even where the token's exp says more: the idle limit
// was lowered, or a thief of signing keys wrote another exp.
func TestT28TheRowDecides(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.login("profile").RefreshToken
		forever := w.forge(jose.EdDSA, issuer.TypeRefreshToken, with(w.claims(token), map[string]any{"exp": int64(1) << 62}))
		w.wait(w.RefreshIdle)
		w.untouched(token, func() {
			_, err := w.refresh(forever)
			w.refused(err, issuer.Expired)
			// Expired but otherwise genuine: before or after the swap, no replay is seen.
			_, err = w.refresh(token)
			w.refused(err, issuer.Expired)
		})
	})
}

func TestNarrowing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.login("openid profile api.read files", apiURI, filesURI)
		request := func(token, scope string, resource ...string) (issuer.TokenResponse, error) {
			return w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: token, Scope: scope, Resource: resource, FirstParty: true})
		}
		for name, c := range map[string]struct {
			scope    string
			resource []string
			code     issuer.Code
		}{
			"scopes that were not granted":        {"email phone", nil, issuer.InvalidScope},
			"a scope that nobody knows":           {"nosuch", nil, issuer.InvalidScope},
			"a scope that is none":                {"\x7f", nil, issuer.InvalidScope},
			"admin":                               {"admin", nil, issuer.InvalidScope},
			"a resource that was not granted":     {"", []string{openURI}, issuer.InvalidTarget},
			"a resource that nobody registered":   {"", []string{"https://evil.test"}, issuer.InvalidTarget},
			"a granted scope of another resource": {"files", []string{apiURI}, issuer.InvalidScope},
			"one resource granted and one not":    {"", []string{apiURI, openURI}, issuer.InvalidTarget},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.untouched(first.RefreshToken, func() {
					_, err := request(first.RefreshToken, c.scope, c.resource...)
					w.refused(err, c.code)
				})
			})
		}

		// A scope that the grant lacks is ignored, as it was at the login.
		extra, err := request(first.RefreshToken, "email profile nosuch admin files", apiURI)
		w.must(err)
		if c := w.claims(extra.AccessToken); c["scope"] != "profile" || extra.Scope != "profile" {
			t.Errorf("with scopes that were not granted: %v", c)
		}
		// Less is fine, for this access token only.
		second, err := request(first.RefreshToken, "api.read", apiURI)
		w.must(err)
		if c := w.claims(second.AccessToken); c["scope"] != "api.read" || c["aud"] != apiURI || second.IDToken != "" || second.Scope != "api.read" {
			t.Errorf("narrowed: %v, ID token %q", c, second.IDToken)
		}
		third := w.refreshed(second.RefreshToken)
		if third.Scope != "openid profile api.read files" || third.IDToken == "" {
			t.Errorf("afterwards scope %q", third.Scope)
		}
		// One resource, no scope: the scopes of the other resource are left out.
		fourth, err := request(third.RefreshToken, "", filesURI)
		w.must(err)
		if c := w.claims(fourth.AccessToken); c["scope"] != "openid profile files" || c["aud"] != filesURI {
			t.Errorf("narrowed: %v", c)
		}
		// The same token once more, for another resource: a fresh access token, the same refresh
		// token.
		again, err := request(third.RefreshToken, "profile")
		w.must(err)
		if again.Scope != "profile" || again.RefreshToken != fourth.RefreshToken {
			t.Errorf("answered again: %+v", again)
		}
		// A replay is a replay also if it narrows the scope.
		_, err = request(first.RefreshToken, "profile")
		w.refused(err, issuer.InvalidGrant)
		w.dead(fourth.RefreshToken)
	})
}

// A grant for the default audience holds no resource; a grant for resources that an operator
// removed does not become one for the default audience.
func TestResourcesOfAGrantNeverGrow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		plain := w.login("profile").RefreshToken
		w.untouched(plain, func() {
			_, err := w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: plain, Resource: []string{apiURI}, FirstParty: true})
			w.refused(err, issuer.InvalidTarget)
		})
		both, api := w.login("profile files", apiURI, filesURI).RefreshToken, w.login("profile", apiURI).RefreshToken
		w.Resources = w.Resources[1:] // without the API
		if c := w.claims(w.refreshed(both).AccessToken); c["aud"] != filesURI {
			t.Errorf("aud is %v", c["aud"])
		}
		_, err := w.refresh(api)
		w.refused(err, issuer.InvalidTarget)
		if w.row(api).RevokedAt.IsZero() == false {
			t.Error("the grant was revoked")
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

// Rotating or revoking signing keys never logs a user out.
func TestKeysComeAndGo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		kid := func(token string) string {
			parsed, err := jose.Parse(token)
			w.must(err)
			return parsed.Header.KeyID
		}
		for range 20 {
			w.wait(24 * time.Hour)
		}
		token := w.login("profile").RefreshToken
		for range 11 { // past the rotation, which comes after 30 days
			w.wait(24 * time.Hour)
		}
		retired := kid(token)
		if _, ok := w.ring.PublishedKey(retired); ok {
			t.Fatal("the retired key is still published")
		}
		token = w.refreshed(token).RefreshToken
		active := kid(token)
		if active == retired {
			t.Fatal("no key rotated")
		}

		w.revokeKeys()
		if _, ok := w.ring.PublishedKey(active); ok {
			t.Fatal("the revoked key is still published")
		}
		next := w.refreshed(token)
		if kid(next.RefreshToken) == active {
			t.Error("signed with a revoked key")
		}
		if again := w.refreshed(token); again.RefreshToken != next.RefreshToken {
			t.Error("answered again with another token")
		}
		w.refreshed(next.RefreshToken)
	})
}

// A generation that is answered once more after a key rotation is signed anew, with the same
// claims.
func TestAGenerationIsAnsweredOnceMoreUnderAnotherKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.login("profile")
		second := w.refreshed(first.RefreshToken)
		w.revokeKeys()
		again := w.refreshed(first.RefreshToken)
		a, err := jose.Parse(second.RefreshToken)
		w.must(err)
		b, err := jose.Parse(again.RefreshToken)
		w.must(err)
		if string(a.Payload) != string(b.Payload) || a.Header.KeyID == b.Header.KeyID {
			t.Errorf("payload\n%s\nand again\n%s", a.Payload, b.Payload)
		}
	})
}

func (w *world) revokeKeys() {
	w.Helper()
	_, err := w.ring.Revoke(w.Context(), nil, true)
	w.must(err)
	w.must(w.ring.Step(w.Context()))
}

// Right after an emergency revocation another replica may sign with a key that this one has not
// read yet.
func TestAKeyYoungerThanOurLastRead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		behind, ring := w.Issuer, w.ring
		token := w.login("profile").RefreshToken
		w.replica()
		w.revokeKeys()
		next := w.refreshed(token)
		parsed, err := jose.Parse(next.RefreshToken)
		w.must(err)
		if _, ok := ring.KnownKey(parsed.Header.KeyID); ok {
			t.Fatal("the first replica knows the key already")
		}
		_, err = behind.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: next.RefreshToken, FirstParty: true})
		w.must(err)
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
		for _, m := range []string{"LoginView", "StartGrant", "AdvanceGrant", "GrantByID", "GrantBySession", "AnswerLate", "RevokeGrant"} {
			if !slices.Contains(calls, m) {
				t.Errorf("%s was not seen in %v", m, calls)
			}
		}
	})
}
