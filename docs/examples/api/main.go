// Command api is an API that accepts Signet's access tokens, to start from. Log in at the issuer,
// then run:
//
//	go run ./docs/examples/api -issuer http://localhost:8080 -audience http://localhost:8080
//	curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:9000/whoami
//
// After it has fetched the issuer's keys once, it verifies offline: stop the issuer, and tokens are
// accepted until they expire. Its endpoints are in the package endpoints, and "signet demo" serves
// the same.
package main

import (
	"context"
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

	"github.com/signet-id/signet/docs/examples/api/endpoints"
	"github.com/signet-id/signet/verifier"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("api", flag.ContinueOnError)
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
	server := &http.Server{Handler: endpoints.New(v), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute}
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
