package protocol_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// RFC 6749 section 2.3.1: both halves are form-encoded, so that every secret has one spelling.
func TestT13SecretsAreFormEncoded(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for n, secret := range []string{"per%3Acent", "a+b c", "sch\u00f6n:\u4e16\u754c", "a:b:c", "100%", "a&b=c"} {
			c := userstore.Client{ID: fmt.Sprintf("client:%d", n), GrantTypes: []string{userstore.GrantClientCredentials},
				SecretHash: userstore.ClientSecretHash(secret), AuthMethod: userstore.AuthBasic}
			s.Register(c)
			q := machineRequest(nil)
			q.Basic = [2]string{c.ID, secret}
			s.Do(q).Want(200, "")
			if strings.ContainsAny(secret, "%+") { // as it is it would be another one, or none
				raw := machineRequest(nil)
				raw.Header = http.Header{
					"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ID)+":"+secret))}}
				unauthenticated(s, raw)
			}
		}
	})
}

// A secret that an operator chose is kept like a password: hashed, and counted.
func TestChosenSecrets(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		hasher := s.Replicas[0].Accounts.Hasher
		secret := s.Secret("an operator chose this one")
		hash, err := hasher.Hash(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		s.Register(userstore.Client{ID: "chosen", GrantTypes: []string{userstore.GrantClientCredentials}, SecretHash: hash})
		q := machineRequest(nil)
		q.Basic = [2]string{"chosen", secret}
		s.Do(q).Want(200, "")
		before := hasher.Secrets.Stats().Started
		if before == 0 {
			t.Error("the secret was never hashed")
		}
		for range 20 {
			s.Do(q).Want(200, "")
		}
		if after := hasher.Secrets.Stats().Started; after != before {
			t.Errorf("a proved secret was hashed %d times more", after-before)
		}
		wrong := q
		wrong.Basic[1] = "another one"
		unauthenticated(s, wrong)
	})
}

// T-33, with the budget of ten in a quarter of an hour: from one network many wrong ones are
// refused unseen, while the client itself goes on, from there and from elsewhere.
func TestT33WrongSecretsAreThrottled(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		from := func(address string, q apitest.Request) apitest.Request {
			q.Header = http.Header{"X-Forwarded-For": {address}}
			return q
		}
		wrong := machineRequest(nil)
		wrong.Basic = [2]string{"web", "wrong"}
		unknown := machineRequest(nil)
		unknown.Basic = [2]string{"nobody", "wrong"}
		right := machineRequest(nil)
		right.Basic = [2]string{"web", f.web.Secret}
		for name, q := range map[string]apitest.Request{"of a client": wrong, "of nobody": unknown} {
			for n := range 10 {
				if res := s.Do(from("192.0.2.1", q)); res.Status != 401 {
					t.Fatalf("%s: wrong secret %d: %d", name, n, res.Status)
				}
			}
			started := s.Replicas[0].Accounts.Hasher.Secrets.Stats().Started
			if started < 10 {
				t.Errorf("%s: only %d were hashed", name, started)
			}
			for range 50 {
				if res := s.Do(from("192.0.2.1", q)).Want(429, "temporarily_unavailable"); res.Header.Get("Retry-After") == "" {
					t.Fatal("no Retry-After")
				}
			}
			if now := s.Replicas[0].Accounts.Hasher.Secrets.Stats().Started; now != started {
				t.Errorf("%s: %d were hashed all the same", name, now-started)
			}
		}
		s.Do(from("192.0.2.1", right)).Want(200, "")
		s.Do(from("198.51.100.7", right)).Want(200, "")
		if res := s.Do(from("198.51.100.7", wrong)); res.Status != 401 {
			t.Errorf("from another network: %d", res.Status)
		}
		s.Advance(16 * time.Minute)
		if res := s.Do(from("192.0.2.1", wrong)); res.Status != 401 {
			t.Errorf("after a quarter of an hour: %d", res.Status)
		}
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.API.TrustedProxies = []string{"127.0.0.1"} }
	})
}
