package registrations_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// TestR01InitialAccessTokens: a token registers as many clients as it has uses, until it ends.
func TestR01InitialAccessTokens(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		row, token := initialToken(s, registration.NewToken{Note: "the build", Uses: 2, Lasts: time.Hour})
		res := register(s, shop(), "").Want(401, "invalid_token")
		if got := res.Header.Get("WWW-Authenticate"); got != `Bearer realm="https://id.test"` {
			t.Errorf("without a token: %s", got)
		}
		_, admin := s.Admin("root")
		web := s.WebClient()
		for _, wrong := range []string{"wrong", token + "x", token[1:], admin.Access, web.Secret} {
			register(s, shop(), wrong).Want(401, "invalid_token")
		}
		s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Body: shop(), Basic: [2]string{web.ID, web.Secret}}).Want(401, "invalid_token")

		// A refused registration uses none.
		register(s, shop().With("redirect_uris", []string{}), token).Want(400, "invalid_redirect_uri")
		res = register(s, shop(), token).Want(201, "")
		c := take(s, res)
		events := s.EventsOf(res)
		if len(events) != 1 || events[0].Actor.Type != "registration_token" || events[0].Actor.ID != row.ID || events[0].Target.ID != c.ID {
			t.Errorf("events %+v", events)
		}
		register(s, shop(), token).Want(201, "")
		leavesNothing(s, func() { register(s, shop(), token).Want(401, "invalid_token") })
		manage(s, "GET", c, nil).Want(200, "")

		_, expires := initialToken(s, registration.NewToken{Lasts: time.Minute})
		s.Advance(time.Minute)
		leavesNothing(s, func() { register(s, shop(), expires).Want(401, "invalid_token") })

		revoked, text := initialToken(s, registration.NewToken{})
		if err := s.Replicas[0].API.Clients.RevokeRegistrationToken(t.Context(), revoked.ID); err != nil {
			t.Fatal(err)
		}
		leavesNothing(s, func() { register(s, shop(), text).Want(401, "invalid_token") })
		if text := strings.ToLower(s.Log.String()); strings.Contains(text, strings.ToLower(token)) {
			t.Error("the log holds a token")
		}
	}, mode(issuer.RegistrationToken))
}

// TestR01ATokenThatIsSentCounts: where none is needed, a wrong one is refused all the same, and a good
// one is used.
func TestR01ATokenThatIsSentCounts(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, token := initialToken(s, registration.NewToken{})
		leavesNothing(s, func() { register(s, shop(), "wrong").Want(401, "invalid_token") })
		register(s, shop(), token).Want(201, "")
		register(s, shop(), token).Want(401, "invalid_token")
		register(s, shop(), "").Want(201, "")
	}, mode(issuer.RegistrationOpen))
}

// TestR01UsesAtOnce: many registrations at once, on several replicas, never pass the limit of a token.
func TestR01UsesAtOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const uses, tries = 5, 24
		_, token := initialToken(s, registration.NewToken{Uses: uses})
		var made, refused atomic.Int64
		var wg sync.WaitGroup
		for n := range tries {
			wg.Go(func() {
				res := s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Token: token, Body: shop(), Replica: n % 3})
				switch {
				case res.Status == 201:
					made.Add(1)
				case res.Status == 401 && res.Code() == "invalid_token":
					refused.Add(1)
				default:
					t.Errorf("%d %s", res.Status, res.Body)
				}
			})
		}
		wg.Wait()
		if made.Load() != uses || refused.Load() != tries-uses {
			t.Errorf("%d registered, %d refused", made.Load(), refused.Load())
		}
		all, err := s.DB.ListClients(t.Context(), nil, 100)
		if err != nil || len(all) != uses+1 {
			t.Errorf("%d clients, %v", len(all), err)
		}
	}, mode(issuer.RegistrationToken), func(o *apitest.Options) { o.Replicas = 3 })
}

// capped sets the caps of registrations without a token.
func capped(network, all int) func(*apitest.Options) {
	return func(o *apitest.Options) {
		apitest.BehindProxy(o)
		apitest.Configured(func(r *apitest.Replica) {
			r.Issuer.Registration = issuer.RegistrationOpen
			r.Accounts.Throttle.RegistrationsPerNetwork, r.Accounts.Throttle.Registrations = network, all
		})(o)
	}
}

