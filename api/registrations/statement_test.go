package registrations_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys/keystest"
)

// vendor issues software statements.
type vendor struct {
	header apitest.Fields
	sign   func(header, claims apitest.Fields) string
	jwks   []byte
}

func newVendor(t *testing.T, alg string) vendor {
	t.Helper()
	key, err := keystest.Generator()(alg)
	if err != nil {
		t.Fatal(err)
	}
	public, err := jose.MarshalPublic(jose.PublicKey{ID: "v", Algorithm: alg, Key: key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	return vendor{
		header: apitest.Fields{"alg": alg, "kid": "v"},
		sign:   func(header, claims apitest.Fields) string { return apitest.Sign(key, header.Text(), claims.Text()) },
		jwks:   []byte(`{"keys":[` + string(public) + `]}`),
	}
}

const (
	vendorURL = "https://vendor.test"
	storeURL  = "https://store.test"
)

// TestSoftwareStatements: the claims of a statement win over what the client says beside it.
func TestSoftwareStatements(t *testing.T) {
	v, far := newVendor(t, jose.EdDSA), newVendor(t, jose.RS256)
	fetched := 0
	fetch := func(_ context.Context, url string) ([]byte, error) {
		if fetched++; url != storeURL+"/jwks" {
			return nil, errors.New("no such document")
		}
		return far.jwks, nil
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		claims := apitest.Fields{
			"iss": vendorURL, "iat": s.Clock.Now().Unix(), "exp": s.Clock.Now().Add(time.Hour).Unix(),
			"sub": "someone", "jti": "1",
			"software_id": "shop", "software_version": "3", "client_name": "The real Shop",
			"redirect_uris": []string{"https://real.test/cb"},
			"client_id":     "chosen", "client_secret": "chosen too, and long enough", "first_party": true, "unknown": 1,
		}
		statement := v.sign(v.header, claims)
		sent := shop().With("software_statement", statement).With("software_version", "1").
			With("tos_uri", "https://shop.test/t")
		c := take(s, register(s, sent, "").Want(201, ""))
		same(t, "the answer", c.Fields, apitest.Fields{
			"client_id": c.ID, "client_secret": c.Secret,
			"client_id_issued_at": s.Clock.Now().Unix(), "client_secret_expires_at": 0,
			"client_name": "The real Shop", "token_endpoint_auth_method": "client_secret_basic",
			"grant_types": []string{"authorization_code"}, "response_types": []string{"code"},
			"redirect_uris": []string{"https://real.test/cb"}, "tos_uri": "https://shop.test/t",
			"scope": "openid profile email address phone offline_access", "software_id": "shop", "software_version": "3",
			"software_statement":      statement,
			"registration_client_uri": apitest.IssuerURL + "/oauth2/register/" + c.ID, "registration_access_token": c.Access,
		})
		if c.ID == "chosen" || len(c.Secret) != 43 {
			t.Errorf("the statement chose %s", c.ID)
		}
		take(s, manage(s, "PUT", c, shop().With("client_id", c.ID)).Want(200, "")) // without a statement it speaks for itself
		read := take(s, manage(s, "GET", c, nil).Want(200, ""))
		if read.Fields["software_statement"] != nil || read.Name != "Shop" {
			t.Errorf("%v", read.Fields)
		}
		manage(s, "PUT", c, shop().With("client_id", c.ID).With("software_statement", statement)).Want(200, "")

		// The keys of another issuer are at an address.
		fetched = 0
		byStore := far.sign(far.header, apitest.Fields{"iss": storeURL, "client_name": "Store"})
		register(s, shop().With("software_statement", byStore), "").Want(201, "")
		if fetched != 1 {
			t.Errorf("fetched %d times", fetched)
		}

		encoded := base64.RawURLEncoding.EncodeToString
		none := encoded([]byte(`{"alg":"none"}`)) + "." + encoded([]byte(claims.Text())) + "."
		leavesNothing(s, func() {
			for _, row := range []struct{ name, statement, code string }{
				{"R-13 alg none", none, "invalid_software_statement"},
				{"R-13 an unknown issuer", v.sign(v.header, claims.With("iss", "https://other.test")),
					"invalid_software_statement"},
				{"R-13 no issuer", v.sign(v.header, claims.With("iss", nil)), "invalid_software_statement"},
				{"R-13 an empty issuer", v.sign(v.header, claims.With("iss", "")), "invalid_software_statement"},
				{"R-13 another issuer's key", far.sign(far.header, claims), "invalid_software_statement"},
				{"R-13 a changed claim", statement[:len(statement)-4] + "AAAA", "invalid_software_statement"},
				{"expired", v.sign(v.header, claims.With("exp", s.Clock.Now().Add(-2*time.Minute).Unix())),
					"invalid_software_statement"},
				{"not yet valid", v.sign(v.header, claims.With("nbf", s.Clock.Now().Add(time.Hour).Unix())),
					"invalid_software_statement"},
				{"of tomorrow", v.sign(v.header, claims.With("iat", s.Clock.Now().Add(24*time.Hour).Unix())),
					"invalid_software_statement"},
				{"an exp that is a text", v.sign(v.header, claims.With("exp", "soon")), "invalid_software_statement"},
				{"software that is not approved", v.sign(v.header, claims.With("software_id", "other")),
					"unapproved_software_statement"},
				{"software without an id", v.sign(v.header, claims.With("software_id", nil)),
					"unapproved_software_statement"},
				{"a claim that is no metadata", v.sign(v.header, claims.With("redirect_uris", []string{"http://evil.test"})),
					"invalid_redirect_uri"},
				{"a claim of another type", v.sign(v.header, claims.With("client_name", 7)),
					"invalid_client_metadata"},
				{"not three parts", "a.b", "invalid_software_statement"},
			} {
				t.Run(row.name, func(t *testing.T) {
					s := s.With(t)
					register(s, shop().With("software_statement", row.statement), "").Want(400, row.code)
					manage(s, "PUT", c, shop().With("client_id", c.ID).With("software_statement", row.statement)).Want(400, row.code)
				})
			}
			register(s, shop().With("software_statement", json.RawMessage("7")), "").Want(400, "invalid_client_metadata")
		})
		// Operators do not store a statement that was not verified.
		_, root := s.Admin("root")
		s.AdminOf(root.Access)("POST", "", shop().With("software_statement", statement)).Want(400, "validation_error")
	}, mode(issuer.RegistrationOpen), apitest.Configured(func(r *apitest.Replica) {
		r.Issuer.ClientKeys = &issuer.ClientKeys{Fetch: fetch}
		r.Issuer.SoftwareIssuers = []issuer.SoftwareIssuer{
			{Issuer: vendorURL, JWKS: v.jwks, SoftwareIDs: []string{"shop"}}, {Issuer: storeURL, JWKSURI: storeURL + "/jwks"},
		}
	}))
}

// TestR13NoIssuerOfStatements: where none is configured, no statement counts.
func TestR13NoIssuerOfStatements(t *testing.T) {
	v := newVendor(t, jose.EdDSA)
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		leavesNothing(s, func() {
			for _, iss := range []string{vendorURL, apitest.IssuerURL, ""} {
				signed := v.sign(v.header, apitest.Fields{"iss": iss})
				register(s, shop().With("software_statement", signed), "").Want(400, "invalid_software_statement")
			}
		})
	}, mode(issuer.RegistrationOpen))
}
