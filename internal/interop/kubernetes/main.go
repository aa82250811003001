// Command kubernetes asks the authenticator of the Kubernetes API server whose token a token is. It
// is configured like that server, by a file with an AuthenticationConfiguration, and speaks the
// protocol of ../doc.go: one JSON request a line, and one answer.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// configuration reads the file as the API server does: strictly, and according to its version.
func configuration(path string) (apiserver.AuthenticationConfiguration, error) {
	var c apiserver.AuthenticationConfiguration
	text, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	if err := runtime.DecodeInto(codecs.UniversalDecoder(), text, &c); err != nil {
		return c, err
	}
	if len(c.JWT) != 1 {
		return c, errors.New("want one authenticator of JWTs")
	}
	return c, nil
}

func run() error {
	c, err := configuration(os.Args[1])
	if err != nil {
		return err
	}
	options := oidc.Options{JWTAuthenticator: c.JWT[0], SupportedSigningAlgs: oidc.AllValidSigningAlgorithms()}
	if pem := c.JWT[0].Issuer.CertificateAuthority; pem != "" {
		if options.CAContentProvider, err = dynamiccertificates.NewStaticCAContent("issuer", []byte(pem)); err != nil {
			return err
		}
	}
	ctx := context.Background()
	authenticator, err := oidc.New(ctx, options)
	if err != nil {
		return err
	}
	late := time.After(30 * time.Second)
	for authenticator.HealthCheck() != nil {
		select {
		case <-late:
			return authenticator.HealthCheck()
		case <-time.After(50 * time.Millisecond):
		}
	}
	out := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var request struct {
			Token string `json:"token"`
		}
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			return err
		}
		answer := map[string]any{}
		response, ok, err := authenticator.AuthenticateToken(ctx, request.Token)
		switch {
		case err != nil:
			answer["error"] = err.Error()
		case !ok:
			answer["error"] = "the token is of another issuer"
		default:
			answer["claims"] = map[string]any{
				"username": response.User.GetName(), "groups": response.User.GetGroups(), "uid": response.User.GetUID(), "extra": response.User.GetExtra(),
			}
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}
