package userstore_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// TestClientDocument pins the JSON that programs read.
func TestClientDocument(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 8, 7, 654321000, time.UTC)
	for _, row := range []struct {
		name, secret, want string
		c                  userstore.Client
	}{
		{"a public client", "",
			`{"client_id":"spa","client_id_issued_at":1772356087,"client_name":"S","token_endpoint_auth_method":"none","grant_types":["authorization_code"],` +
				`"response_types":["code"],"redirect_uris":["https://s.test/cb"],"resources":[],"first_party":false,"disabled":true}`,
			userstore.Client{ID: "spa", Name: "S", AuthMethod: "none", GrantTypes: []string{"authorization_code"},
				CreatedAt: at, DisabledAt: at,
				ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://s.test/cb"},
					ResponseTypes: []string{"code"}}}},
		{"a secret, once", "s3cret",
			`{"client_id":"m","client_secret":"s3cret","client_id_issued_at":1772356087,"client_secret_expires_at":0,"client_name":"M",` +
				`"token_endpoint_auth_method":"client_secret_post","grant_types":["client_credentials"],"response_types":[],"redirect_uris":[],"scope":"a b",` +
				`"pkce":"optional","resources":["https://api.test"],"first_party":true,"disabled":false}`,
			userstore.Client{ID: "m", Name: "M", AuthMethod: "client_secret_post",
				GrantTypes: []string{"client_credentials"}, CreatedAt: at, SecretHash: "h", FirstParty: true,
				Scopes: []string{"a", "b"}, Resources: []string{"https://api.test"},
				ClientMetadata: userstore.ClientMetadata{PKCE: "optional"}}},
		{"keys and pages", "",
			`{"client_id":"k","client_id_issued_at":1772356087,"client_name":"K","token_endpoint_auth_method":"private_key_jwt","grant_types":[],"response_types":[],` +
				`"redirect_uris":[],"id_token_signed_response_alg":"EdDSA","post_logout_redirect_uris":["https://k.test/bye"],"jwks":{"keys":[]},"request_object_signing_alg":"none","request_uris":["https://k.test/r"],"require_signed_request_object":true,"require_pushed_authorization_requests":true,"subject_type":"pairwise","sector_identifier_uri":"https://k.test/s","userinfo_signed_response_alg":"ES256","introspection_signed_response_alg":"PS256","client_uri":"https://k.test",` +
				`"logo_uri":"https://k.test/l","policy_uri":"https://k.test/p","tos_uri":"https://k.test/t","resources":[],"first_party":false,"disabled":false}`,
			userstore.Client{ID: "k", Name: "K", AuthMethod: "private_key_jwt", IDTokenAlg: "EdDSA", CreatedAt: at,
				ClientMetadata: userstore.ClientMetadata{
					PostLogoutRedirectURIs: []string{"https://k.test/bye"}, JWKS: json.RawMessage(`{"keys":[]}`),
					UserinfoAlg: "ES256", IntrospectionAlg: "PS256",
					RequestURIs: []string{"https://k.test/r"}, RequestObjectAlg: "none", RequireSignedRequestObject: true, RequirePushed: true,
					SubjectType: "pairwise", SectorIdentifierURI: "https://k.test/s",
					ClientURI: "https://k.test",
					LogoURI:   "https://k.test/l", PolicyURI: "https://k.test/p", TOSURI: "https://k.test/t"}}},
	} {
		got, err := json.Marshal(row.c.Document(row.secret))
		if err != nil || string(got) != row.want {
			t.Errorf("%s:\n got %s\nwant %s (%v)", row.name, got, row.want, err)
		}
	}
}
