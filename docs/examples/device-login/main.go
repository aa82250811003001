// Command device-login signs a person in at a command line, by the device authorization grant (RFC
// 8628): it prints an address and a code, waits until the person has typed the code in a browser,
// and prints who it was.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/oauth2"
)

func main() {
	issuer := flag.String("issuer", "http://localhost:8080", "where to sign in")
	clientID := flag.String("client-id", "device-login", "as which client")
	scope := flag.String("scope", "openid email offline_access", "what to ask for, with spaces between")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *issuer, *clientID, strings.Fields(*scope)); err != nil {
		fmt.Fprintln(os.Stderr, "device-login:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, issuer, clientID string, scopes []string) error {
	var at struct {
		Issuer   string `json:"issuer"`
		Device   string `json:"device_authorization_endpoint"`
		Token    string `json:"token_endpoint"`
		Userinfo string `json:"userinfo_endpoint"`
	}
	if err := read(ctx, http.DefaultClient, strings.TrimRight(issuer, "/")+"/.well-known/openid-configuration", &at); err != nil {
		return err
	}
	if at.Issuer != issuer {
		return fmt.Errorf("%s says that it is %s", issuer, at.Issuer)
	}
	if at.Device == "" {
		return errors.New("the issuer has no device authorization endpoint")
	}
	config := oauth2.Config{
		ClientID: clientID, Scopes: scopes, // a public client: there is no secret
		Endpoint: oauth2.Endpoint{DeviceAuthURL: at.Device, TokenURL: at.Token, AuthStyle: oauth2.AuthStyleInParams},
	}
	asked, err := config.DeviceAuth(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Open %s and type %s\n", asked.VerificationURI, asked.UserCode)
	fmt.Fprintf(out, "or open %s\n", asked.VerificationURIComplete)
	if err := drawFor(out, asked.VerificationURIComplete); err != nil {
		return err
	}
	token, err := config.DeviceAccessToken(ctx, asked) // polls, and slows down when it is told to
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		switch refused.ErrorCode {
		case "access_denied":
			return errors.New("you did not allow it")
		case "expired_token":
			return errors.New("the code has expired: start again")
		}
	}
	if err != nil {
		return err
	}
	var who struct {
		Subject string `json:"sub"`
		Email   string `json:"email"`
	}
	// The client refreshes the token when it has expired. A program that is to stay signed in keeps
	// token, which is secret, in a file that only its user can read.
	if err := read(ctx, config.Client(ctx, token), at.Userinfo, &who); err != nil {
		return err
	}
	fmt.Fprintf(out, "Signed in as %s (%s)\n", who.Email, who.Subject)
	return nil
}

// read reads a JSON document.
func read(ctx context.Context, client *http.Client, address string, into any) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, res.Status)
	}
	return json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(into)
}
