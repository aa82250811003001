package registered_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// Tokens of the authorization endpoint say the same sub as those of the token endpoint, and the
// response does not show the user's id.
func TestTokensOfTheAuthorizationEndpointHaveThePairwiseSub(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := s.Register(userstore.Client{ID: "one",
			GrantTypes: []string{userstore.GrantAuthorizationCode, userstore.GrantImplicit, userstore.GrantRefreshToken},
			ClientMetadata: userstore.ClientMetadata{SubjectType: userstore.SubjectPairwise,
				RedirectURIs: []string{"https://one.test/cb"}, ResponseTypes: userstore.ResponseTypes}})
		b := s.SignedIn(alice)
		sub := subOf(logIn(s, b, c))
		for _, responseType := range []string{"id_token", "id_token token", "code id_token", "code token", "code id_token token"} {
			p := b.Open(authorizePath(c, set("response_type", responseType)))
			holdsNoID(t, responseType, p.To, alice)
			to, err := url.Parse(p.To)
			if err != nil {
				t.Fatal(err)
			}
			q, err := url.ParseQuery(to.Fragment)
			if err != nil {
				t.Fatal(err)
			}
			said := map[string]any{}
			if token := q.Get("id_token"); token != "" {
				said["the ID token"] = claims(token)["sub"]
			}
			if token := q.Get("access_token"); token != "" {
				said["the access token"] = claims(token)["sub"]
				said["userinfo"] = userinfoOf(s, apitest.Tokens{Access: token})["sub"]
			}
			if code := q.Get("code"); code != "" {
				answer := s.Do(s.CodeRequest(c, code)).Want(http.StatusOK, "")
				holdsNoID(t, responseType, fmt.Sprint(string(answer.Body)), alice)
				var tokens apitest.Tokens
				answer.JSON(&tokens)
				said["the ID token of the code"] = subOf(tokens)
			}
			if len(said) == 0 {
				t.Errorf("%s: nothing was given: %s", responseType, p.To)
			}
			for what, got := range said {
				if got != sub {
					t.Errorf("%s: %s says %v, want %s", responseType, what, got, sub)
				}
			}
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.ResponseTypes = userstore.ResponseTypes }))
}
