package flows_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

const (
	rsURI    = "https://rs.example.com"
	slashURI = "https://slash.example.com/" // registered with the slash
	pathURI  = "https://rs.example.com/api"
	anyURI   = "https://any.example.com" // lists no scopes
)

// withResources are the resource servers of these tests, and two claims of the operator's own.
func withResources(o *apitest.Options) {
	o.Resources = []issuer.Resource{
		{URI: rsURI, Scopes: []string{"read", "write"}, IntrospectionClients: []string{"rs"}},
		{URI: slashURI, Scopes: []string{"read"}},
		{URI: pathURI, Scopes: []string{"read"}}, {URI: anyURI},
	}
	o.Configure = func(r *apitest.Replica) {
		r.Issuer.Claims = []issuer.CustomClaim{
			{Name: "groups", From: "roles", In: []string{issuer.InUserinfo, issuer.InIDToken}, Scope: "groups"},
			{Name: "tenant", Value: "acme", In: []string{issuer.InUserinfo},
				Scope: "write"}, // a resource's scope stays a resource's
		}
	}
}

// an app that names scopes which only other providers have can log in all the same. What it
// does not get is nowhere: not on the consent page, not in the answer, not in a token.
func TestA24UnknownScopesAreDropped(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		free := s.Register(userstore.Client{ID: "free", Resources: []string{rsURI}})
		listed := s.Register(userstore.Client{ID: "listed", Scopes: []string{"openid", "email", "groups"}})
		plain := s.Register(userstore.Client{ID: "plain", GrantTypes: []string{userstore.GrantAuthorizationCode}})
		first := s.Register(userstore.Client{ID: "first", FirstParty: true, Scopes: []string{"openid", "email"}})
		b := s.SignedIn(alice)
		for _, row := range []struct {
			name    string
			client  apitest.Client
			asked   string
			granted string
		}{
			{"one that nobody knows", free, "openid nosuch", "openid"},
			{"many", free, "openid " + apitest.ManyScopes(500) + " email", "openid email"},
			{"one of a resource that is not named", free, "openid read", "openid"},
			{"admin, of a third party", free, "openid admin", "openid"},
			{"admin, of a first party that is not registered for it", first, "openid admin", "openid"},
			{"one in other case", free, "openid Email", "openid"},
			{"one that the client is not registered for", listed, "openid profile email", "openid email"},
			{"offline_access without a refresh token", plain, "openid offline_access", "openid"},
			{"openid is not needed", free, "email nosuch", "email"},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				b := b.With(s)
				p := b.Open(authorizePath(row.client,
					set("scope", row.asked, "prompt", "consent"))).WantPage(200, "consent-approve")
				for asked := range strings.FieldsSeq(row.asked) {
					if _, granted := slices.BinarySearch(slices.Sorted(strings.FieldsSeq(row.granted)), asked); !granted &&
						strings.Contains(p.Text(), asked) {
						t.Errorf("the consent page speaks of %s, which is not granted", asked)
					}
				}
				tokens := s.TokensOf(row.client, p.Submit("consent-approve", nil))
				if tokens.Scope != row.granted || apitest.Claims(tokens.Access)["scope"] != row.granted {
					t.Errorf("granted %q, the access token says %v; want %q", tokens.Scope, apitest.Claims(tokens.Access)["scope"],
						row.granted)
				}
				if (tokens.ID != "") != strings.Contains(row.granted, "openid") {
					t.Errorf("ID token %q", tokens.ID)
				}
				if tokens.Refresh == "" {
					return
				}
				// An app names the same scopes at refresh.
				again := s.RefreshRequest(row.client, tokens.Refresh)
				again.Form.Set("scope", row.asked)
				var refreshed apitest.Tokens
				s.Do(again).Want(http.StatusOK, "").JSON(&refreshed)
				if refreshed.Scope != row.granted {
					t.Errorf("a refresh grants %q, want %q", refreshed.Scope, row.granted)
				}
				// Of those it never had, none is left.
				again = s.RefreshRequest(row.client, refreshed.Refresh)
				again.Form.Set("scope", "nosuch admin")
				s.Unchanged(func() { s.Do(again).Want(http.StatusBadRequest, "invalid_scope") })
			})
		}
		// What cannot ask a user does not drop: a misspelt scope is found out at once.
		for _, scope := range []string{"nosuch", "read nosuch", "openid", "groups"} {
			q := s.Authenticated(free, "/oauth2/token",
				url.Values{"grant_type": {"client_credentials"}, "scope": {scope}, "resource": {rsURI}})
			s.Unchanged(func() { s.Do(q).Want(http.StatusBadRequest, "invalid_scope") })
		}
	}, withResources)
}

