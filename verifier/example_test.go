package verifier_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

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
