// Package registered_test holds tests of what the registration of a client brings about: pairwise
// subject identifiers (OIDC Core section 8), sectors and logos. They go through the whole HTTP API.
// The package has no code, and tests of its own only so that no package takes too long.
package registered_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// Short names of what most tests here use.
var (
	authorizePath = apitest.AuthorizePath
	claims        = apitest.Claims
	logIn         = apitest.LogIn
	set           = apitest.Params
	userinfoOf    = apitest.UserinfoOf
	wantCode      = apitest.WantCode
	wantError     = apitest.WantError
)

// pairwise registers a client that knows users by identifiers of its sector.
func pairwise(s *apitest.Server, id string, redirects ...string) apitest.Client {
	return s.Register(userstore.Client{ID: id, ClientMetadata: userstore.ClientMetadata{
		SubjectType: userstore.SubjectPairwise, RedirectURIs: redirects,
		PostLogoutRedirectURIs: []string{"https://" + id + ".test/bye"},
	}})
}

func subOf(tokens apitest.Tokens) string {
	sub, _ := claims(tokens.ID)["sub"].(string)
	return sub
}

// holdsNoID fails the test if a text, or what a JWT or other base64url in it encodes, holds the id of
// a user.
func holdsNoID(t testing.TB, what, text string, users ...apitest.User) {
	t.Helper()
	all := text
	for _, part := range strings.FieldsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) {
		if decoded, err := base64.RawURLEncoding.DecodeString(part); err == nil {
			all += "\n" + string(decoded)
		}
	}
	for _, u := range users {
		if u.ID == "" {
			t.Fatal("a user without an id")
		}
		if strings.Contains(all, u.ID) {
			t.Errorf("%s shows the id of a user: %.500s", what, all)
		}
	}
}
