package issuer_test

import (
	"fmt"
	"testing"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

func TestScopeAdmin(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		login := func(email string) (issuer.TokenResponse, error) {
			return w.Login(t.Context(), issuer.LoginRequest{Email: email, Password: password, Scope: "openid admin"})
		}
		_, err := login("alice@example.test")
		w.refused(err, issuer.InvalidScope)
		_, err = w.Login(t.Context(),
			issuer.LoginRequest{Email: "alice@example.test", Password: "wrong but long enough", Scope: "admin"})
		w.refused(err, issuer.InvalidCredentials) // others must not learn who is an admin

		r, err := login("root@example.test")
		w.must(err)
		if r.Scope != "openid admin" || fmt.Sprint(w.claims(r.AccessToken)["roles"]) != "[admin]" {
			t.Fatalf("answer %+v", r)
		}
		s, err := w.Bearer(t.Context(), r.AccessToken)
		w.must(err)
		if !s.HasScope("admin") {
			t.Error("the admin's token has no scope admin")
		}

		w.user("another@example.test", userstore.RoleAdmin) // one admin has to stay
		// The role is removed; the scope that needs it goes at once, the session stays.
		_, err = w.Accounts.Edit(t.Context(), w.root.ID, func(u *userstore.User) error { u.Roles = nil; return nil })
		w.must(err)
		s, err = w.Bearer(t.Context(), r.AccessToken)
		w.must(err)
		if s.HasScope("admin") || !s.HasScope("openid") {
			t.Errorf("after the role is gone the token has scopes %v", s.Scopes)
		}
		w.untouched(r.RefreshToken, func() {
			_, err := w.Refresh(t.Context(),
				issuer.RefreshRequest{RefreshToken: r.RefreshToken, Scope: "admin", FirstParty: true})
			w.refused(err, issuer.InvalidScope)
		})
		next := w.refreshed(r.RefreshToken)
		if c := w.claims(next.AccessToken); next.Scope != "openid" || c["scope"] != "openid" || c["roles"] != nil {
			t.Errorf("refresh answers scope %q and claims %v", next.Scope, c)
		}
	})
}

func TestAudienceAlgorithmAndLifetime(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			audience []string
			resource []string
			scope    string
			aud      string
			alg      string
			lifetime int64
		}{
			"the issuer by default": {nil, nil, "profile", issuerURL, jose.RS256, 600},
			"a configured audience has the issuer added": {[]string{"https://x.test"}, nil, "profile",
				"[https://x.test " + issuerURL + "]", jose.RS256, 600},
			"a configured audience that holds the issuer": {[]string{issuerURL, "https://x.test"}, nil, "profile",
				"[" + issuerURL + " https://x.test]", jose.RS256, 600},
			"a configured audience that is a resource is treated as it": {[]string{apiURI}, nil, "profile api.read",
				"[" + apiURI + " " + issuerURL + "]", jose.EdDSA, 300},
			"one resource, and nothing else": {[]string{"https://x.test"}, []string{apiURI},
				"profile api.read", apiURI, jose.EdDSA, 300},
			"a resource named twice": {nil, []string{apiURI, apiURI}, "api.read", apiURI,
				jose.EdDSA, 300},
			"two resources, the shorter lifetime": {nil, []string{filesURI, apiURI}, "files api.write",
				"[" + filesURI + " " + apiURI + "]", jose.EdDSA, 300},
			"a resource without scopes takes any": {nil, []string{openURI}, "api.read files email",
				openURI, jose.RS256, 600},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.Audience = c.audience
				r := w.login(c.scope, c.resource...)
				claims := w.claims(r.AccessToken)
				parsed, _ := jose.Parse(r.AccessToken)
				if got := fmt.Sprint(claims["aud"]); got != c.aud {
					t.Errorf("aud is %s, want %s", got, c.aud)
				}
				if parsed.Header.Algorithm != c.alg || r.ExpiresIn != c.lifetime {
					t.Errorf("alg %s for %d s, want %s for %d s", parsed.Header.Algorithm, r.ExpiresIn, c.alg, c.lifetime)
				}
				if r.Scope != c.scope {
					t.Errorf("scope %q, want %q", r.Scope, c.scope)
				}
			})
		}
	})
}

func TestIDTokenAlgIsTheClients(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		w.client(userstore.Client{ID: "ed", AuthMethod: userstore.AuthNone, FirstParty: true, IDTokenAlg: jose.EdDSA,
			GrantTypes: []string{"refresh_token"}})
		w.client(userstore.Client{ID: "es", AuthMethod: userstore.AuthNone, FirstParty: true, IDTokenAlg: jose.ES256})
		for client, want := range map[string]string{"ed": jose.EdDSA,
			"es": jose.RS256} { // ES256 is not on: the first algorithm stands in
			r, err := w.Login(t.Context(),
				issuer.LoginRequest{Email: "alice@example.test", Password: password, ClientID: client, Scope: "openid"})
			w.must(err)
			parsed, err := jose.Parse(r.IDToken)
			w.must(err)
			if parsed.Header.Algorithm != want {
				t.Errorf("client %s got an ID token with alg %s, want %s", client, parsed.Header.Algorithm, want)
			}
			if client == "ed" {
				next := w.refreshed(r.RefreshToken)
				parsed, err := jose.Parse(next.IDToken)
				w.must(err)
				if parsed.Header.Algorithm != want {
					t.Errorf("refreshed: alg %s, want %s", parsed.Header.Algorithm, want)
				}
			} else if r.RefreshToken != "" {
				t.Error("a client that is not registered for refresh_token got one")
			}
		}
	})
}

func TestAccessTokensHaveDistinctIDs(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		seen := map[any]bool{}
		token := w.login("").RefreshToken
		for range 50 {
			r := w.refreshed(token)
			if jti := w.claims(r.AccessToken)["jti"]; seen[jti] {
				t.Fatalf("T-34 jti %v twice", jti)
			} else {
				seen[jti] = true
			}
			token = r.RefreshToken
		}
	})
}
