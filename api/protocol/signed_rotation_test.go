package protocol_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
)

// Signed answers follow the rotation of keys as tokens do: the key of an answer was published long
// before it, and stays for as long as the longest token lives.
func TestSignedAnswersThroughARotation(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "signed", ClientMetadata: userstore.ClientMetadata{
			UserinfoAlg: jose.EdDSA, IntrospectionAlg: jose.EdDSA}})
		alice := s.SignUp("alice")
		published := func() (keys []jose.PublicKey) {
			t.Helper()
			keys, _, err := jose.ParseKeySet(s.Do(apitest.Request{Path: "/.well-known/jwks.json"}).Want(200, "").Body)
			if err != nil {
				t.Fatal(err)
			}
			return keys
		}
		verifies := func(answer string) bool {
			t.Helper()
			token, err := jose.Parse(answer)
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(published(), func(k jose.PublicKey) bool {
				return k.ID == token.Header.KeyID && token.Verify(k) == nil
			})
		}
		answers := func() []string {
			t.Helper()
			access := s.Redeem(alice, c).Access
			return []string{
				string(s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: access}).Want(http.StatusOK, "").Body),
				string(s.Do(s.Authenticated(c, "/oauth2/introspect", url.Values{"token": {access}})).Want(http.StatusOK, "").Body),
			}
		}
		kid := func(answer string) string { kid, _ := apitest.Header(answer)["kid"].(string); return kid }

		s.Advance(719 * time.Hour)
		known, old := published(), answers()
		fresh := old
		for range 60 { // until the successor signs
			s.Advance(4 * time.Minute)
			if fresh = answers(); kid(fresh[0]) != kid(old[0]) {
				break
			}
			known, old = published(), fresh
		}
		for n := range old {
			if kid(old[n]) == kid(fresh[n]) || kid(old[0]) != kid(old[n]) || kid(fresh[0]) != kid(fresh[n]) {
				t.Fatalf("signed by %s before and %s after", kid(old[n]), kid(fresh[n]))
			}
			if !slices.ContainsFunc(known, func(k jose.PublicKey) bool { return k.ID == kid(fresh[n]) }) {
				t.Errorf("%s signs, and was not published before", kid(fresh[n]))
			}
		}
		s.Advance(5 * time.Minute) // within ten since the old key last signed
		for _, answer := range slices.Concat(old, fresh) {
			if !verifies(answer) {
				t.Errorf("the key %s of an answer is not published", kid(answer))
			}
		}
		s.Advance(time.Hour)
		for n := range old {
			if verifies(old[n]) || !verifies(fresh[n]) {
				t.Error("the key set holds other keys than those of the present and its past")
			}
		}
	})
}
