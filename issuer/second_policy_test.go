package issuer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// Policies at their next use: grants from before, of users without and with a second factor.
func TestPoliciesMeetOldGrants(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		old := func(o *owner, scope string) issuer.TokenResponse {
			w.Accounts.SecondFactor = userstore.SecondFactorOptional
			r, err := w.Login(t.Context(), issuer.LoginRequest{Email: o.Email, Password: password, ClientID: "app", Scope: scope})
			w.must(err)
			return r
		}
		off, optional, admins, required := userstore.SecondFactorOff, userstore.SecondFactorOptional,
			userstore.SecondFactorAdmins, userstore.SecondFactorRequired
		for _, c := range []struct {
			policy      userstore.SecondFactorPolicy
			admin, late bool // role admin; a factor that came after the grant
			login       issuer.Code
			grant       bool // goes on
			scopes      string
		}{
			{off, true, false, "", true, "profile admin"},
			{optional, true, false, "", true, "profile admin"},
			{admins, false, false, "", true, "profile"},
			{admins, true, false, issuer.SecondFactorSetup, false, ""},
			{required, false, false, issuer.SecondFactorSetup, false, ""},
			{required, true, false, issuer.SecondFactorSetup, false, ""},
			{off, true, true, issuer.SecondFactorRequired, true, "profile admin"},
			{optional, true, true, issuer.SecondFactorRequired, true, "profile admin"},
			{admins, true, true, issuer.SecondFactorRequired, true, "profile"},
			{required, true, true, issuer.SecondFactorRequired, true, "profile"},
			{required, false, true, issuer.SecondFactorRequired, true, "profile"},
		} {
			what := fmt.Sprintf("policy %q, admin %v, a factor since then %v", c.policy, c.admin, c.late)
			roles, scope := []string(nil), "profile"
			if c.admin {
				roles, scope = []string{userstore.RoleAdmin}, "profile admin"
			}
			o := w.owner(roles...)
			r, narrowed := old(o, scope), old(o, scope)
			if c.late {
				w.withApp(o)
			}
			w.Accounts.SecondFactor = c.policy
			_, err := w.Login(t.Context(), issuer.LoginRequest{Email: o.Email, Password: password, ClientID: "app"})
			if got := errorOf(err); c.login == "" && err != nil || c.login != "" && (got == nil || got.Code != c.login) {
				t.Errorf("%s: a login: %v, want %q", what, err, c.login)
			}
			session, err := w.Bearer(t.Context(), r.AccessToken)
			if (err == nil) != c.grant || strings.Join(session.Scopes, " ") != c.scopes {
				t.Errorf("%s: a request with scopes %q: %v", what, session.Scopes, err)
			}
			for how, request := range map[string]issuer.RefreshRequest{
				"at /v1/refresh":  {RefreshToken: r.RefreshToken, FirstParty: true},
				"of a part of it": {RefreshToken: narrowed.RefreshToken, ClientID: "app", Scope: "profile admin"},
			} {
				before := w.row(request.RefreshToken)
				next, err := w.Refresh(t.Context(), request)
				if !c.grant {
					w.refused(err, issuer.InvalidGrant)
					if after := w.row(request.RefreshToken); after.Generation != before.Generation || !after.RevokedAt.IsZero() {
						t.Errorf("%s: a refresh %s changed the grant", what, how)
					}
					continue
				}
				if err != nil || next.Scope != c.scopes {
					t.Errorf("%s: a refresh %s gives scope %q: %v", what, how, next.Scope, err)
				}
			}
			if !c.grant { // with the factor the same grant goes on
				w.Accounts.SecondFactor = userstore.SecondFactorOptional
				w.withApp(o)
				w.Accounts.SecondFactor = c.policy
				if next, err := w.refresh(r.RefreshToken); err != nil || next.Scope != "profile" {
					t.Errorf("%s: after a factor was set up, scope %q: %v", what, next.Scope, err)
				}
			}
		}
		// Scope admin with two factors, and in no other way.
		w.Accounts.SecondFactor = userstore.SecondFactorAdmins
		o := w.withPasskey(w.withApp(w.owner(userstore.RoleAdmin)), false)
		r, err := w.LoginSecond(t.Context(), w.firstStep(o, "profile admin"), w.proof(o))
		w.must(err)
		for name, token := range map[string]string{"issued": r.AccessToken, "refreshed": w.refreshed(r.RefreshToken).AccessToken} {
			session, err := w.Bearer(t.Context(), token)
			if err != nil || !session.HasScope("admin") {
				t.Errorf("with two factors, %s: %q %v", name, session.Scopes, err)
			}
		}
	})
}

// A code that was issued before the policy, or the role that it is for, came is not redeemed without
// the second factor.
func TestACodeMeetsThePolicy(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.owner()
		b, _ := w.browser(o, "")
		verifier := strings.Repeat("v", 43)
		challenge := sha256.Sum256([]byte(verifier))
		redeem := func() error {
			p, refused, err := w.Authorize(t.Context(), issuer.AuthorizationRequest{ClientID: "web", RedirectURI: "https://web.test/cb",
				ResponseType: "code", Scope: "openid", CodeChallengeMethod: "S256", CodeChallenge: base64.RawURLEncoding.EncodeToString(challenge[:])})
			if err != nil || refused != nil {
				t.Fatal(err, refused)
			}
			d, err := w.Decide(t.Context(), p, &b)
			w.must(err)
			var code string
			for _, p := range d.Response.Parameters {
				if p[0] == "code" {
					code = p[1]
				}
			}
			w.Accounts.SecondFactor = userstore.SecondFactorRequired
			defer func() { w.Accounts.SecondFactor = userstore.SecondFactorOptional }()
			_, err = w.Token(t.Context(), issuer.TokenRequest{Auth: issuer.ClientAuth{ClientID: "web"}, GrantType: "authorization_code",
				Code: code, RedirectURI: "https://web.test/cb", CodeVerifier: verifier})
			return err
		}
		w.refused(redeem(), issuer.InvalidGrant)
		w.withApp(o)
		w.must(redeem())
	})
}