func registerFrom(s *apitest.Server, replica int, address string, metadata apitest.Fields) *apitest.Response {
	s.T.Helper()
	return s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Body: metadata, Header: apitest.From(address), Replica: replica})
}

// TestR12RegistrationsPerNetwork: a network, the block around it, and all of them have budgets, on all
// replicas together. What was refused for another reason does not count.
func TestR12RegistrationsPerNetwork(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const here = "198.51.100.7"
		limited := func(replica int, address, wait string) {
			t.Helper()
			leaves := func() {
				res := registerFrom(s, replica, address, shop()).Want(429, "temporarily_unavailable")
				if got := res.Header.Get("Retry-After"); got != wait {
					t.Errorf("Retry-After %s, want %s", got, wait)
				}
			}
			before := clients(s)
			leaves()
			if after := clients(s); after != before {
				t.Errorf("%d clients became %d", before, after)
			}
		}
		for n := range 3 {
			registerFrom(s, n, here, shop().With("redirect_uris", nil)).Want(400, "invalid_redirect_uri")
			registerFrom(s, n, here, shop()).Want(201, "")
		}
		limited(0, here, "3600")
		registerFrom(s, 0, "203.0.113.9", shop()).Want(201, "")
		s.Advance(30 * time.Minute)
		limited(1, here, "1800")
		// A token is a cap of its own.
		_, token := initialToken(s, registration.NewToken{})
		s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Token: token, Body: shop(), Header: apitest.From(here)}).Want(201, "")
		s.Advance(30 * time.Minute)
		registerFrom(s, 2, here, shop()).Want(201, "")
		events, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Name: "rate_limited", Limit: 10})
		if err != nil || len(events) == 0 || events[0].Reason != "registrations_from_network" {
			t.Errorf("%+v, %v", events, err)
		}
	}, capped(3, 1000))
}

// TestR12RefusalsThatFetchCount: a registration, or a replacement, that makes the server fetch a
// document counts, also when it is refused.
func TestR12RefusalsThatFetchCount(t *testing.T) {
	var fetched atomic.Int64
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const here = "198.51.100.7"
		c := take(s, registerFrom(s, 0, here, shop()).Want(201, ""))
		fetched.Store(0)
		sector := shop().With("sector_identifier_uri", "https://shop.test/sector")
		for n := range 2 {
			registerFrom(s, n, here, sector).Want(400, "invalid_client_metadata")
		}
		registerFrom(s, 2, here, sector).Want(429, "temporarily_unavailable")
		res := s.Do(apitest.Request{Method: "PUT", Path: "/oauth2/register/" + c.ID, Token: c.Access, Header: apitest.From(here),
			Body: sector.With("client_id", c.ID)}).Want(429, "temporarily_unavailable")
		if res.Header.Get("Retry-After") == "" || fetched.Load() != 2 {
			t.Errorf("fetched %d times", fetched.Load())
		}
		s.Do(apitest.Request{Method: "PUT", Path: "/oauth2/register/" + c.ID, Token: c.Access, Header: apitest.From(here),
			Body: shop().With("client_id", c.ID)}).Want(200, "")
	}, capped(3, 1000), apitest.Configured(func(r *apitest.Replica) {
		r.API.Clients.SectorDocument = func(context.Context, string) ([]byte, error) {
			fetched.Add(1)
			return []byte("[]"), nil
		}
	}))
}

// TestR12RegistrationsInAll: however many networks register, there is a bound.
func TestR12RegistrationsInAll(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		var wg sync.WaitGroup
		var made, refused atomic.Int64
		for n := range 30 {
			wg.Go(func() {
				address := "2001:db8:" + string(rune('a'+n%6)) + string(rune('0'+n/6)) + "::1"
				switch res := registerFrom(s, n%3, address, shop()); {
				case res.Status == 201:
					made.Add(1)
				case res.Status == 429 && res.Header.Get("Retry-After") == "3600":
					refused.Add(1)
				default:
					t.Errorf("%d %s", res.Status, res.Body)
				}
			})
		}
		wg.Wait()
		if made.Load() != 10 || refused.Load() != 20 || clients(s) != 11 {
			t.Errorf("%d registered, %d refused, %d clients", made.Load(), refused.Load(), clients(s))
		}
		s.Replicas[0].Accounts.Throttle.Drain()
		s.Advance(time.Hour)
		registerFrom(s, 0, "198.51.100.7", shop()).Want(201, "")
	}, capped(3, 10))
}