// A scope that the operator's claims give a meaning is one that can be asked for.
func TestAScopeOfClaimsCanBeAskedFor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Give(alice, "editor")
		free := s.Register(userstore.Client{ID: "free", Resources: []string{rsURI}})
		listed := s.Register(userstore.Client{ID: "listed", Scopes: []string{"openid", "groups"}, Resources: []string{rsURI}})
		without := s.Register(userstore.Client{ID: "without", Scopes: []string{"openid"}})
		b := s.SignedIn(alice)
		for _, c := range []apitest.Client{free, listed} {
			for _, resource := range []string{"", rsURI} {
				p := b.Open(authorizePath(c, set("scope", "openid groups", "resource", resource, "prompt", "consent")))
				if !strings.Contains(p.Text(), "see what this service knows about you as \u2068groups") &&
					!strings.Contains(p.Text(), "see what this service knows about you as groups") {
					t.Errorf("the consent page says %q", p.Text())
				}
				tokens := s.TokensOf(c, p.Submit("consent-approve", nil))
				if tokens.Scope != "openid groups" || apitest.Claims(tokens.ID)["groups"] == nil {
					t.Errorf("%s at %q: granted %q, ID token %v", c.ID, resource, tokens.Scope, apitest.Claims(tokens.ID))
				}
				if told := userinfoOf(s, tokens); told["groups"] == nil {
					t.Errorf("%s at %q: userinfo tells %v", c.ID, resource, told)
				}
			}
		}
		if tokens := logIn(s, b, without, set("scope", "openid groups")); tokens.Scope != "openid" ||
			apitest.Claims(tokens.ID)["groups"] != nil {
			t.Errorf("granted %q to a client that is not registered for it", tokens.Scope)
		}
		// What was allowed of the user is allowed at any resource, and remembered.
		b2, c := s.SignedIn(alice), s.Register(userstore.Client{ID: "later", Resources: []string{rsURI}})
		logIn(s, b2, c, set("scope", "openid groups"))
		p := b2.Open(authorizePath(c, set("scope", "openid groups", "prompt", "none")))
		wantCode(t, p)
		// A scope of a resource that a claim names as well is granted with the resource only.
		if tokens := logIn(s, b, free, set("scope", "openid write")); tokens.Scope != "openid" ||
			userinfoOf(s, tokens)["tenant"] != nil {
			t.Errorf("granted %q without its resource", tokens.Scope)
		}
		if tokens := logIn(s, b, free, set("scope", "openid write", "resource", rsURI)); tokens.Scope != "openid write" ||
			userinfoOf(s, tokens)["tenant"] != "acme" {
			t.Errorf("granted %q with its resource", tokens.Scope)
		}
		var metadata struct {
			Scopes []string `json:"scopes_supported"`
		}
		s.Do(apitest.Request{Path: "/.well-known/openid-configuration"}).Want(200, "").JSON(&metadata)
		if !slices.Contains(metadata.Scopes, "groups") {
			t.Errorf("scopes_supported %v", metadata.Scopes)
		}
	}, withResources)
}

// RFC 6749 section 3.3: a request that names a resource and no scope gets the scopes that the
// client may have there.
func TestAResourceWithoutAScopeGetsItsOwn(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		all := []string{rsURI, slashURI, pathURI, anyURI}
		free := s.Register(userstore.Client{ID: "free", Resources: all})
		reader := s.Register(userstore.Client{ID: "reader", Scopes: []string{"openid", "groups", "read", "own"},
			Resources: all})
		other := s.Register(userstore.Client{ID: "other", Scopes: []string{"openid"}, Resources: all})
		first := s.Register(userstore.Client{ID: "first", FirstParty: true, Resources: all})
		b := s.SignedIn(alice)
		for _, row := range []struct {
			name      string
			client    apitest.Client
			resources []string
			granted   string
		}{
			{"all that the resource has", free, []string{rsURI}, "read write"},
			{"as far as the client is registered for it", reader, []string{rsURI}, "read"},
			{"two resources", free, []string{rsURI, slashURI}, "read write"},
			{"a resource that lists none, of a client that does", reader, []string{anyURI}, "read own"},
			{"neither lists any", free, []string{anyURI}, ""},
			{"a first party does not get admin", first, []string{rsURI}, "read write"},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				tokens := logIn(s, b.With(s), row.client, set("scope", ""), func(q url.Values) { q["resource"] = row.resources })
				said, _ := apitest.Claims(tokens.Access)["scope"].(string)
				if tokens.Scope != row.granted || said != row.granted || tokens.ID != "" {
					t.Errorf("granted %q, the access token says %q; want %q", tokens.Scope, said, row.granted)
				}
				var own apitest.Tokens
				s.Do(s.Authenticated(row.client, "/oauth2/token",
					url.Values{"grant_type": {"client_credentials"}, "resource": row.resources})).Want(http.StatusOK, "").JSON(&own)
				if own.Scope != row.granted {
					t.Errorf("in its own name %q, want %q", own.Scope, row.granted)
				}
				var refreshed apitest.Tokens
				s.Do(s.RefreshRequest(row.client, tokens.Refresh)).Want(http.StatusOK, "").JSON(&refreshed)
				if refreshed.Scope != row.granted {
					t.Errorf("after a refresh %q, want %q", refreshed.Scope, row.granted)
				}
			})
		}
		wantError(t, b.Open(authorizePath(other, set("scope", "", "resource", rsURI))), "invalid_scope")
		wantError(t, b.Open(authorizePath(free, set("scope", ""))), "invalid_scope")
		wantError(t, b.Open(authorizePath(free, set("scope", "", "resource", "https://evil.test"))), "invalid_target")
	}, withResources)
}

