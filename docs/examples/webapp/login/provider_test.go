package login

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// fakeProvider is an OpenID Provider that does what a test wants, also what no honest one does.
type fakeProvider struct {
	*httptest.Server
	key *rsa.PrivateKey

	claims  jwt.MapClaims    // that its next ID token has instead of the right ones; nil values leave out
	respond func(url.Values) // changes the authorization response
	refuse  atomic.Value     // func(w) of the next refresh; nil: it succeeds
	tokens  atomic.Int32     // token requests of refreshes
	nonce   string           // of the last authorization request
	pkce    string           // its code_challenge
}

func newProvider(t *testing.T) *fakeProvider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &fakeProvider{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
			"jwks_uri": p.URL + "/keys", "end_session_endpoint": p.URL + "/end",
			"authorization_response_iss_parameter_supported": true,
			"id_token_signing_alg_values_supported":          []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig", "n": encode(key.N.Bytes()),
			"e": encode(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *fakeProvider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.nonce, p.pkce = q.Get("nonce"), q.Get("code_challenge")
	back := url.Values{"code": {"the-code"}, "state": {q.Get("state")}, "iss": {p.URL}}
	if p.respond != nil {
		p.respond(back)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusSeeOther)
}

func (p *fakeProvider) token(w http.ResponseWriter, r *http.Request) {
	access := "access-" + rand.Text()
	claims := jwt.MapClaims{"iss": p.URL, "aud": "app", "sub": "ada", "email": "ada@example.com",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()}
	switch r.FormValue("grant_type") {
	case "authorization_code":
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if r.FormValue("code") != "the-code" || encode(sum[:]) != p.pkce {
			refuseGrant(w)
			return
		}
		half := sha256.Sum256([]byte(access))
		claims["nonce"], claims["at_hash"] = p.nonce, encode(half[:16])
	case "refresh_token":
		p.tokens.Add(1)
		if refuse, _ := p.refuse.Load().(func(http.ResponseWriter)); refuse != nil {
			refuse(w)
			return
		}
	}
	maps.Copy(claims, p.claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	id := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	id.Header["kid"] = "one"
	raw, err := id.SignedString(p.key)
	if err != nil {
		panic(err) // the key is a good one
	}
	answer(w, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 600,
		"refresh_token": "refresh-" + rand.Text(), "id_token": raw})
}

func refuseGrant(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
