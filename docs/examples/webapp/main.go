// Command webapp is a web app that logs people in at Signet, or at any other OpenID Provider, and
// calls an API for them. README.md says how to run it.
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
	"strings"
	"syscall"
	"time"

	"github.com/signet-id/signet/docs/examples/webapp/login"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "webapp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("webapp", flag.ContinueOnError)
	flags.SetOutput(out)
	var c login.Config
	flags.StringVar(&c.Issuer, "issuer", "http://localhost:8080", "where people log in")
	flags.StringVar(&c.ClientID, "client-id", "webapp", "the client that this app is registered as")
	flags.StringVar(&c.URL, "url", "http://127.0.0.1:3000", "where browsers find this app")
	flags.StringVar(&c.Resource, "resource", "", "the audience of access tokens for the API (default: the issuer's)")
	secretFile := flags.String("client-secret-file", "", "the `file` with the client's secret; without it the client is public")
	api := flags.String("api", "http://127.0.0.1:9000/whoami", "what to call for the person")
	listen := flags.String("listen", "127.0.0.1:3000", "address to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c.Scopes = []string{"profile", "email"}
	if *secretFile != "" {
		secret, err := os.ReadFile(*secretFile)
		if err != nil {
			return err
		}
		c.ClientSecret = strings.TrimSpace(string(secret))
	}

	app, err := login.New(c)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler(app, *api), ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	fmt.Fprintf(out, "Listening on http://%s; open %s.\n", listener.Addr(), c.URL)

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
