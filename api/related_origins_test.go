package api_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// withPasskeyOrigins configures the origins of apps that use passkeys.
func withPasskeyOrigins(list ...string) func(*apitest.Replica) {
	return func(r *apitest.Replica) { r.API.PasskeyOrigins = list }
}

func TestRelatedOriginsOfPasskeys(t *testing.T) {
	const path = "/.well-known/webauthn"
	for _, issuer := range []string{"https://id.test", "https://id.test/p", "https://id.test/a/b"} {
		t.Run(issuer, func(t *testing.T) {
			s := apitest.New(t, apitest.Options{Replicas: 2, IssuerURL: issuer,
				Configure: withPasskeyOrigins("https://app.test", "https://another.example:8443")})
			res := s.Do(apitest.Request{Path: path}).Want(200, "")
			if got := string(res.Body); got != `{"origins":["https://app.test","https://another.example:8443"]}` {
				t.Errorf("got %s", got)
			}
			// A browser takes nothing else, and reads the document for an app of another origin.
			for name, want := range map[string]string{
				"Content-Type": "application/json", "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*",
				"X-Content-Type-Options": "nosniff", "Set-Cookie": "", "Vary": "",
			} {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			etag := res.Header.Get("ETag")
			if other := s.Do(apitest.Request{Path: path, Replica: 1}).Want(200, ""); etag == "" ||
				other.Header.Get("ETag") != etag || string(other.Body) != string(res.Body) {
				t.Errorf("replicas differ: %q and %q", etag, other.Header.Get("ETag"))
			}
			s.Do(apitest.Request{Path: path, Header: http.Header{"If-None-Match": {etag}}}).Want(304, "")
			s.Do(apitest.Request{Method: "HEAD", Path: path}).Want(200, "")
			s.Do(apitest.Request{Method: "POST", Path: path}).Want(405, "invalid_request")

			// It belongs to the host: no browser asks anywhere else.
			if prefix := issuer[len("https://id.test"):]; prefix != "" {
				s.Do(apitest.Request{Path: prefix + path}).Want(404, "not_found")
				s.Do(apitest.Request{Path: path + prefix}).Want(404, "not_found")
				s.Do(apitest.Request{Path: prefix + "/.well-known/jwks.json"}).Want(200, "")
			}
		})
	}
}

func TestNoRelatedOriginsOfPasskeys(t *testing.T) {
	for name, configure := range map[string]func(*apitest.Replica){"nil": nil, "empty": withPasskeyOrigins()} {
		t.Run(name, func(t *testing.T) {
			s := apitest.New(t, apitest.Options{IssuerURL: "https://id.test/p", Configure: configure})
			for _, path := range []string{"/.well-known/webauthn", "/p/.well-known/webauthn", "/.well-known/webauthn/p"} {
				for _, method := range []string{"GET", "POST"} {
					s.Do(apitest.Request{Method: method, Path: path}).Want(404, "not_found")
				}
			}
			if s.Describe().Paths.Value("/.well-known/webauthn") != nil {
				t.Error("openapi.json describes a document that is not there")
			}
		})
	}
}

// The description lists the document where it is: at the root of the host, wherever the issuer is.
func TestOpenAPIOfRelatedOrigins(t *testing.T) {
	for name, noMail := range map[string]bool{"with mail": false, "without mail": true} {
		t.Run(name, func(t *testing.T) {
			s := apitest.New(t, apitest.Options{IssuerURL: "https://id.test/p", Configure: func(r *apitest.Replica) {
				r.API.PasskeyOrigins = []string{"https://app.test"}
				r.Accounts.NoMail = noMail
			}})
			item := s.Describe().Paths.Value("/.well-known/webauthn")
			if item == nil || len(item.Servers) != 1 || item.Servers[0].URL != "/" {
				t.Fatalf("described as %+v", item)
			}
			var routes, described []string
			for _, r := range s.Replicas[0].API.Routes() {
				routes = append(routes, r.Method+" "+r.Path)
			}
			for path, item := range s.Describe().Paths.Map() {
				for method := range item.Operations() {
					described = append(described, method+" "+path)
				}
			}
			slices.Sort(routes)
			slices.Sort(described)
			if !slices.Equal(routes, described) {
				t.Errorf("described are\n%q, there are\n%q", described, routes)
			}
		})
	}
}
