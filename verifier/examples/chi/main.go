// Command chi is a resource server whose routes are chi's. The middleware of package verifier is
// func(http.Handler) http.Handler, which is what chi's Use and With take.
//
//	go run . -issuer http://localhost:8080
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/signet-id/signet/verifier"
)

func main() {
	issuer := flag.String("issuer", "http://localhost:8080", "the issuer's URL")
	listen := flag.String("listen", "127.0.0.1:8081", "the address to listen on")
	flag.Parse()
	v, err := verifier.New(verifier.Config{Issuer: *issuer, Audience: []string{"https://api.example.com"}})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: *listen, Handler: routes(v), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func routes(v *verifier.Verifier) http.Handler {
	r := chi.NewRouter()
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Notes for people with a token") })
	r.Route("/notes", func(r chi.Router) {
		r.Use(v.Middleware)
		r.Get("/", notes)
		r.With(v.RequireScope("notes:write")).Post("/", notes)
		r.With(v.RequireRole("admin"), v.RequireRecentLogin(5*time.Minute)).Delete("/{id}", notes)
	})
	return r
}

func notes(w http.ResponseWriter, r *http.Request) {
	token, _ := verifier.TokenFrom(r.Context())
	fmt.Fprintln(w, "Notes of", token.Subject)
}
