package issuer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// Every operation of the issuer that concerns security leaves one audit entry, with the grant's
// user and the origin. A successful refresh leaves none: it is one statement, and there are
// thousands.
func TestO10EveryActOfTheIssuerIsRecorded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		seen := map[string]bool{}
		var all []audit.Event
		next := func() (fresh []audit.Event) {
			t.Helper()
			events, err := w.db.ListEvents(t.Context(), userstore.EventQuery{Limit: 1000})
			w.must(err)
			for _, e := range events {
				if !seen[e.ID] {
					seen[e.ID] = true
					fresh = append(fresh, e)
				}
			}
			all = append(all, fresh...)
			return fresh
		}
		ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: "192.0.2.7", UserAgent: "Some Browser", RequestID: "r-1"})
		const late = 2 * time.Minute
		login := func(u userstore.User, secret, scope string) (issuer.TokenResponse, error) {
			return w.Login(ctx, issuer.LoginRequest{Email: u.Email, Password: secret, ClientID: "app", Scope: scope})
		}
		refresh := func(token string) error {
			_, err := w.Refresh(ctx, issuer.RefreshRequest{RefreshToken: token, FirstParty: true})
			return err
		}
		for _, row := range []struct {
			name string
			act  func() (token string, err error) // token: one of the grant that the event is about
			code issuer.Code
			want string // empty: nothing is recorded
		}{
			{"a login", func() (string, error) { r, err := login(w.alice, password, "profile"); return r.RefreshToken, err }, "",
				"login_succeeded success  by user alice on alice"},
			{"a wrong password", func() (string, error) {
				_, err := login(w.alice, "wrong wrong wrong", "profile")
				return "", err
			}, issuer.InvalidCredentials,
				"login_failed failure wrong_password by anonymous  on alice"},
			{"an unknown user", func() (string, error) {
				_, err := login(userstore.User{Email: "nobody@example.test"}, password, "profile")
				return "", err
			}, issuer.InvalidCredentials, "login_failed failure unknown_user by anonymous  on "},
			{"the scope admin for who is no admin",
				func() (string, error) { _, err := login(w.alice, password, "profile admin"); return "", err }, issuer.InvalidScope,
				"login_failed failure not_admin by anonymous  on alice"},
			{"a scope that nobody can have",
				func() (string, error) { _, err := login(w.alice, password, "nonsense"); return "", err }, issuer.InvalidScope, ""},
			{"a client that nobody knows", func() (string, error) {
				_, err := w.Login(ctx, issuer.LoginRequest{Email: w.alice.Email, Password: password, ClientID: "nobody"})
				return "", err
			}, issuer.InvalidClient, ""},
			{"a refresh", func() (string, error) { g := w.generations(2); next(); return g[1], refresh(g[2]) }, "", ""},
			{"the one before again, in the window",
				func() (string, error) { g := w.generations(2); next(); return g[1], refresh(g[1]) }, "", ""},
			{"the one before again, late",
				func() (string, error) { g := w.generations(2); w.wait(late); next(); return g[1], refresh(g[1]) }, "",
				"refresh_late success  by anonymous  on alice"},
			{"an old one", func() (string, error) { g := w.generations(3); next(); return g[1], refresh(g[1]) },
				issuer.InvalidGrant,
				"refresh_replay failure older_generation by anonymous  on alice"},
			{"the one before, without the key that the grant has got since", func() (string, error) {
				g := w.generations(2)
				_, err := w.refreshesWith([]string{w.keyProof(dpoptest.NewKey(t))})(g[2])
				w.must(err)
				next()
				return g[1], refresh(g[2])
			}, issuer.InvalidGrant, "refresh_replay failure without_key by anonymous  on alice"},
			{"one that was late before", func() (string, error) {
				g := w.generations(2)
				w.wait(late)
				w.must(refresh(g[1])) // late
				w.must(refresh(g[2]))
				w.wait(late)
				next()
				return g[1], refresh(g[2])
			}, issuer.InvalidGrant, "refresh_replay failure late_too_often by anonymous  on alice"},
			{"one that the store has forgotten", func() (string, error) {
				g := w.generations(2)
				next()
				return g[1], refresh(g[3])
			}, issuer.InvalidGrant, "generation_ahead failure store_lost_writes by anonymous  on alice"},
			{"the same after it was revoked", func() (string, error) {
				g := w.generations(3)
				_ = refresh(g[1])
				next()
				return g[1], refresh(g[1])
			}, issuer.InvalidGrant, ""},
		} {
			w.another()
			next()
			w.log = &logged{}
			token, err := row.act()
			if code := errors.As(err, new(*issuer.Error)); code != (row.code != "") {
				t.Errorf("%s: %v", row.name, err)
			} else if code {
				w.refused(err, row.code)
			}
			var got []string
			for _, e := range next() {
				name := map[string]string{w.alice.ID: "alice"}
				got = append(got, fmt.Sprintf("%s %s %s by %s %s on %s", e.Name, e.Outcome, e.Reason, e.Actor.Type,
					name[e.Actor.ID], name[e.Target.ID]))
				if e.ClientID != "app" || e.Address != "192.0.2.7" || e.UserAgent != "Some Browser" || e.RequestID != "r-1" ||
					!e.At.Equal(w.clock.Now().Truncate(time.Microsecond)) {
					t.Errorf("%s: from where and when: %+v", row.name, e)
				}
				if token != "" && e.SessionID != w.row(token).SessionID {
					t.Errorf("%s: of session %q", row.name, e.SessionID)
				}
			}
			want := []string{row.want}
			if row.want == "" {
				want = nil
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s is recorded as %q, want %q", row.name, got, want)
			}
		}

		// A revocation that could not be stored is not logged as done.
		g := w.generations(3)
		next()
		w.store.on("RevokeGrant", func() error { return userstore.ErrUnavailable }, nil)
		w.refused(refresh(g[1]), issuer.Unavailable)
		if got := next(); len(got) != 0 {
			t.Errorf("a revocation that failed is recorded: %+v", got)
		}

		text, err := json.Marshal(all)
		w.must(err)
		for _, secret := range []string{password, "wrong wrong", "nobody@", "argon2id", "eyJ", g[1], g[3]} {
			if strings.Contains(string(text), secret) {
				t.Errorf("the audit log holds %q:\n%s", secret, text)
			}
		}
	})
}
