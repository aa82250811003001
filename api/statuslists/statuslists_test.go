// Package statuslists_test holds tests of token status lists through a whole server, with the
// verifier that resource servers use.
package statuslists_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/statuslist"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/verifier"
)

func each(t *testing.T, fn func(t *testing.T, s *apitest.Server)) {
	apitest.Each(t, fn, func(o *apitest.Options) { o.StatusLists = true })
}

// resourceServer verifies tokens of the server with the server's clock.
func resourceServer(s *apitest.Server, change ...func(*verifier.Config)) *verifier.Verifier {
	s.T.Helper()
	at := s.Replicas[0].HTTP.URL
	c := verifier.Config{
		Issuer: apitest.IssuerURL, Audience: []string{apitest.IssuerURL}, Now: s.Clock.Now,
		JWKSURL: at + "/.well-known/jwks.json", StatusBaseURL: at, Logger: slog.New(slog.DiscardHandler),
	}
	for _, fn := range change {
		fn(&c)
	}
	v, err := verifier.New(c)
	if err != nil {
		s.T.Fatal(err)
	}
	return v
}

func verify(v *verifier.Verifier, token string) error {
	_, err := v.Verify(context.Background(), token)
	return err
}

// claims returns the payload of a token.
func claims(t *testing.T, token string) (all map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// poll moves the clock by a second, in which each replica polls.
func poll(s *apitest.Server) { s.Advance(time.Second) }

func clientToken(s *apitest.Server, c apitest.Client) string {
	s.T.Helper()
	var tokens apitest.Tokens
	own := s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
	s.Do(own).Want(200, "").JSON(&tokens)
	return tokens.Access
}

func refreshed(s *apitest.Server, c apitest.Client, tokens apitest.Tokens) (next apitest.Tokens) {
	s.T.Helper()
	s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "").JSON(&next)
	return next
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// through is a server with status lists, and what between puts in front of its store.
func through[S apitest.Store](t *testing.T, between func(apitest.Store) S) (s *apitest.Server, store S) {
	t.Helper()
	s = apitest.New(t, apitest.Options{StatusLists: true, Store: func(db *sqlstore.DB) apitest.Store {
		store = between(db)
		return store
	}})
	return s, store
}

type list struct {
	claims map[string]any
	places statuslist.Places
	raw    *apitest.Response
}

func reference(t *testing.T, token string) (uri string, index uint64) {
	t.Helper()
	status, _ := claims(t, token)["status"].(map[string]any)
	r, _ := status["status_list"].(map[string]any)
	uri, _ = r["uri"].(string)
	n, ok := r["idx"].(float64)
	if uri == "" || !ok {
		t.Fatalf("the token's status is %v", status)
	}
	return uri, uint64(n)
}

func place(t *testing.T, token string) uint64 {
	t.Helper()
	_, index := reference(t, token)
	return index
}

// listOf fetches the list that a token names.
func listOf(s *apitest.Server, token string) list {
	s.T.Helper()
	t := s.T.(*testing.T)
	uri, _ := reference(t, token)
	res := s.Do(apitest.Request{Path: strings.TrimPrefix(uri, apitest.IssuerURL)}).Want(200, "")
	l := list{claims: claims(t, string(res.Body)), raw: res}
	of, _ := l.claims["status_list"].(map[string]any)
	lst, _ := of["lst"].(string)
	var err error
	if l.places, err = (statuslist.List{Bits: 1, Compressed: lst}).Decode(); err != nil || of["bits"] != float64(1) {
		t.Fatalf("%v: %v", of["bits"], err)
	}
	return l
}
