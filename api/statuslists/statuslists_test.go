// Package statuslists_test holds tests of token status lists through a whole server, with the
// verifier that resource servers use.
package statuslists_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/statuslist"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/verifier"
)

func each(t *testing.T, fn func(t *testing.T, s *apitest.Server)) {
	apitest.Each(t, fn, func(o *apitest.Options) { o.StatusLists = true })
}

// resourceServer verifies tokens of the server with the server's clock.
func resourceServer(s *apitest.Server, change ...func(*verifier.Config)) *verifier.Verifier {
	s.T.Helper()
	at := s.Replicas[0].HTTP.URL
	c := verifier.Config{
		Issuer: apitest.IssuerURL, Audience: []string{apitest.IssuerURL}, Now: s.Clock.Now,
		JWKSURL: at + "/.well-known/jwks.json", StatusBaseURL: at, Logger: slog.New(slog.DiscardHandler),
	}
	for _, fn := range change {
		fn(&c)
	}
	v, err := verifier.New(c)
	if err != nil {
		s.T.Fatal(err)
	}
	return v
}

func verify(v *verifier.Verifier, token string) error {
	_, err := v.Verify(context.Background(), token)
	return err
}

// claims returns the payload of a token.
func claims(t *testing.T, token string) (all map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// poll moves the clock by a second, in which each replica polls.
func poll(s *apitest.Server) { s.Advance(time.Second) }

// Whatever ends a session shows at a resource server within ttl and two seconds, at introspection at
// once, and not at the sessions of others.
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
				tokens, other := s.Redeem(u, c), s.Redeem(s.SignUp(fmt.Sprint("bob", n)), s.Register(userstore.Client{ID: fmt.Sprint("other", n)}))
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

func clientToken(s *apitest.Server, c apitest.Client) string {
	s.T.Helper()
	var tokens apitest.Tokens
	s.Do(s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})).Want(200, "").JSON(&tokens)
	return tokens.Access
}

func refreshed(s *apitest.Server, c apitest.Client, tokens apitest.Tokens) (next apitest.Tokens) {
	s.T.Helper()
	s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "").JSON(&next)
	return next
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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

type list struct {
	claims map[string]any
	places statuslist.Places
	raw    *apitest.Response
}

func reference(t *testing.T, token string) (uri string, index uint64) {
	t.Helper()
	status, _ := claims(t, token)["status"].(map[string]any)
	r, _ := status["status_list"].(map[string]any)
	uri, _ = r["uri"].(string)
	n, ok := r["idx"].(float64)
	if uri == "" || !ok {
		t.Fatalf("the token's status is %v", status)
	}
	return uri, uint64(n)
}

func place(t *testing.T, token string) uint64 {
	t.Helper()
	_, index := reference(t, token)
	return index
}

// listOf fetches the list that a token names.
func listOf(s *apitest.Server, token string) list {
	s.T.Helper()
	t := s.T.(*testing.T)
	uri, _ := reference(t, token)
	res := s.Do(apitest.Request{Path: strings.TrimPrefix(uri, apitest.IssuerURL)}).Want(200, "")
	l := list{claims: claims(t, string(res.Body)), raw: res}
	of, _ := l.claims["status_list"].(map[string]any)
	lst, _ := of["lst"].(string)
	var err error
	if l.places, err = (statuslist.List{Bits: 1, Compressed: lst}).Decode(); err != nil || of["bits"] != float64(1) {
		t.Fatalf("%v: %v", of["bits"], err)
	}
	return l
}

func TestTheListAndItsAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server) {
		tokens := s.Login(s.SignUp("alice"))
		uri, index := reference(t, tokens.Access)
		if uri != apitest.IssuerURL+"/oauth2/status/0" || index == 0 {
			t.Errorf("the token names place %d of %s", index, uri)
		}
		l := listOf(s, tokens.Access)
		now := s.Clock.Now().Unix()
		for name, want := range map[string]any{
			"iss": apitest.IssuerURL, "sub": uri, "iat": float64(now), "exp": float64(now + 600), "ttl": float64(15), "revoked_before": nil,
		} {
			if got := l.claims[name]; got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if l.places.Bytes() != statuslist.Size/8 {
			t.Errorf("the list has %d bytes", l.places.Bytes())
		}
		for name, want := range map[string]string{
			"Content-Type": statuslist.MediaType, "Cache-Control": "public, max-age=5", "Access-Control-Allow-Origin": "*",
		} {
			if got := l.raw.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		tag := l.raw.Header.Get("ETag")
		s.Do(apitest.Request{Path: "/oauth2/status/0", Header: http.Header{"If-None-Match": {tag}}}).Want(304, "")
		s.Do(apitest.Request{Path: "/oauth2/status/1"}).Want(200, "") // another replica may have begun it
		for _, none := range []string{"2", "-1", "00", "+0", "x", "0x0", "9223372036854775807", "99999999999999999999", "%30%2f"} {
			res := s.Do(apitest.Request{Path: "/oauth2/status/" + none})
			if control := res.Header.Get("Cache-Control"); res.Status != 404 || control != "no-store" {
				t.Errorf("list %s: %d, %s", none, res.Status, control)
			}
		}

		// It stays as it is until it changes, or is half-way to its end; and changes once a second.
		again := func() string { return s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "").Header.Get("ETag") }
		s.Advance(4*time.Minute + 59*time.Second)
		if again() != tag {
			t.Error("the list was signed again although nothing changed")
		}
		poll(s)
		half := again()
		if half == tag {
			t.Error("the list was not signed again half-way to its end")
		}
		end := func() {
			_, err := s.DB.RevokeUserGrants(t.Context(), s.SignUp("nobody").ID, "", s.Clock.Now())
			must(t, err)
		}
		end() // of nobody: nothing changes
		poll(s)
		poll(s)
		if again() != half {
			t.Error("the list was signed again although nothing in it changed")
		}
		s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: tokens.Access}).Want(204, "")
		poll(s)
		poll(s)
		changed := again()
		if changed == half {
			t.Error("the list does not show the logout")
		}
		if status, _ := listOf(s, tokens.Access).places.Status(index); status != 1 {
			t.Errorf("the status is %d", status)
		}
	})
}

// Without status lists nothing is there, and nothing is counted.
func TestWithoutStatusLists(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tokens := s.Login(s.SignUp("alice"))
		if got := claims(t, tokens.Access)["status"]; got != nil {
			t.Errorf("the token's status is %v", got)
		}
		s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(404, "invalid_request")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: tokens.Access}).Want(204, "")
		c, err := s.DB.StatusChanges(t.Context(), s.Clock.Now(), statuslist.Size)
		if err != nil || c.Next != 1 || len(c.Ended) > 0 {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

// deadlines is a store that asks how long a request waits for a status list.
type deadlines struct {
	apitest.Store
	latest time.Duration // of the last read; negative: it waits forever
}

func (d *deadlines) RevokedPlaces(ctx context.Context, first, last int64) (userstore.StatusPlaces, error) {
	d.latest = -1
	if at, ok := ctx.Deadline(); ok {
		d.latest = time.Until(at)
	}
	return d.Store.RevokedPlaces(ctx, first, last)
}

// A store that hangs holds up no request for a list forever: verifiers wait for five seconds.
func TestARequestForAListHasADeadline(t *testing.T) {
	var d *deadlines
	s := apitest.New(t, apitest.Options{StatusLists: true, Store: func(db *sqlstore.DB) apitest.Store {
		d = &deadlines{Store: db}
		return d
	}})
	s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "")
	if d.latest <= 0 || d.latest > 2*time.Second {
		t.Errorf("the store has %v (-1ns: forever)", d.latest)
	}
}

// failing is a store whose status lists cannot be read for a while.
type failing struct {
	apitest.Store
	down atomic.Bool
}

func (f *failing) fault() error {
	if f.down.Load() {
		return userstore.ErrUnavailable
	}
	return nil
}

func (f *failing) StatusChanges(ctx context.Context, now time.Time, size int64) (userstore.StatusChanges, error) {
	if err := f.fault(); err != nil {
		return userstore.StatusChanges{}, err
	}
	return f.Store.StatusChanges(ctx, now, size)
}

func (f *failing) RevokedPlaces(ctx context.Context, first, last int64) (userstore.StatusPlaces, error) {
	if err := f.fault(); err != nil {
		return userstore.StatusPlaces{}, err
	}
	return f.Store.RevokedPlaces(ctx, first, last)
}

// While the store fails, the last list is served until it expires, and then 503.
func TestTheListWhileTheStoreFails(t *testing.T) {
	var f *failing
	s := apitest.New(t, apitest.Options{StatusLists: true, Store: func(db *sqlstore.DB) apitest.Store {
		f = &failing{Store: db}
		return f
	}})
	f.down.Store(true)
	unavailable := func() {
		t.Helper()
		res := s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(503, "temporarily_unavailable")
		if res.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	unavailable() // before there was one
	f.down.Store(false)
	tokens := s.Login(s.SignUp("alice"))
	v := resourceServer(s)
	must(t, verify(v, tokens.Access))
	tag := listOf(s, tokens.Access).raw.Header.Get("ETag")

	f.down.Store(true)
	for range 9 {
		s.Clock.Move(time.Minute)
		must(t, s.Replicas[0].Keys.Step(t.Context()))
		if got := s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "").Header.Get("ETag"); got != tag {
			t.Error("another list than the last one")
		}
	}
	s.Clock.Move(57 * time.Second)
	if got := s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "").Header.Get("Cache-Control"); got != "public, max-age=3" {
		t.Errorf("three seconds before its end: %s", got)
	}
	s.Clock.Move(3 * time.Second)
	unavailable()
	f.down.Store(false)
	s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "")
}

