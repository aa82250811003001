package flows_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/verifier"
)

// Our own endpoints are no laxer than the verifier: what it refuses of an access token that we
// signed is refused by userinfo, /v1 and introspection, too, and what it takes they take.
func TestOurEndpointsJudgeAnAccessTokenAsTheVerifierDoes(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app := s.Register(userstore.Client{ID: "app", FirstParty: true, Scopes: []string{"openid", "profile"}})
		tokens := s.Redeem(alice, app)
		service := s.Register(userstore.Client{ID: "service", GrantTypes: []string{userstore.GrantClientCredentials}})
		var machine apitest.Tokens
		s.Do(s.Authenticated(service, "/oauth2/token",
			url.Values{"grant_type": {"client_credentials"}})).Want(http.StatusOK, "").JSON(&machine)
		kid, key := s.Key("RS256")
		header := apitest.Fields{"alg": "RS256", "kid": kid, "typ": "at+jwt"}.Text()
		now := s.Clock.Now().Unix()
		v, err := verifier.New(verifier.Config{Issuer: apitest.IssuerURL, Audience: []string{apitest.IssuerURL},
			JWKSURL: s.Replicas[0].HTTP.URL + "/.well-known/jwks.json", Now: s.Clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		set := func(name string, value any) func(apitest.Fields) apitest.Fields {
			return func(f apitest.Fields) apitest.Fields { return f.With(name, value) }
		}
		for _, row := range []struct {
			name   string
			change func(apitest.Fields) apitest.Fields
			good   bool
		}{
			{"as it is", func(f apitest.Fields) apitest.Fields { return f }, true},
			{"nbf beyond the skew", set("nbf", now+61), false},
			{"nbf far in the future", set("nbf", now+86400), false},
			{"nbf within the skew", set("nbf", now+59), true},
			{"nbf in the past", set("nbf", now-600), true},
			{"nbf that is text", set("nbf", "now"), false},
			{"iat beyond the skew", set("iat", now+61), false},
			{"iat within the skew", set("iat", now+59), true},
			{"iat in the past", set("iat", now-30), true},
			{"no iat", set("iat", nil), false},
			{"iat that is text", set("iat", "now"), false},
			{"no aud", set("aud", nil), false},
			{"aud of empty text", set("aud", ""), false},
			{"aud of no members", set("aud", []string{}), false},
			{"aud with an empty member", set("aud", []string{apitest.IssuerURL, ""}), false},
			{"aud that is a number", set("aud", 1), false},
			{"aud null", func(f apitest.Fields) apitest.Fields { c := f.With("x", 1); c["aud"] = nil; return c }, false},
			{"aud with another member", set("aud", []string{"https://x.test", apitest.IssuerURL}), true},
			{"no jti", set("jti", nil), false},
			{"no client_id", set("client_id", nil), false},
			{"no sub", set("sub", nil), false},
			{"scope that is a list", set("scope", []string{"openid"}), false},
			{"roles that are text", set("roles", "admin"), false},
			{"a member that is nbf but for its case", set("NBF", now+86400), false},
			{"bound to a key", set("cnf", apitest.Fields{"jkt": "x"}), false},
			{"expired within the skew", func(f apitest.Fields) apitest.Fields {
				return f.With("iat", now-600).With("exp",
					now-59)
			}, true},
			{"expired beyond it", func(f apitest.Fields) apitest.Fields { return f.With("iat", now-600).With("exp", now-61) },
				false},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				user := apitest.Sign(key, header, row.change(apitest.Claims(tokens.Access)).Text())
				own := apitest.Sign(key, header, row.change(apitest.Claims(machine.Access)).Text())
				if _, err := v.Verify(t.Context(), user); (err == nil) != row.good {
					t.Errorf("the verifier says %v", err)
				}
				s.Unchanged(func() {
					for _, path := range []string{"/v1/profile", "/oauth2/userinfo"} {
						a := s.Do(apitest.Request{Path: path, Token: user})
						if row.good != (a.Status == http.StatusOK) || !row.good && (a.Status != http.StatusUnauthorized ||
							!strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`)) {
							t.Errorf("%s answers %d %s", path, a.Status, a.Body)
						}
					}
					for c, token := range map[*apitest.Client]string{&app: user, &service: own} {
						want := row.good && row.name != "expired within the skew" // introspection has no leeway
						if got := s.Introspect(*c, token); got["active"] != want || !want && len(got) != 1 {
							t.Errorf("introspection says %v of the token of %s", got, c.ID)
						}
					}
				})
			})
		}
		// Where any audience will do, it still has to be one.
		elsewhere := apitest.Claims(tokens.Access).With("aud", "https://elsewhere.test")
		s.Do(apitest.Request{Path: "/oauth2/userinfo",
			Token: apitest.Sign(key, header, elsewhere.Text())}).Want(http.StatusOK, "")
		s.Do(apitest.Request{Path: "/v1/profile",
			Token: apitest.Sign(key, header, elsewhere.Text())}).Want(http.StatusUnauthorized, "token_invalid")
	})
}
