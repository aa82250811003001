package authorizations_test

import (
	"net/url"
	"reflect"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// what was allowed at one resource was not at another, nor what was allowed of one request
// with that of another.
func TestA24AScopeIsAllowedWhereItWasAskedFor(t *testing.T) {
	const one, two, listless = "https://one.test", "https://two.test", "https://any.test"
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := s.Register(userstore.Client{ID: "web", Name: "Web", Resources: []string{one, two, listless},
			Scopes: []string{"openid", "email", "offline_access", "read", "write"}})
		b := s.Browser()
		b.SignIn("/login", alice)
		at := func(resources ...string) func(url.Values) {
			return func(q url.Values) { q["resource"] = resources }
		}
		allow := func(scope string, resources ...string) {
			t.Helper()
			b.Open(authorizePath(c, set("scope", scope), at(resources...))).WantPage(200, "consent-approve").
				Submit("consent-approve", nil)
		}
		silent := func(want bool, scope string, resources ...string) {
			t.Helper()
			p := b.Open(authorizePath(c, set("scope", scope, "prompt", "none"), at(resources...)))
			if want {
				wantCode(t, p)
			} else {
				wantError(t, p, "consent_required")
			}
		}

		allow("openid write", one)
		silent(true, "openid write", one)
		silent(true, "openid", one)
		silent(false, "openid write", two)
		silent(false, "openid write", listless)
		silent(false, "openid write") // at the default audience
		silent(false, "openid read", one)

		allow("read", two)
		silent(true, "openid read", two)
		silent(false, "write", two)
		silent(false, "read", one)
		silent(false, "write read", one, two)
		silent(false, "read write", two, one)

		// What was allowed at the default audience is of no resource's, and the other way round.
		allow("read email")
		silent(true, "openid read email")
		silent(false, "write")
		silent(false, "read", listless)
		silent(true, "email write", one) // what tells of the user was allowed, and that

		// To stay is allowed where it was asked for, too.
		allow("write offline_access", one)
		silent(true, "write offline_access", one)
		silent(false, "read offline_access")
		silent(false, "read offline_access", two)

		var list struct {
			Consents []struct {
				ClientID  string `json:"client_id"`
				Scope     string
				Resources []struct{ Resource, Scope string }
			}
		}
		own := s.Login(alice).Access
		s.Do(apitest.Request{Path: "/v1/profile/consents", Token: own}).Want(200, "").JSON(&list)
		if len(list.Consents) != 1 || list.Consents[0].Scope != "openid read email" ||
			!reflect.DeepEqual(list.Consents[0].Resources,
				[]struct{ Resource, Scope string }{{one, "write offline_access"}, {two, "read"}}) {
			t.Errorf("the list tells %+v", list)
		}
		s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/consents/web", Token: own}).Want(204, "")
		silent(false, "openid")
		silent(false, "write", one)
		silent(false, "read", two)
	}, func(o *apitest.Options) {
		o.Resources = []issuer.Resource{{URI: one, Scopes: []string{"read", "write"}},
			{URI: two, Scopes: []string{"read", "write"}}, {URI: listless}}
	})
}
