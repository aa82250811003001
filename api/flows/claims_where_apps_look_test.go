package flows_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// name is composed wherever it is told, while the user has set none.
func TestNameIsComposedWhileNoneIsSet(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		alice := s.SignUp("alice")
		c := s.Register(userstore.Client{ID: "web", IDTokenClaims: true})
		plain := s.Register(userstore.Client{ID: "plain"})
		own := s.Login(alice)
		b := s.SignedIn(alice)
		named := func(q url.Values) { q.Set("claims", `{"id_token":{"name":null},"userinfo":{"name":null}}`) }
		for _, row := range []struct {
			name  string
			patch apitest.Fields
			want  any
		}{
			{"nobody said anything", apitest.Fields{}, nil},
			{"both", apitest.Fields{"given_name": "Ada", "family_name": "Lovelace"}, "Ada Lovelace"},
			{"given only", apitest.Fields{"family_name": nil}, "Ada"},
			{"family only", apitest.Fields{"given_name": nil, "family_name": "Lovelace"}, "Lovelace"},
			{"a name of its own", apitest.Fields{"given_name": "Ada", "name": "Countess of Lovelace"}, "Countess of Lovelace"},
			{"a name of its own stays when the others change", apitest.Fields{"given_name": "Augusta"}, "Countess of Lovelace"},
			{"and is taken away", apitest.Fields{"name": nil}, "Augusta Lovelace"},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				b := b.With(s)
				var profile, fromAdmin apitest.Fields
				s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: own.Access,
					Body: row.patch}).Want(http.StatusOK, "").JSON(&profile)
				if profile["name"] != row.want {
					t.Errorf("the answer to the edit says %v, want %v", profile["name"], row.want)
				}
				profile = nil
				s.Do(apitest.Request{Path: "/v1/profile", Token: own.Access}).Want(http.StatusOK, "").JSON(&profile)
				s.Do(apitest.Request{Path: "/v1/admin/users/" + alice.ID,
					Token: admin.Access}).Want(http.StatusOK, "").JSON(&fromAdmin)
				tokens := logIn(s, b, c, set("prompt", "consent"))
				asked := logIn(s, b, plain, set("prompt", "consent", "scope", "openid"), named)
				for where, got := range map[string]any{
					"/v1/profile": profile["name"], "/v1/admin/users": fromAdmin["name"], "userinfo": userinfoOf(s, tokens)["name"],
					"the ID token": apitest.Claims(tokens.ID)["name"],
					"a claim of the ID token that was asked for": apitest.Claims(asked.ID)["name"],
					"a claim of userinfo that was asked for":     userinfoOf(s, asked)["name"],
				} {
					if got != row.want {
						t.Errorf("%s says %v, want %v", where, got, row.want)
					}
				}
			})
		}
	})
}

