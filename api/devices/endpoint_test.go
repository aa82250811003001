package devices_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// D-18: a scope that the client may not have is refused, and not left out as at the authorization
// endpoint.
func TestD18ScopesOfADevice(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		plain := f.Register(userstore.Client{ID: "plain", GrantTypes: []string{userstore.GrantDeviceCode}})
		for _, row := range []struct {
			c               apitest.Client
			scope, resource string
			want            string
		}{
			{f.box, "openid email", "", ""},
			{f.box, "openid read", "https://api.test", ""},
			{f.box, "", "https://api.test", ""},
			{f.box, "openid profile", "", "invalid_scope"},
			{f.box, "openid admin", "", "invalid_scope"},
			{f.box, "openid write", "https://api.test", "invalid_scope"},
			{f.box, "read misspelt", "https://api.test", "invalid_scope"},
			{f.box, "", "", "invalid_scope"},
			{f.box, "openid \"", "", "invalid_scope"},
			{f.box, "read", "https://files.test", "invalid_target"},
			{f.tv, "openid", "https://api.test", "invalid_target"},
			{f.tv, "openid admin", "", "invalid_scope"},
			{f.own, "openid admin", "", ""}, // whether the user is an admin shows later
			{plain, "openid offline_access", "", "invalid_scope"},
			{plain, "openid", "", ""},
		} {
			form := url.Values{}
			if row.scope != "" {
				form.Set("scope", row.scope)
			}
			if row.resource != "" {
				form.Set("resource", row.resource)
			}
			res := f.Do(f.Authenticated(row.c, "/oauth2/device", form))
			if row.want == "" {
				res.Want(200, "")
			} else {
				res.Want(400, row.want)
			}
		}
	}, func(o *apitest.Options) {
		o.Resources = []issuer.Resource{
			{URI: "https://api.test", Scopes: []string{"read", "write"}}, {URI: "https://files.test", Scopes: []string{"read"}},
		}
	})
}

func TestWhoMayAskForADevice(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		web := f.Register(userstore.Client{ID: "web"})
		f.Do(f.Authenticated(web, "/oauth2/device", url.Values{"scope": {"openid"}})).Want(400, "unauthorized_client")
		f.PollDevice(web, f.ask(f.box).DeviceCode).Want(400, "unauthorized_client")
		unproved := url.Values{"scope": {"openid"}, "client_id": {f.box.ID}}
		for want, q := range map[string]apitest.Request{
			"invalid_client":  {Form: unproved},
			"invalid_request": {Form: url.Values{"scope": {"openid", "email"}, "client_id": {f.tv.ID}}},
		} {
			q.Method, q.Path = "POST", "/oauth2/device"
			status := 400
			if want == "invalid_client" {
				status = 401
			}
			f.Do(q).Want(status, want)
		}
		f.Do(apitest.Request{Method: "POST", Path: "/oauth2/device", Form: url.Values{"scope": {"openid"}}}).Want(401, "invalid_client")
		f.Do(apitest.Request{Path: "/oauth2/device"}).Want(405, "invalid_request")
		// A client of this grant type alone has no business at the authorization endpoint.
		if p := f.SignedIn(f.alice).Open(apitest.AuthorizePath(f.box)); p.Query().Get("error") != "unauthorized_client" {
			t.Errorf("%d %s", p.Status, p.To)
		}
	})
}

// Strangers fill nothing: a network may ask ten times as often as it may sign up, and a client that
// proves itself is bounded by its rows alone.
func TestDevicesOfANetwork(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		from := func(c apitest.Client, address string) *apitest.Response {
			q := f.Authenticated(c, "/oauth2/device", url.Values{"scope": {"openid"}})
			q.Header = http.Header{"X-Forwarded-For": {address}}
			return f.Do(q)
		}
		for range 20 {
			q := f.Authenticated(f.tv, "/oauth2/device", url.Values{"scope": {"openid admin"}})
			q.Header = http.Header{"X-Forwarded-For": {"198.51.100.7"}}
			f.Do(q).Want(400, "invalid_scope") // stores nothing, and does not count
		}
		for range 10 {
			from(f.tv, "198.51.100.7").Want(200, "")
		}
		if res := from(f.tv, "198.51.100.7").Want(429, "temporarily_unavailable"); res.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		from(f.own, "198.51.100.7").Want(429, "temporarily_unavailable")
		from(f.box, "198.51.100.7").Want(200, "")
		from(f.tv, "203.0.113.7").Want(200, "")
		f.Advance(time.Hour)
		from(f.tv, "198.51.100.7").Want(200, "")
	}, apitest.Configured(func(r *apitest.Replica) {
		r.Accounts.Throttle.SignupsPerNetwork = 1
		r.API.TrustedProxies = []string{"127.0.0.0/8", "::1"}
	}))
}
