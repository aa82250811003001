// Command mcp-server is a server of the Model Context Protocol whose tools need an access token of
// Signet. docs/mcp.md starts it, and logs in to it.
//
//	go run . -listen 127.0.0.1:7070 -url http://localhost:7070 -issuer http://localhost:8080
//
// Its resource, for the operator of the issuer to register, is the URL with /mcp. The scopes are
// tools:read, for everything, and tools:write, for the tool note.
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

	"github.com/signet-id/signet/verifier"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "mcp-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mcp-server", flag.ContinueOnError)
	flags.SetOutput(out)
	listen := flags.String("listen", "127.0.0.1:7070", "address to listen on")
	url := flags.String("url", "http://localhost:7070", "where clients reach this server")
	issuer := flags.String("issuer", "http://localhost:8080", "whose tokens are accepted")
	if err := flags.Parse(args); err != nil {
		return err
	}

	v, err := verifier.New(verifier.Config{
		Issuer: *issuer,
		Resource: verifier.Resource{
			URI:             strings.TrimSuffix(*url, "/") + "/mcp",
			ScopesSupported: []string{readScope},
			Name:            "Signet's example of an MCP server",
		},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler(v), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	fmt.Fprintf(out, "Listening on http://%s for tokens of %s; the resource is %s/mcp.\n",
		listener.Addr(), *issuer, strings.TrimSuffix(*url, "/"))

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