func clients(s *apitest.Server) int {
	s.T.Helper()
	all, err := s.DB.ListClients(s.T.Context(), nil, 1000)
	if err != nil {
		s.T.Fatal(err)
	}
	return len(all)
}

// TestR12UnusedClientsExpire: what was never used for a code is deleted, by one replica of several;
// what was used stays, and so does what an operator edited.
func TestR12UnusedClientsExpire(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		unused := take(s, register(s, shop(), "").Want(201, ""))
		used := take(s, register(s, shop(), "").Want(201, ""))
		edited := take(s, register(s, shop(), "").Want(201, ""))
		managed := take(s, register(s, shop(), "").Want(201, ""))
		b, page := s.Allowed(s.SignUp("alice"), used.Client)
		apitest.WantCode(t, page)
		_, _, err := s.Replicas[0].API.Clients.Edit(t.Context(), edited.ID, "", func(c *userstore.Client) error { c.Name = "Edited"; return nil })
		if err != nil {
			t.Fatal(err)
		}
		manage(s, "PUT", managed, shop().With("client_id", managed.ID).With("client_name", "Renamed")).Want(200, "")
		sweep := func() {
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if _, err := registration.RemoveUnused(t.Context(), s.DB, nil, s.Clock.Now(), 100); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		s.Advance(registration.UnusedFor - time.Second)
		leavesNothing(s, sweep)
		s.Advance(time.Second)
		sweep()
		manage(s, "GET", unused, nil).Want(401, "invalid_token")
		manage(s, "GET", managed, nil).Want(401, "invalid_token")
		manage(s, "GET", used, nil).Want(200, "")
		manage(s, "GET", edited, nil).Want(200, "")
		b.Open(apitest.AuthorizePath(unused.Client)).WantPage(400, "")
		events, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Name: "client_deleted", Limit: 10})
		if err != nil || len(events) != 2 || events[0].Reason != "unused" || events[0].Actor.Type != "system" {
			t.Errorf("%+v, %v", events, err)
		}
		leavesNothing(s, sweep)
	}, mode(issuer.RegistrationOpen))
}

// TestRegistrationFromABrowser: CORS without credentials, for configured origins and for those of
// redirect URIs. While anybody may register, a script of any origin may, because no redirect URI is
// known before that; a registration that is there is managed from known origins only.
func TestRegistrationFromABrowser(t *testing.T) {
	for _, open := range []bool{true, false} {
		s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) {
			r.Issuer.Registration, r.API.CORSOrigins = issuer.RegistrationOpen, []string{"https://app.test"}
			if !open {
				r.Issuer.Registration = issuer.RegistrationToken
			}
		}})
		c := s.Register(userstore.Client{ID: "shop", AuthMethod: userstore.AuthNone, GrantTypes: []string{userstore.GrantAuthorizationCode},
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://shop.test/cb"}}})
		for _, row := range []struct{ origin, want string }{
			{"https://app.test", "https://app.test"}, {"https://shop.test", "https://shop.test"}, {"https://evil.test", ""},
		} {
			for path, want := range map[string]string{"/oauth2/register": row.want, "/oauth2/register/" + c.ID: row.want} {
				if open && path == "/oauth2/register" {
					want = "*"
				}
				res := s.Do(apitest.Request{Method: "OPTIONS", Path: path, Header: http.Header{
					"Origin": {row.origin}, "Access-Control-Request-Method": {"POST"},
					"Access-Control-Request-Headers": {"authorization, content-type"}}})
				if got := res.Header.Get("Access-Control-Allow-Origin"); got != want ||
					res.Header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("open %v: %s from %s: %q, want %q", open, path, row.origin, got, want)
				}
			}
		}
	}
}
