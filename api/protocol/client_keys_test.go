package protocol_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// jwks_uri: fetched once, again for a key that is not known, and not more often than each ten
// seconds.
func TestKeysOfAClientThatMoved(t *testing.T) {
	var fetched atomic.Int64
	var mu sync.Mutex
	var body string
	var failure error
	set := func(text string, err error) { mu.Lock(); defer mu.Unlock(); body, failure = text, err }
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		fetched.Store(0)
		a := assertive{key: clientKey(t, jose.EdDSA), alg: jose.EdDSA, kid: "one"}
		a.Client = s.Register(userstore.Client{ID: "far", AuthMethod: userstore.AuthPrivateKeyJWT,
			ClientMetadata: userstore.ClientMetadata{JWKSURI: "https://far.test/jwks"}})
		document := func(kids ...string) string {
			var list []string
			for _, kid := range kids {
				list = append(list, jwkOf(t, a.key, kid, a.alg))
			}
			return `{"keys":[` + strings.Join(list, ",") + `]}`
		}
		ask := func(kid string) *apitest.Response {
			return s.Do(a.request(a.header().With("kid", kid), a.claims(s, nil)))
		}
		set("", errors.New("planted: connection refused"))
		if res := ask("one").Want(503, "temporarily_unavailable"); res.Header.Get("Retry-After") == "" ||
			strings.Contains(string(res.Body), "planted") {
			t.Errorf("%v %s", res.Header, res.Body)
		}
		set(document("one"), nil)
		ask("one").Want(503, "temporarily_unavailable") // too soon to look again
		s.Advance(11 * time.Second)
		for range 5 {
			ask("one").Want(200, "")
		}
		if n := fetched.Load(); n != 2 {
			t.Errorf("fetched %d times, want 2", n)
		}
		set(document("one", "two"), nil)
		ask("two").Want(401, "invalid_client")
		s.Advance(11 * time.Second)
		ask("two").Want(200, "")
		before := fetched.Load()
		for n := range 20 {
			ask(fmt.Sprint("unknown ", n)).Want(401, "invalid_client")
		}
		if n := fetched.Load() - before; n > 1 {
			t.Errorf("20 unknown keys made us look %d times", n)
		}
		// A key that was withdrawn is believed for ten minutes at most; when its server is down,
		// for an hour.
		set(document("two"), nil)
		s.Advance(11 * time.Minute)
		ask("one").Want(401, "invalid_client")
		set("", errors.New("planted: connection refused"))
		s.Advance(11 * time.Minute)
		ask("two").Want(200, "")
		s.Advance(50 * time.Minute)
		ask("two").Want(503, "temporarily_unavailable")
		set("<html>", nil)
		s.Advance(time.Minute)
		ask("two").Want(503, "temporarily_unavailable")
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) {
			r.Issuer.ClientKeys = &issuer.ClientKeys{Fetch: func(_ context.Context, address string) ([]byte, error) {
				fetched.Add(1)
				mu.Lock()
				defer mu.Unlock()
				if address != "https://far.test/jwks" {
					return nil, errors.New("another address: " + address)
				}
				return []byte(body), failure
			}}
		}
	})
}

// With the cache that serve has: what was read is believed for a second, and nobody is refused on
// its word.
func TestTheClientCache(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "web"})
		ask := func(secret string) *apitest.Response {
			q := machineRequest(nil)
			q.Basic = [2]string{"web", secret}
			return s.Do(q)
		}
		ask(c.Secret).Want(200, "")
		row, err := s.DB.ClientByID(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		next := s.Secret("the next secret that we made")
		row.SecretHash = userstore.ClientSecretHash(next)
		if err := s.DB.UpdateClient(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		ask(next).Want(200, "") // at once
		ask(c.Secret).Want(401, "invalid_client")
		if err := s.DB.SetClientActive(t.Context(), "web", false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		ask(next).Want(200, "") // within the second
		s.Advance(time.Second)
		ask(next).Want(401, "invalid_client")
		if err := s.DB.SetClientActive(t.Context(), "web", true, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		ask(next).Want(200, "") // at once
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.Issuer.Cache = &issuer.ClientCache{MaxAge: time.Second} }
	})
}
