package verifier_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/signet-id/signet/verifier"
)

// This is the program of the package comment. It refuses a request without a token and does not ask
// the issuer.
func Example() {
	v, err := verifier.New(verifier.Config{
		Issuer:   "https://id.example.com",
		Audience: []string{"https://api.example.com"},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		token, _ := verifier.TokenFrom(r.Context())
		fmt.Fprintln(w, token.Subject, token.Scopes)
	})
	mux.Handle("POST /notes", v.RequireScope("notes:write")(http.NotFoundHandler()))
	server := httptest.NewServer(v.Middleware(mux))
	defer server.Close()

	resp, err := http.Get(server.URL + "/whoami")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	fmt.Println(resp.Header.Get("WWW-Authenticate"))
	// Output:
	// 401 Unauthorized
	// Bearer realm="https://api.example.com"
}

// A client that knows nothing but the URL of the resource finds in the first refusal where its
// metadata are and which scope to ask for, and in the metadata, who issues tokens.
func ExampleResource() {
	v, err := verifier.New(verifier.Config{
		Issuer: "https://id.example.com",
		Resource: verifier.Resource{
			URI:             "https://api.example.com/mcp",
			ScopesSupported: []string{"tools:read"},
			Name:            "Tools",
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(v.RequireScope("tools:read")(http.NotFoundHandler()))
	defer server.Close()

	for _, path := range []string{"/mcp", "/.well-known/oauth-protected-resource/mcp"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		fmt.Println(resp.Status)
		for _, challenge := range resp.Header["Www-Authenticate"] {
			fmt.Println(strings.ReplaceAll(challenge, ", ", ",\n  "))
		}
		if resp.StatusCode == http.StatusOK {
			_, _ = io.Copy(os.Stdout, resp.Body)
		}
	}
	// Output:
	// 401 Unauthorized
	// Bearer realm="https://api.example.com/mcp",
	//   scope="tools:read",
	//   resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp"
	// DPoP algs="RS256 PS256 ES256 EdDSA Ed25519"
	// 200 OK
	// {"resource":"https://api.example.com/mcp","authorization_servers":["https://id.example.com"],"scopes_supported":["tools:read"],"bearer_methods_supported":["header"],"resource_name":"Tools","dpop_signing_alg_values_supported":["RS256","PS256","ES256","EdDSA","Ed25519"]}
}

// Beside routes for everybody, the guard stands before its own route only, and WithMetadata before
// all of them.
func ExampleVerifier_WithMetadata() {
	v, err := verifier.New(verifier.Config{
		Issuer:   "https://id.example.com",
		Resource: verifier.Resource{URI: "https://api.example.com/mcp"},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", v.RequireScope("tools:read")(http.NotFoundHandler()))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Welcome.") })
	server := httptest.NewServer(v.WithMetadata(mux))
	defer server.Close()

	for _, path := range []string{"/", "/mcp", "/.well-known/oauth-protected-resource/mcp"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		fmt.Println(path, resp.StatusCode)
	}
	// Output:
	// / 200
	// /mcp 401
	// /.well-known/oauth-protected-resource/mcp 200
}
