package issuer_test

import (
	"testing"

	"github.com/signet-id/signet/issuer"
)

func TestNarrowing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.login("openid profile api.read files", apiURI, filesURI)
		request := func(token, scope string, resource ...string) (issuer.TokenResponse, error) {
			return w.Refresh(t.Context(),
				issuer.RefreshRequest{RefreshToken: token, Scope: scope, Resource: resource, FirstParty: true})
		}
		for name, c := range map[string]struct {
			scope    string
			resource []string
			code     issuer.Code
		}{
			"scopes that were not granted":        {"email phone", nil, issuer.InvalidScope},
			"a scope that nobody knows":           {"nosuch", nil, issuer.InvalidScope},
			"a scope that is none":                {"\x7f", nil, issuer.InvalidScope},
			"admin":                               {"admin", nil, issuer.InvalidScope},
			"a resource that was not granted":     {"", []string{openURI}, issuer.InvalidTarget},
			"a resource that nobody registered":   {"", []string{"https://evil.test"}, issuer.InvalidTarget},
			"a granted scope of another resource": {"files", []string{apiURI}, issuer.InvalidScope},
			"one resource granted and one not":    {"", []string{apiURI, openURI}, issuer.InvalidTarget},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.untouched(first.RefreshToken, func() {
					_, err := request(first.RefreshToken, c.scope, c.resource...)
					w.refused(err, c.code)
				})
			})
		}

		// A scope that the grant lacks is ignored, as it was at the login.
		extra, err := request(first.RefreshToken, "email profile nosuch admin files", apiURI)
		w.must(err)
		if c := w.claims(extra.AccessToken); c["scope"] != "profile" || extra.Scope != "profile" {
			t.Errorf("with scopes that were not granted: %v", c)
		}
		// Less is fine, for this access token only.
		second, err := request(first.RefreshToken, "api.read", apiURI)
		w.must(err)
		if c := w.claims(second.AccessToken); c["scope"] != "api.read" || c["aud"] != apiURI || second.IDToken != "" ||
			second.Scope != "api.read" {
			t.Errorf("narrowed: %v, ID token %q", c, second.IDToken)
		}
		third := w.refreshed(second.RefreshToken)
		if third.Scope != "openid profile api.read files" || third.IDToken == "" {
			t.Errorf("afterwards scope %q", third.Scope)
		}
		// One resource, no scope: the scopes of the other resource are left out.
		fourth, err := request(third.RefreshToken, "", filesURI)
		w.must(err)
		if c := w.claims(fourth.AccessToken); c["scope"] != "openid profile files" || c["aud"] != filesURI {
			t.Errorf("narrowed: %v", c)
		}
		// The same token once more, for another resource: a fresh access token, the same refresh
		// token.
		again, err := request(third.RefreshToken, "profile")
		w.must(err)
		if again.Scope != "profile" || again.RefreshToken != fourth.RefreshToken {
			t.Errorf("answered again: %+v", again)
		}
		// A replay is a replay also if it narrows the scope.
		_, err = request(first.RefreshToken, "profile")
		w.refused(err, issuer.InvalidGrant)
		w.dead(fourth.RefreshToken)
	})
}

// A grant for the default audience holds no resource; a grant for resources that an operator
// removed does not become one for the default audience.
func TestResourcesOfAGrantNeverGrow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		plain := w.login("profile").RefreshToken
		w.untouched(plain, func() {
			_, err := w.Refresh(t.Context(),
				issuer.RefreshRequest{RefreshToken: plain, Resource: []string{apiURI}, FirstParty: true})
			w.refused(err, issuer.InvalidTarget)
		})
		both, api := w.login("profile files", apiURI, filesURI).RefreshToken, w.login("profile", apiURI).RefreshToken
		w.Resources = w.Resources[1:] // without the API
		if c := w.claims(w.refreshed(both).AccessToken); c["aud"] != filesURI {
			t.Errorf("aud is %v", c["aud"])
		}
		_, err := w.refresh(api)
		w.refused(err, issuer.InvalidTarget)
		if w.row(api).RevokedAt.IsZero() == false {
			t.Error("the grant was revoked")
		}
	})
}