// Each replica shows what another one revoked, by its own poll; and a list is signed anew when its
// key was revoked.
func TestReplicasAndKeys(t *testing.T) {
	s := apitest.New(t, apitest.Options{StatusLists: true, Replicas: 3})
	u := s.SignUp("alice")
	tokens := s.Login(u)
	index := place(t, tokens.Access)
	statusAt := func(replica int) byte {
		t.Helper()
		l := claims(t, string(s.Do(apitest.Request{Path: "/oauth2/status/0", Replica: replica}).Want(200, "").Body))
		lst, _ := l["status_list"].(map[string]any)["lst"].(string)
		places, err := statuslist.List{Bits: 1, Compressed: lst}.Decode()
		must(t, err)
		status, _ := places.Status(index)
		return status
	}
	for replica := range 3 {
		if statusAt(replica) != 0 {
			t.Errorf("replica %d says it is revoked", replica)
		}
	}
	s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: tokens.Access}).Want(204, "")
	poll(s)
	for replica := range 3 {
		if statusAt(replica) != 1 {
			t.Errorf("replica %d does not know of it after a second", replica)
		}
	}
	before := s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "").Header.Get("ETag")
	if _, err := s.Replicas[0].Keys.Revoke(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	must(t, s.Replicas[0].Keys.Step(t.Context()))
	if got := s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "").Header.Get("ETag"); got == before {
		t.Error("the list is still signed with a revoked key")
	}
	must(t, verify(resourceServer(s), s.Login(u).Access))
}

// A grant that an older version made has no place, and gets one with its next token.
func TestGrantsWithoutAPlace(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		c := s.WebClient()
		r := s.Replicas[0]
		status := r.Issuer.Status
		r.Issuer.Status = nil
		tokens := s.Redeem(u, c)
		r.Issuer.Status = status
		if claims(t, tokens.Access)["status"] != nil {
			t.Fatal("the grant has a place")
		}
		next := refreshed(s, c, tokens)
		again := refreshed(s, c, tokens) // an answer that was lost
		if a, b := place(t, next.Access), place(t, again.Access); a == 0 || a != b {
			t.Errorf("places %d and %d", a, b)
		}
		v := resourceServer(s)
		must(t, verify(v, next.Access))
		s.Do(s.Authenticated(c, "/oauth2/revoke", url.Values{"token": {again.Refresh}})).Want(200, "")
		s.Advance(17 * time.Second)
		if err := verify(v, next.Access); !errors.Is(err, verifier.ErrRevoked) {
			t.Errorf("%v", err)
		}
	}, func(o *apitest.Options) { o.StatusLists = true })
}

// forgetful is a store that forgets for a while that it gave places away.
type forgetful struct {
	apitest.Store
	now atomic.Bool
}

func (f *forgetful) StatusChanges(ctx context.Context, now time.Time, size int64) (userstore.StatusChanges, error) {
	c, err := f.Store.StatusChanges(ctx, now, size)
	if f.now.Load() {
		c.Next = 2
	}
	return c, err
}

// A database that lost writes, as after a failover without synchronous replication, may give places to one
// replica that another one has reserved, which gives away none of them any more.
func TestPlacesThatTheDatabaseForgot(t *testing.T) {
	var f *forgetful
	s := apitest.New(t, apitest.Options{StatusLists: true, Store: func(db *sqlstore.DB) apitest.Store {
		f = &forgetful{Store: db}
		return f
	}})
	u := s.SignUp("alice")
	index := func() int64 {
		t.Helper()
		_, index := reference(t, s.Login(u).Access)
		return int64(index)
	}
	first := index()
	poll(s)
	if next := index(); next != first+1 {
		t.Errorf("the place %d follows %d: nothing is reserved", next, first)
	}
	f.now.Store(true)
	poll(s)
	last, err := s.DB.ReservePlaces(t.Context(), 1)
	must(t, err)
	if next := index(); next <= last {
		t.Errorf("the place %d is one that the database forgot", next)
	}
}
