// Package registrations_test holds tests of clients that register themselves and manage their
// registrations. It has no code, and tests of its own only so that no package takes too long.
package registrations_test

import (
	"encoding/json"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// mode is an option of apitest.Each: oauth.registration.
func mode(mode string) func(*apitest.Options) {
	return apitest.Configured(func(r *apitest.Replica) { r.Issuer.Registration = mode })
}

// shop is the metadata of a confidential web app.
func shop() apitest.Fields {
	return apitest.Fields{"client_name": "Shop", "redirect_uris": []string{"https://shop.test/cb"}}
}

// register sends metadata, with an initial access token or without one.
func register(s *apitest.Server, metadata any, token string) *apitest.Response {
	s.T.Helper()
	return s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Token: token, Body: metadata})
}

// registered is a client that the server answered.
type registered struct {
	apitest.Client
	Access string // registration_access_token
	Fields apitest.Fields
}

func take(s *apitest.Server, a *apitest.Response) registered {
	s.T.Helper()
	var i issuer.ClientInformation
	out := registered{}
	a.JSON(&i)
	a.JSON(&out.Fields)
	out.Client = apitest.Client{Client: userstore.Client{
		ID: i.ClientID, Name: i.Name, AuthMethod: i.AuthMethod, GrantTypes: i.GrantTypes,
		ClientMetadata: userstore.ClientMetadata{RedirectURIs: i.RedirectURIs},
	}, Secret: i.ClientSecret}
	out.Access = i.RegistrationToken
	return out
}

// manage sends a request to the client's own registration.
func manage(s *apitest.Server, method string, c registered, body any) *apitest.Response {
	s.T.Helper()
	return s.Do(apitest.Request{Method: method, Path: "/oauth2/register/" + c.ID, Token: c.Access, Body: body})
}

// leavesNothing fails the test if fn changes a client, an initial access token, or the audit log.
func leavesNothing(s *apitest.Server, fn func()) {
	s.T.Helper()
	before := kept(s)
	fn()
	if after := kept(s); after != before {
		s.T.Errorf("something is left behind:\nbefore %s\nafter  %s", before, after)
	}
}

func kept(s *apitest.Server) string {
	s.T.Helper()
	s.Replicas[0].Accounts.Throttle.Drain() // refusals are recorded after their answer
	clients, err := s.DB.ListClients(s.T.Context(), nil, 1000)
	if err != nil {
		s.T.Fatal(err)
	}
	tokens, err := s.DB.ListRegistrationTokens(s.T.Context(), nil, 1000)
	if err != nil {
		s.T.Fatal(err)
	}
	events, err := s.DB.ListEvents(s.T.Context(), userstore.EventQuery{Limit: 1000})
	if err != nil {
		s.T.Fatal(err)
	}
	text, err := json.Marshal([]any{clients, tokens, events})
	if err != nil {
		s.T.Fatal(err)
	}
	return string(text)
}

// initialToken makes an initial access token, as a command does.
func initialToken(s *apitest.Server, n registration.NewToken) (userstore.RegistrationToken, string) {
	s.T.Helper()
	t, token, err := s.Replicas[0].API.Clients.CreateRegistrationToken(s.T.Context(), n)
	if err != nil {
		s.T.Fatal(err)
	}
	return t, s.Secret(token)
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	g, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	w, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}
