package crashes_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

func registering(mode string) func(*apitest.Options) {
	return apitest.Configured(func(r *apitest.Replica) { r.Issuer.Registration = mode })
}

// documents lets clients be known by metadata documents, which a host of the test serves.
func documents(t *testing.T, o *apitest.Options) {
	h := apitest.NewDocumentHost(t)
	apitest.Configured(func(r *apitest.Replica) { r.Documents(t, h) })(o)
}

// clientJourneys are those of clients that make themselves known, of devices, and of what apps ask
// before and after a login.
var clientJourneys = []journey{
	{"dynamic registration", with(registering(issuer.RegistrationOpen)), func(s *apitest.Server, name string) {
		metadata := apitest.Fields{"client_name": "Shop", "redirect_uris": []string{"https://shop.test/cb"}}
		var c issuer.ClientInformation
		s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Body: metadata}).Want(201, "").JSON(&c)
		client := bearer{s, c.RegistrationToken}
		path := "/oauth2/register/" + c.ClientID
		client.do("GET", path, nil).Want(200, "")
		client.do("PUT", path, apitest.Fields{"client_id": c.ClientID, "client_name": "Store",
			"redirect_uris": []string{"https://shop.test/cb"}}).Want(200, "")
		client.do("DELETE", path, nil).Want(204, "")
	}},
	{"registration with an initial access token", with(registering(issuer.RegistrationToken)),
		func(s *apitest.Server, name string) {
			_, token, err := s.Replicas[1].API.Clients.CreateRegistrationToken(s.T.Context(), registration.NewToken{Uses: 1})
			if err != nil {
				s.T.Fatal(err)
			}
			s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Token: s.Secret(token),
				Body: apitest.Fields{"client_name": "Shop", "redirect_uris": []string{"https://shop.test/cb"}}}).Want(201, "")
		}},
	{"a pushed request", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		c := quiet(s).Register(userstore.Client{ID: name})
		form, err := url.ParseQuery(strings.TrimPrefix(apitest.AuthorizePath(c), "/oauth2/authorize?"))
		if err != nil {
			s.T.Fatal(err)
		}
		var pushed issuer.PushedResponse
		s.Do(s.Authenticated(c, "/oauth2/par", form)).Want(201, "").JSON(&pushed)
		b := s.Browser()
		p := b.Open("/oauth2/authorize?" + url.Values{"client_id": {c.ID},
			"request_uri": {s.Secret(pushed.RequestURI)}}.Encode())
		p = p.WantPage(200, "login-submit").Submit("login-submit", u.Credentials()).WantPage(200, "consent-approve").
			Submit("consent-approve", nil)
		quiet(s).TokensOf(c, p)
	}},
	{"a device", nil, func(s *apitest.Server, name string) {
		u, q := quiet(s).Operated(name+"@example.test", true), quiet(s)
		c := q.Register(userstore.Client{ID: name, AuthMethod: userstore.AuthNone,
			GrantTypes:     []string{userstore.GrantDeviceCode},
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{}}})
		asked := s.AskDevice(c, url.Values{"scope": {"openid email"}})
		s.PollDevice(c, asked.DeviceCode).Want(400, "authorization_pending")
		b := q.SignedIn(u).With(s)
		b.AllowDevice(asked.UserCode)
		s.Clock.Move(6 * time.Second)
		s.PollDevice(c, asked.DeviceCode).Want(200, "")
	}},
	{"a client by its metadata document", documents, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		path := "/" + name + ".json"
		host := s.Replicas[0].DocumentHost()
		c := host.Publish(path, host.Metadata(path))
		_, p := s.Allowed(u, c)
		tokens := s.TokensOf(c, p)
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "")
	}},
}
