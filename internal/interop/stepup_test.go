//go:build interop

package interop

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

// Libraries of others read the acr and auth_time of tokens like ours, and the challenges with which
// the verifier asks for another login (RFC 9470). The tokens are issuertest's, because the test
// needs logins of an hour ago. TestOpenIDClientStepsUp has tokens of real logins.
func TestServicesAskForAStrongerOrFresherLogin(t *testing.T) {
	const audience = "https://api.example.com"
	issuer := issuertest.New(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	issuer.AddKey(key, verifier.RS256)
	v, err := verifier.New(issuer.Config(audience))
	if err != nil {
		t.Fatal(err)
	}
	done := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	api := http.NewServeMux()
	api.Handle("POST /strong", v.RequireACR("2")(done))
	api.Handle("POST /either", v.RequireACR("2", "1")(done))
	api.Handle("POST /recent", v.RequireRecentLogin(5*time.Minute)(done))
	api.Handle("POST /transfers",
		v.RequireScope("transfers:write")(v.RequireACR("2")(v.RequireRecentLogin(5*time.Minute)(done))))
	service := httptest.NewServer(v.Middleware(api))
	defer service.Close()

	// The issuer's side of a step-up, with a user who has every factor: the login is as strong and as
	// recent as it was asked for, and no more.
	var asked url.Values
	endpoints := http.NewServeMux()
	endpoints.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		http.Redirect(w, r, asked.Get("redirect_uri")+"?code=1", http.StatusFound)
	})
	endpoints.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		ago, err := time.ParseDuration(asked.Get("max_age") + "s")
		if err != nil {
			ago = time.Hour
		}
		acr, _, _ := strings.Cut(asked.Get("acr_values"), " ")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":600}`,
			issuer.LoginToken(acr, ago, map[string]any{"scope": asked.Get("scope")}))
	})
	authorization := httptest.NewServer(endpoints)
	defer authorization.Close()

	scope := map[string]any{"scope": "transfers:write"}
	steps := stepsOf(t, node("stepup.js")(t), map[string]any{
		"issuer": issuer.URL, "audience": audience, "service": service.URL,
		"authorization": authorization.URL + "/authorize", "token": authorization.URL + "/token",
		"tokens": map[string]string{
			"strong": issuer.LoginToken("2", time.Minute, scope),
			"old":    issuer.LoginToken("2", time.Hour, scope),
			"weak":   issuer.LoginToken("1", time.Minute, scope),
			"narrow": issuer.LoginToken("1", time.Minute, nil),
			"other":  issuer.LoginToken("urn:example:gold", time.Minute, scope),
			"client": issuer.ClientToken(scope),
		},
	})
	want := []string{
		"an API behind express-oauth2-jwt-bearer demands an acr and a recent login",
		"oauth4webapi reads the challenges of the verifier",
		"the client asks the issuer for what the challenge names, and comes through",
	}
	if !slices.Equal(steps, want) {
		t.Errorf("the steps are %q, not %q", steps, want)
	}
}
