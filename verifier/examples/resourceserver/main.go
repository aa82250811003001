// Command resourceserver is the smallest runnable API that accepts Signet's access tokens. Log in
// at the issuer, then run:
//
//	go run ./verifier/examples/resourceserver \
//	  -issuer http://localhost:8080 -audience http://localhost:8080
//	curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:9000/whoami
//
// After it has fetched the issuer's keys once, it verifies offline: stop the issuer, and tokens are
// accepted until they expire.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/signet-id/signet/verifier"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "resourceserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("resourceserver", flag.ContinueOnError)
	flags.SetOutput(out)
	issuer := flags.String("issuer", "http://localhost:8080", "whose tokens are accepted")
	audience := flags.String("audience", "http://localhost:8080", "the name of this API in a token's aud; Signet's default audience is its own URL")
	listen := flags.String("listen", "127.0.0.1:9000", "address to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}

	v, err := verifier.New(verifier.Config{Issuer: *issuer, Audience: []string{*audience}})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler(v), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Listening on http://%s for tokens of %s; try GET /whoami, GET /email and GET /payslip.\n", listener.Addr(), *issuer)

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		stopping, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return server.Shutdown(stopping)
	}
}

// handler is the API. GET /whoami takes any valid token; GET /email requires the scope email; GET
// /payslip requires that its user logged in with two factors or a passkey, at most an hour ago.
func handler(v *verifier.Verifier) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		token, _ := verifier.TokenFrom(r.Context())
		writeJSON(w, map[string]any{"sub": token.Subject, "client_id": token.ClientID, "scopes": token.Scopes, "expires": token.Expiry.UTC()})
	})
	mux.Handle("GET /email", v.RequireScope("email")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"allowed": true})
	})))
	payslip := func(w http.ResponseWriter, r *http.Request) {
		token, _ := verifier.TokenFrom(r.Context())
		writeJSON(w, map[string]any{"of": token.Subject, "acr": token.AuthenticationContext, "logged_in": token.AuthenticatedAt.UTC()})
	}
	mux.Handle("GET /payslip", v.RequireACR("2")(v.RequireRecentLogin(time.Hour)(http.HandlerFunc(payslip))))
	return v.Middleware(mux)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the caller may be gone
}
