package issuertest

import (
	"maps"
	"time"

	"github.com/signet-id/signet/internal/testissuer"
)

// Token signs an access token (RFC 9068) of the user alice for DefaultAudience that is valid for ten
// minutes. claims are added to the usual claims or replace them; the value nil removes a claim.
func (i *Issuer) Token(claims map[string]any) string {
	i.tb.Helper()
	return i.Mint(Recipe{Claims: claims})
}

// LoginToken is Token for a user who logged in some time ago, at acr "1" (a password) or "2" (a
// password and a code), with the claims of a login as Signet writes them: sid, auth_time, acr and
// amr. For any other acr the amr is left to claims.
func (i *Issuer) LoginToken(acr string, ago time.Duration, claims map[string]any) string {
	i.tb.Helper()
	all := map[string]any{"sid": "session-of-alice", "auth_time": i.Now().Add(-ago).Unix(), "acr": acr}
	switch acr {
	case "1":
		all["amr"] = []string{"pwd"}
	case "2":
		all["amr"] = []string{"pwd", "otp", "mfa"}
	}
	maps.Copy(all, claims)
	return i.Token(all)
}

// ClientToken is Token for a client that acts for itself (client_credentials): the client is the
// subject, and there is no login.
func (i *Issuer) ClientToken(claims map[string]any) string {
	i.tb.Helper()
	all := map[string]any{"sub": "test-client"}
	maps.Copy(all, claims)
	return i.Token(all)
}

// Sign signs any payload, which need not be JSON, as a token of any type, such as at+jwt or JWT.
func (i *Issuer) Sign(typ string, payload []byte) string {
	i.tb.Helper()
	return i.Mint(Recipe{Header: map[string]any{"typ": typ}, Payload: string(payload)})
}

// Recipe says how a token differs from that of Token(nil). With it a test makes the tokens that no
// issuer signs, to see that its service refuses them.
type Recipe struct {
	// Algorithm is the alg that signs: RS256, EdDSA, or that of an added key; "none", which leaves
	// the signature empty; or "HS256", with the public key that verifies RS256 as the secret, in PEM.
	// Empty: that of the key.
	Algorithm string

	// Key is the kid of the key that signs, which may be pending, retired or revoked; Unpublished is
	// a fresh key that is in no key set. Empty: the key that signs now.
	Key string

	// Header and Claims are added to the usual members or replace them; the value nil removes one.
	Header, Claims map[string]any

	// Payload is signed as it is, in place of Claims: for duplicate members, and for what is no JSON.
	Payload string
}

// Unpublished is the Key of a Recipe whose key nobody has published.
const Unpublished = testissuer.Unpublished

// Mint makes a token by a recipe.
func (i *Issuer) Mint(r Recipe) string {
	i.tb.Helper()
	token, err := i.signet.Mint(i.recipe(r))
	i.must(err)
	return token
}

// recipe names the added key, if there is one, where the test leaves the key to the issuer.
func (i *Issuer) recipe(r Recipe) testissuer.Recipe {
	out := testissuer.Recipe{Algorithm: r.Algorithm, Key: r.Key, Header: r.Header, Claims: r.Claims, Payload: r.Payload}
	if key, ok := i.lastAdded(); ok && r.Key == "" && (r.Algorithm == "" || r.Algorithm == key.public.Algorithm) {
		out.Key, out.Algorithm = key.public.ID, key.public.Algorithm
	}
	return out
}
