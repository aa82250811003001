package statuslists_test

import (
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/verifier"
)

// Whatever ends a session shows at a resource server within ttl and two seconds, at introspection
// at once, and not at the sessions of others.
func TestARevocationShows(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server) {
		ctx := t.Context()
		machine := s.Register(userstore.Client{ID: "machine"})
		admin := s.Replicas[0].Accounts
		for n, way := range []struct {
			name   string
			revoke func(t *testing.T, u apitest.User, c apitest.Client, tokens apitest.Tokens)
		}{
			{"logout", func(t *testing.T, _ apitest.User, c apitest.Client, tokens apitest.Tokens) {
				s.Do(s.Authenticated(c, "/oauth2/revoke", url.Values{"token": {tokens.Refresh}})).Want(200, "")
			}},
			{"a replayed refresh token", func(t *testing.T, _ apitest.User, c apitest.Client, tokens apitest.Tokens) {
				second := refreshed(s, c, tokens)
				refreshed(s, c, second)
				s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
			}},
			{"the user disabled", func(t *testing.T, u apitest.User, _ apitest.Client, _ apitest.Tokens) {
				must(t, s.DB.SetActive(ctx, u.ID, false, s.Clock.Now()))
			}},
			{"the user deleted", func(t *testing.T, u apitest.User, _ apitest.Client, _ apitest.Tokens) {
				must(t, s.DB.DeleteUser(ctx, u.ID))
			}},
			{"all sessions of the user", func(t *testing.T, u apitest.User, _ apitest.Client, _ apitest.Tokens) {
				_, err := admin.RevokeSessions(ctx, u.ID, "")
				must(t, err)
			}},
			{"the client disabled", func(t *testing.T, _ apitest.User, c apitest.Client, _ apitest.Tokens) {
				must(t, s.DB.SetClientActive(ctx, c.ID, false, s.Clock.Now()))
			}},
			{"the client deleted", func(t *testing.T, _ apitest.User, c apitest.Client, _ apitest.Tokens) {
				must(t, s.DB.DeleteClient(ctx, c.ID))
			}},
		} {
			t.Run(way.name, func(t *testing.T) {
				s := s.With(t)
				v := resourceServer(s)
				u := s.SignUp(fmt.Sprint("alice", n))
				c := s.Register(userstore.Client{ID: fmt.Sprint("web", n)})
				tokens := s.Redeem(u, c)
				bob := s.SignUp(fmt.Sprint("bob", n))
				other := s.Redeem(bob, s.Register(userstore.Client{ID: fmt.Sprint("other", n)}))
				for _, token := range []string{tokens.Access, other.Access} {
					must(t, verify(v, token))
				}
				way.revoke(t, u, c, tokens)
				if way.name != "the client deleted" && way.name != "the client disabled" {
					if active := s.Introspect(c, tokens.Access)["active"]; active != false {
						t.Errorf("introspection says active: %v", active)
					}
				}
				poll(s)
				poll(s)
				s.Advance(15 * time.Second)
				if err := verify(v, tokens.Access); !errors.Is(err, verifier.ErrRevoked) {
					t.Errorf("after ttl and two seconds: %v", err)
				}
				must(t, verify(v, other.Access))
			})
		}

		// A client's own tokens name the place of the client.
		v := resourceServer(s)
		own := clientToken(s, machine)
		must(t, verify(v, own))
		must(t, s.DB.SetClientActive(ctx, machine.ID, false, s.Clock.Now()))
		must(t, s.DB.SetClientActive(ctx, machine.ID, true, s.Clock.Now()))
		if active := s.Introspect(machine, own)["active"]; active != false {
			t.Errorf("introspection says active: %v", active)
		}
		fresh := clientToken(s, machine)
		s.Advance(17 * time.Second)
		if err := verify(v, own); !errors.Is(err, verifier.ErrRevoked) {
			t.Errorf("a client's token from before it was disabled: %v", err)
		}
		must(t, verify(v, fresh))
	})
}

// Everything is revoked at once: every bit is set, and the list says from when on tokens count.
func TestEverythingIsRevoked(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server) {
		v := resourceServer(s)
		machine := s.Register(userstore.Client{ID: "machine"})
		u, c := s.SignUp("alice"), s.WebClient()
		tokens, own := s.Redeem(u, c), clientToken(s, machine)
		for _, token := range []string{tokens.Access, own} {
			must(t, verify(v, token))
		}
		at := s.Clock.Now()
		must(t, s.DB.RevokeAll(t.Context(), at, audit.New(t.Context(), at, audit.GrantsRevoked, audit.Target{})))
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
		for token, of := range map[string]apitest.Client{tokens.Access: c, own: machine} {
			if active := s.Introspect(of, token)["active"]; active != false {
				t.Errorf("introspection says active: %v", active)
			}
		}
		s.Advance(17 * time.Second)
		for _, token := range []string{tokens.Access, own} {
			if err := verify(v, token); !errors.Is(err, verifier.ErrRevoked) {
				t.Errorf("a token from before: %v", err)
			}
		}
		list := listOf(s, tokens.Access)
		for _, place := range []uint64{1, place(t, tokens.Access), place(t, own)} {
			if status, _ := list.places.Status(place); status != 1 {
				t.Errorf("place %d says %d", place, status)
			}
		}
		if got := list.claims["revoked_before"]; got != float64(at.Add(time.Second-1).Unix()) {
			t.Errorf("revoked_before is %v, of a revocation at %v", got, at.Unix())
		}

		// What comes afterwards is good, and the old session is not needed.
		after := s.Redeem(u, c)
		must(t, verify(v, after.Access))
		must(t, verify(v, clientToken(s, machine)))
	})
}
