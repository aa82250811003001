package crashes_test

import (
	"net/url"
	"strings"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// oauthJourneys are those of client apps.
var oauthJourneys = []journey{
	{"code and PKCE, refresh and revocation", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		c := quiet(s).Register(userstore.Client{ID: name, AuthMethod: userstore.AuthNone})
		_, p := s.Allowed(u, c)
		tokens := s.TokensOf(c, p)
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "").JSON(&tokens)
		apitest.UserinfoOf(s, tokens)
		s.Do(apitest.Request{Method: "POST", Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
		s.Do(s.Authenticated(c, "/oauth2/revoke", url.Values{"token": {tokens.Refresh}})).Want(200, "")
		quiet(s).Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
	}},
	{"a confidential client", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		c := quiet(s).Register(userstore.Client{ID: name})
		code := quiet(s).Code(u, c)
		var tokens apitest.Tokens
		s.Do(s.CodeRequest(c, code)).Want(200, "").JSON(&tokens)
		s.Introspect(c, tokens.Refresh)
		s.Do(s.Authenticated(c, "/oauth2/revoke", url.Values{"token": {tokens.Access}})).Want(200, "")
		s.Do(s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})).Want(200, "")
	}},
	{"a pushed request", nil, func(s *apitest.Server, name string) {
		u, b := signedIn(s, name)
		c := quiet(s).Register(userstore.Client{ID: name, FirstParty: true})
		_, query, _ := strings.Cut(apitest.AuthorizePath(c), "?")
		form, _ := url.ParseQuery(query)
		var pushed struct {
			URI string `json:"request_uri"`
		}
		s.Do(s.Authenticated(c, "/oauth2/par", form)).Want(201, "").JSON(&pushed)
		p := b.Open("/oauth2/authorize?" + url.Values{"client_id": {c.ID}, "request_uri": {pushed.URI}}.Encode())
		s.TokensOf(c, p)
		_ = u
	}},
	{"a request by POST, too long for an address, and a denial", nil, func(s *apitest.Server, name string) {
		_, b := signedIn(s, name)
		c := quiet(s).Register(userstore.Client{ID: name})
		_, query, _ := strings.Cut(apitest.AuthorizePath(c, apitest.Param("state", strings.Repeat("long ", 1500))), "?")
		form, _ := url.ParseQuery(query)
		p := b.Follow(apitest.Request{Method: "POST", Path: "/oauth2/authorize", Form: form}).WantPage(200, "consent-approve")
		p.Submit("consent-deny", nil)
	}},
	{"logout of an app that hears of logouts", nil, func(s *apitest.Server, name string) {
		_, b := signedIn(s, name)
		c := quiet(s).Register(userstore.Client{ID: name, FirstParty: true, ClientMetadata: userstore.ClientMetadata{
			BackchannelLogoutURI: "https://" + name + ".test/out", PostLogoutRedirectURIs: []string{"https://" + name + ".test/bye"},
		}})
		tokens := quiet(s).TokensOf(c, b.With(quiet(s)).Open(apitest.AuthorizePath(c)))
		b.Follow(apitest.Request{Method: "POST", Path: "/oauth2/logout", Form: url.Values{"id_token_hint": {tokens.ID},
			"post_logout_redirect_uri": {"https://" + name + ".test/bye"}, "client_id": {c.ID}}})
	}},
	{"another account in the same browser", nil, func(s *apitest.Server, name string) {
		_, b := signedIn(s, name)
		c := quiet(s).Register(userstore.Client{ID: name, FirstParty: true})
		q := b.With(quiet(s))
		tab := q.Open(apitest.AuthorizePath(c, apitest.Param("prompt", "login"))).WantPage(200, "login-submit").Path
		_ = tab
		p := b.Open(apitest.AuthorizePath(c, apitest.Param("prompt", "select_account")))
		if p.Has("continue-submit") {
			p.Submit("continue-submit", nil)
		}
	}},
	{"a device", []func(*apitest.Options){}, func(s *apitest.Server, name string) {
		_, b := signedIn(s, name)
		c := quiet(s).Register(userstore.Client{ID: name, AuthMethod: userstore.AuthNone,
			GrantTypes:     []string{userstore.GrantDeviceCode, userstore.GrantRefreshToken},
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{}}})
		asked := s.AskDevice(c, url.Values{"scope": {"openid profile offline_access"}})
		s.PollDevice(c, asked.DeviceCode).Want(400, "authorization_pending")
		b.AllowDevice(asked.UserCode)
		quiet(s).Advance(10 * time.Second)
		var tokens apitest.Tokens
		s.PollDevice(c, asked.DeviceCode).Want(200, "").JSON(&tokens)
		quiet(s).Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "")
		asked = quiet(s).AskDevice(c, url.Values{"scope": {"openid"}})
		b.With(quiet(s)).TypeUserCode(asked.UserCode).WantPage(200, "device-deny")
		b.TypeUserCode(asked.UserCode).Submit("device-deny", nil).WantPage(200, "")
	}},
	{"a client that registers itself", []func(*apitest.Options){
		apitest.Configured(func(r *apitest.Replica) { r.Issuer.Registration = issuer.RegistrationOpen })},
		func(s *apitest.Server, name string) {
			var c struct {
				ID    string `json:"client_id"`
				Token string `json:"registration_access_token"`
			}
			metadata := apitest.Fields{"client_name": "Shop", "redirect_uris": []string{"https://shop.test/cb"}}
			s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Body: metadata}).Want(201, "").JSON(&c)
			me := bearer{s, c.Token}
			path := "/oauth2/register/" + c.ID
			me.do("GET", path, nil).Want(200, "")
			me.do("PUT", path, metadata.With("client_id", c.ID).With("client_name", "The Shop")).Want(200, "")
			me.do("DELETE", path, nil).Want(204, "")
		}},
}