// id_token_claims of a client: the claims of the granted scopes are in its ID tokens as well, for
// apps that look nowhere else.
func TestIDTokenClaimsOfAClient(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		alice := s.SignUp("alice")
		s.Give(alice, "editor")
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: s.Login(alice).Access,
			Body: apitest.Fields{"given_name": "Ada", "family_name": "L", "username": "ada", "current_password": alice.Password,
				"phone_number": "+493012345"}}).Want(http.StatusOK, "")
		about := []string{"name", "preferred_username", "given_name", "email", "email_verified", "phone_number", "team"}
		told := func(token string) (out []string) {
			for _, name := range about {
				if apitest.Claims(token)[name] != nil {
					out = append(out, name)
				}
			}
			return out
		}
		wants := func(what, token string, want ...string) {
			t.Helper()
			got := told(token)
			if len(got) != len(want) {
				t.Errorf("%s: the ID token tells %v, want %v", what, got, want)
				return
			}
			for n := range got {
				if got[n] != want[n] {
					t.Errorf("%s: the ID token tells %v, want %v", what, got, want)
				}
			}
		}
		do := s.AdminOf(admin.Access)
		var made userstore.ClientDocument
		body := apitest.Fields{"client_id": "kube", "client_name": "Kube", "redirect_uris": []string{"https://kube.test/cb"},
			"grant_types": []string{"authorization_code", "refresh_token"}}
		do("POST", "", body).Want(http.StatusCreated, "").JSON(&made)
		c := apitest.Client{Secret: s.Secret(made.ClientSecret)}
		var err error
		if c.Client, err = s.DB.ClientByID(t.Context(), "kube"); err != nil || made.IDTokenClaims || c.IDTokenClaims {
			t.Fatalf("%v: it is off unless it is asked for: %+v", err, made)
		}
		b := s.SignedIn(alice)
		off := logIn(s, b, c)
		wants("off", off.ID)
		do("PATCH", "/kube", apitest.Fields{"id_token_claims": "yes"}).Want(http.StatusBadRequest, "validation_error")
		do("PATCH", "/kube", apitest.Fields{"id_token_claims": true}).Want(http.StatusOK, "").JSON(&made)
		if !made.IDTokenClaims {
			t.Errorf("answered %+v", made)
		}
		s.Clock.Move(2 * time.Second) // the client is cached so long
		on := logIn(s, b, c, set("scope", "openid profile email groups"))
		wants("on", on.ID, "name", "preferred_username", "given_name", "email", "email_verified", "team")
		if id := apitest.Claims(on.ID); id["name"] != "Ada L" || id["email"] != alice.Email ||
			id["email_verified"] != false || id["sub"] != alice.ID || id["aud"] != "kube" || id["nonce"] != "the nonce" {
			t.Errorf("the ID token says %v", id)
		}
		wants("without scopes of claims", logIn(s, b, c, set("scope", "openid")).ID)
		wants("one scope", logIn(s, b, c, set("scope", "openid phone")).ID, "phone_number")
		if access := apitest.Claims(on.Access); access["email"] != nil || access["name"] != nil {
			t.Errorf("the access token tells %v", access)
		}
		// After a refresh as well, as far as it goes; and of a session from before.
		var refreshed apitest.Tokens
		s.Do(s.RefreshRequest(c, on.Refresh)).Want(http.StatusOK, "").JSON(&refreshed)
		wants("refreshed", refreshed.ID, "name", "preferred_username", "given_name", "email", "email_verified", "team")
		q := s.RefreshRequest(c, refreshed.Refresh)
		q.Form.Set("scope", "openid email")
		s.Do(q).Want(http.StatusOK, "").JSON(&refreshed)
		wants("narrowed", refreshed.ID, "email", "email_verified")
		s.Do(s.RefreshRequest(c, off.Refresh)).Want(http.StatusOK, "").JSON(&refreshed)
		wants("a session from before", refreshed.ID, "name", "preferred_username", "given_name", "email", "email_verified")

		do("PATCH", "/kube", apitest.Fields{"id_token_claims": nil}).Want(http.StatusOK, "")
		s.Clock.Move(2 * time.Second)
		s.Do(s.RefreshRequest(c, refreshed.Refresh)).Want(http.StatusOK, "").JSON(&refreshed)
		wants("off again", refreshed.ID)

		// The JSON login and its refresh know of it, too.
		s.Register(userstore.Client{ID: "app", AuthMethod: userstore.AuthNone, FirstParty: true, IDTokenClaims: true})
		own := s.Login(alice, apitest.Fields{"client_id": "app", "scope": "openid email"})
		wants("the JSON login", own.ID, "email", "email_verified")
		s.Refresh(own.Refresh).Want(http.StatusOK, "").JSON(&own)
		wants("the JSON refresh", own.ID, "email", "email_verified")
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) {
			r.Issuer.Claims = []issuer.CustomClaim{
				{Name: "team", From: "roles", In: []string{issuer.InUserinfo}, Scope: "groups"},
				{Name: "userinfo_only", Value: "x", In: []string{issuer.InUserinfo}}, // of no scope: where its in says
			}
		}
	})
}
