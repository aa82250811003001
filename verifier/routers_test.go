package verifier_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/gorilla/mux"

	"github.com/signet-id/signet/verifier"
)

// The middleware is func(http.Handler) http.Handler, which is what routers take. Package
// examples/chi shows the same with chi, in a module of its own.
func TestRoutersTakeTheMiddleware(t *testing.T) {
	s := newStand(t, func(c *verifier.Config) { c.Resource.URI = audience })
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := verifier.TokenFrom(r.Context())
		if !ok {
			t.Error("no token")
			return
		}
		_, _ = io.WriteString(w, token.Subject)
	})
	write := s.v.RequireScope("notes:write")

	serveMux := http.NewServeMux()
	serveMux.Handle("GET /notes", hello)
	serveMux.Handle("POST /notes", write(hello))

	gorilla := mux.NewRouter()
	gorilla.Use(s.v.Middleware)
	gorilla.Handle("/notes", hello).Methods("GET")
	inner := gorilla.NewRoute().Subrouter()
	inner.Use(mux.MiddlewareFunc(write))
	inner.Handle("/notes", hello).Methods("POST")

	reader := s.genuine("RS256")
	writer := mk(t, s.header("RS256", nil), s.claims(map[string]any{"scope": "profile notes:write"}), s.keys["RS256"])
	for name, h := range map[string]http.Handler{
		"http.ServeMux": s.v.Middleware(serveMux),
		"gorilla/mux":   s.v.WithMetadata(gorilla), // it calls no middleware where no route matches
	} {
		for _, c := range []struct {
			method, token string
			status        int
			body          string
		}{
			{"GET", "", 401, ""}, {"GET", "Bearer " + reader, 200, "alice"}, {"POST", "Bearer " + reader, 403, ""},
			{"POST", "Bearer " + writer, 200, "alice"}, {"POST", "Bearer x", 401, ""},
		} {
			r := request(c.method, "/notes")
			if c.token != "" {
				r.Header.Set("Authorization", c.token)
			}
			w := serve(h, r)
			if w.Code != c.status || c.status == 200 && w.Body.String() != c.body {
				t.Errorf("%s: %s with %.10q: %d %s", name, c.method, c.token, w.Code, w.Body)
			}
			if c.status != 200 && w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %s: no challenge", name, c.method)
			}
		}
		if w := serve(h, request("GET", verifier.MetadataPath)); w.Code != 200 {
			t.Errorf("%s: metadata: %d", name, w.Code)
		}
	}
}