// Where a resource is a host without a path, it may be written with the slash and without. aud says
// it as it is registered.
func TestTheSlashBehindAHostIsNoOtherResource(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := s.Register(userstore.Client{ID: "web", Resources: []string{rsURI + "/", "https://slash.example.com", pathURI}})
		rs := s.Register(userstore.Client{ID: "rs"})
		b := s.SignedIn(alice)
		for asked, aud := range map[string]string{
			rsURI: rsURI, rsURI + "/": rsURI, slashURI: slashURI, "https://slash.example.com": slashURI, pathURI: pathURI,
		} {
			tokens := logIn(s, b, c, set("scope", "openid read", "resource", asked))
			if got := apitest.Claims(tokens.Access)["aud"]; got != aud {
				t.Errorf("%s: aud %v, want %s", asked, got, aud)
			}
			// At redemption and at refresh as well.
			for _, spelling := range []string{asked, aud} {
				q := s.RefreshRequest(c, tokens.Refresh)
				q.Form.Set("resource", spelling)
				s.Do(q).Want(http.StatusOK, "").JSON(&tokens)
				if got := apitest.Claims(tokens.Access)["aud"]; got != aud {
					t.Errorf("%s refreshed with %s: aud %v, want %s", asked, spelling, got, aud)
				}
			}
			p := b.Open(authorizePath(c, set("scope", "openid read", "resource", aud)))
			q := s.CodeRequest(c, wantCode(t, p))
			q.Form.Set("resource", asked)
			s.Do(q).Want(http.StatusOK, "").JSON(&tokens)
			if got := apitest.Claims(tokens.Access)["aud"]; got != aud {
				t.Errorf("%s at redemption: aud %v, want %s", asked, got, aud)
			}
			var own apitest.Tokens
			s.Do(s.Authenticated(c, "/oauth2/token",
				url.Values{"grant_type": {"client_credentials"}, "resource": {asked}})).Want(http.StatusOK, "").JSON(&own)
			if got := apitest.Claims(own.Access)["aud"]; got != aud {
				t.Errorf("%s in the client's own name: aud %v, want %s", asked, got, aud)
			}
			if active := s.Introspect(rs, tokens.Access)["active"]; active != (aud == rsURI) {
				t.Errorf("%s: an introspection client of %s is told active %v", asked, rsURI, active)
			}
		}
		// A client is registered for the resource by either spelling, and shown with the registered one.
		_, admin := s.Admin("root")
		var made userstore.ClientDocument
		body := apitest.Fields{"client_name": "App", "redirect_uris": []string{"https://app.test/cb"},
			"resources": []string{rsURI + "/", "https://slash.example.com", pathURI}}
		s.AdminOf(admin.Access)("POST", "", body).Want(http.StatusCreated, "").JSON(&made)
		s.Secret(made.ClientSecret)
		if !slices.Equal(made.Resources, []string{rsURI, slashURI, pathURI}) {
			t.Errorf("registered for %v", made.Resources)
		}
		s.AdminOf(admin.Access)("POST", "",
			body.With("resources", []string{pathURI + "/"})).Want(http.StatusBadRequest, "validation_error")
		// Both spellings in one request are one resource.
		tokens := logIn(s, b, c, func(q url.Values) {
			q["resource"], q["scope"] = []string{rsURI, rsURI + "/"},
				[]string{"read"}
		})
		if got := apitest.Claims(tokens.Access)["aud"]; got != rsURI {
			t.Errorf("both spellings: aud %v", got)
		}
		for _, no := range []string{rsURI + "//", pathURI + "/", "https://RS.example.com", "http://rs.example.com",
			rsURI + "/?", rsURI + "/#", rsURI + ":443"} {
			wantError(t, b.Open(authorizePath(c, set("scope", "read", "resource", no))), "invalid_target")
			q := s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "resource": {no}})
			s.Unchanged(func() { s.Do(q).Want(http.StatusBadRequest, "invalid_target") })
			q = s.RefreshRequest(c, tokens.Refresh)
			q.Form.Set("resource", no)
			s.Unchanged(func() { s.Do(q).Want(http.StatusBadRequest, "invalid_target") })
		}
	}, withResources)
}
