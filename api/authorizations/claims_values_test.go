package authorizations_test

import (
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// What comes of a claims parameter (OIDC Core section 5.5): who is let in, what the user is asked
// about, and what userinfo and the ID token then say.
func TestA24ClaimsThatAreRequestedByNameAndValue(t *testing.T) {
	custom := []issuer.CustomClaim{
		{Name: "team", From: "roles", In: []string{issuer.InIDToken, issuer.InUserinfo}, Scope: "groups"},
		{Name: "desk", Value: "d7", In: []string{issuer.InUserinfo}, Scope: "groups"},
		{Name: "badge", Value: "b9", In: []string{issuer.InIDToken, issuer.InUserinfo}, Scope: "read"}, // of a resource
		{Name: "hidden", Value: "h", In: []string{issuer.InAccessToken}, Scope: "groups"},
		{Name: "tenant", Value: "acme", In: []string{issuer.InUserinfo}},
	}
	for _, c := range custom {
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const asksForProfile, asksForEmail, asksForGroups = "see your name", "see your email address", "groups"
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		s.Give(alice, "editor")
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: s.Login(alice).Access,
			Body: apitest.Fields{"name": "Alice A", "nickname": "Al", "zoneinfo": "Europe/Paris"}}).Want(200, "")
		narrow := s.Register(userstore.Client{ID: "narrow", Scopes: []string{"openid", "email"}})
		wide := s.Register(userstore.Client{ID: "wide"})
		for name, row := range map[string]struct {
			client   apitest.Client
			claims   string
			asked    []string
			userinfo apitest.Fields
			idToken  apitest.Fields
		}{
			"nothing": {wide, `{}`, nil, apitest.Fields{}, apitest.Fields{}},
			"a value that is the user's": {wide, `{"userinfo":{"nickname":{"value":"Al"}}}`, []string{asksForProfile},
				apitest.Fields{"nickname": "Al"}, apitest.Fields{}},
			"a value that is not: the claim is told as it is": {wide,
				`{"userinfo":{"nickname":{"essential":true,"value":"Bo"}},"id_token":{"zoneinfo":{"values":["UTC",7,null]}}}`,
				[]string{asksForProfile}, apitest.Fields{"nickname": "Al"}, apitest.Fields{"zoneinfo": "Europe/Paris"}},
			"a value of another type": {wide, `{"id_token":{"nickname":{"value":{"x":[1]}},"name":{"value":null}}}`,
				[]string{asksForProfile}, apitest.Fields{}, apitest.Fields{"nickname": "Al", "name": "Alice A"}},
			"both value and values": {wide, `{"userinfo":{"nickname":{"value":"x","values":["Al","y"]}}}`,
				[]string{asksForProfile}, apitest.Fields{"nickname": "Al"}, apitest.Fields{}},
			"essential claims that the user has not": {wide,
				`{"userinfo":{"birthdate":{"essential":true},"phone_number":{"essential":true,"value":"+49"}}}`,
				[]string{asksForProfile, "see your phone number"}, apitest.Fields{}, apitest.Fields{}},
			"languages are ignored": {wide, `{"userinfo":{"name#ja-Kana-JP":null,"name#de":{"essential":true},"nickname":null}}`,
				[]string{asksForProfile}, apitest.Fields{"nickname": "Al"}, apitest.Fields{}},
			"names that nobody knows, and members": {wide,
				`{"x":7,"UserInfo":3,"userinfo":{"x":{"value":1},"name":{"Essential":7,"VALUE":[],"y":{}}},"id_token":{}}`,
				[]string{asksForProfile}, apitest.Fields{"name": "Alice A"}, apitest.Fields{}},
			"what is no claim about the user": {wide,
				`{"userinfo":{"iss":null,"aud":null,"acr":null,"roles":null},` +
					`"id_token":{"iss":{"value":"x"},"aud":null,"roles":null,"is_staff":null}}`,
				nil, apitest.Fields{}, apitest.Fields{}},
			"auth_time, which is always there": {wide, `{"id_token":{"auth_time":{"essential":true}}}`, nil,
				apitest.Fields{}, apitest.Fields{}},
			"sub and acr": {wide, `{"id_token":{"sub":{"values":["` + bob.ID + `","` + alice.ID + `"]},` +
				`"acr":{"essential":true,"value":"1"}}}`, nil, apitest.Fields{}, apitest.Fields{}},
			"a claim of the operator in both places": {wide, `{"userinfo":{"team":null},"id_token":{"team":{"value":["x"]}}}`,
				[]string{asksForGroups}, apitest.Fields{"team": []string{"editor"}}, apitest.Fields{"team": []string{"editor"}}},
			"a claim of the operator that is only for userinfo": {wide, `{"id_token":{"desk":null}}`, nil,
				apitest.Fields{}, apitest.Fields{}},
			"one of a resource's scope, and one of the access token": {wide,
				`{"userinfo":{"badge":null,"hidden":null},"id_token":{"badge":null,"hidden":null}}`,
				nil, apitest.Fields{}, apitest.Fields{}},
			"a client that is not registered for the scopes": {narrow,
				`{"userinfo":{"team":null,"name":null,"email":null},"id_token":{"team":null,"nickname":null}}`,
				[]string{asksForEmail}, apitest.Fields{"email": alice.Email}, apitest.Fields{}},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				wish := set("scope", "openid", "claims", row.claims, "claims_locales", "ja-Kana-JP xx", "prompt", "consent")
				page := s.SignedIn(alice).Open(authorizePath(row.client, wish)).WantPage(200, "consent-approve")
				for _, text := range []string{asksForProfile, asksForEmail, asksForGroups, "see your phone number", "read"} {
					wanted := strings.Contains(strings.Join(row.asked, "|"), text)
					if asks := strings.Contains(page.Text(), text); asks != wanted {
						t.Errorf("the page asks for %q: %v, want %v: %s", text, asks, wanted, page.Text())
					}
				}
				tokens := s.TokensOf(row.client, page.Submit("consent-approve", nil))
				if tokens.Scope != "openid" {
					t.Errorf("scope %q", tokens.Scope)
				}
				always := apitest.Fields{"sub": alice.ID, "tenant": "acme"}
				maps.Copy(row.userinfo, always)
				if got := userinfoOf(s, tokens); got.Text() != row.userinfo.Text() {
					t.Errorf("userinfo says %s, want %s", got.Text(), row.userinfo.Text())
				}
				id := apitest.Claims(tokens.ID)
				for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash",
					"sid"} {
					if id[name] == nil {
						t.Errorf("the ID token has no %s", name)
					}
					delete(id, name)
				}
				if id.Text() != row.idToken.Text() {
					t.Errorf("the ID token says %s, want %s", id.Text(), row.idToken.Text())
				}
			})
		}

		// What a client may not have when it asks is not given later either, without a question.
		wish := set("scope", "openid", "claims", `{"userinfo":{"name":null,"email":null}}`)
		page := s.SignedIn(alice).Open(authorizePath(narrow, wish, set("prompt", "consent")))
		tokens := s.TokensOf(narrow, page.Submit("consent-approve", nil))
		c, err := s.DB.ClientByID(t.Context(), "narrow")
		if err != nil {
			t.Fatal(err)
		}
		c.Scopes = nil
		if err := s.DB.UpdateClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		s.Clock.Move(2 * time.Second) // the client is cached so long
		if got := userinfoOf(s, tokens); got["name"] != nil || got["email"] != alice.Email {
			t.Errorf("after the client was registered for more, userinfo says %s", got.Text())
		}
		wantError(t, s.SignedIn(alice).Open(authorizePath(narrow, wish, set("prompt", "none"))), "consent_required")
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) {
			r.Issuer.Claims = custom
			r.Issuer.Resources = append(r.Issuer.Resources, issuer.Resource{URI: "https://read.test", Scopes: []string{"read"}})
		}
	})
}

// sub and acr are conditions on the login (OIDC Core sections 5.5.1 and 5.5.1.1).
func TestA22ClaimsThatInsistOnAUser(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		b, p := s.Allowed(alice, c)
		hint := s.TokensOf(c, p).ID
		const unmet = "unmet_authentication_requirements"
		in := func(place, condition string) string { return `{"` + place + `":{"sub":` + condition + `}}` }
		text := func(id string) string { return `"` + id + `"` }
		either := `{"values":[` + text(bob.ID) + `,` + text(alice.ID) + `]}`
		for name, row := range map[string]struct{ claims, hint, want string }{
			"no condition":        {in("id_token", `null`), "", ""},
			"essential, no value": {in("userinfo", `{"essential":true}`), "", ""},
			"this user":           {in("userinfo", `{"value":`+text(alice.ID)+`}`), "", ""},
			"another user":        {in("userinfo", `{"value":`+text(bob.ID)+`}`), "", "login_required"},
			"one of two":          {in("id_token", either), "", ""},
			"one of two others":   {in("id_token", `{"values":["x",`+text(bob.ID)+`]}`), "", "login_required"},
			"value and values, this user": {in("id_token", `{"value":`+text(alice.ID)+`,"values":["x",`+text(alice.ID)+`]}`), "",
				""},
			"value and values, contradictory": {in("id_token", `{"value":`+text(alice.ID)+`,"values":["x"]}`), "",
				"login_required"},
			"two places, contradictory": {`{"id_token":{"sub":{"value":` + text(alice.ID) + `}},"userinfo":{"sub":{"value":` +
				text(bob.ID) + `}}}`, "", "login_required"},
			"one of two, and the hint of one":     {in("id_token", either), hint, ""},
			"another user, and the hint of this":  {in("id_token", `{"value":`+text(bob.ID)+`}`), hint, "invalid_request"},
			"a number":                            {in("id_token", `{"value":7}`), "", "invalid_request"},
			"null, which is no user":              {in("id_token", `{"value":null}`), "", "invalid_request"},
			"a list in which one is not text":     {in("userinfo", `{"values":[`+text(alice.ID)+`,7]}`), "", "invalid_request"},
			"an empty list":                       {in("id_token", `{"values":[]}`), "", "invalid_request"},
			"a value that stands where a list is": {in("id_token", `{"values":`+text(alice.ID)+`}`), "", "invalid_request"},
			"acr that nobody reaches":             {`{"id_token":{"acr":{"essential":true,"value":"7"}}}`, "", unmet},
			"acr whose values exclude another":    {`{"id_token":{"acr":{"essential":true,"value":"1","values":["2"]}}}`, "", unmet},
			"acr of another type":                 {`{"id_token":{"acr":{"essential":true,"values":[1,2]}}}`, "", unmet},
			"acr as a wish that nobody reaches":   {`{"id_token":{"acr":{"values":["7",1]}}}`, "", ""},
			"acr of userinfo, which has none":     {`{"userinfo":{"acr":{"essential":true,"value":"7"}}}`, "", ""},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				p := b.With(s).Open(authorizePath(c, set("claims", row.claims, "id_token_hint", row.hint, "prompt", "none")))
				if row.want == "" {
					wantCode(t, p)
				} else {
					wantError(t, p, row.want)
				}
			})
		}
	})
}

// The shapes of the parameter. A member that is not understood is ignored (OIDC Core section 5.5);
// one that is understood and cannot be read is refused.
func TestShapesOfTheClaimsParameter(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		for name, row := range map[string]struct{ claims, want string }{
			"an object":                    {`{}`, ""},
			"members that nobody knows":    {`{"x":[],"ID_TOKEN":7}`, ""},
			"null":                         {`{"id_token":{"name":null}}`, ""},
			"an empty object":              {`{"id_token":{"name":{}}}`, ""},
			"unknown members of a request": {`{"id_token":{"name":{"x":null,"Values":7}}}`, ""},
			"any value":                    {`{"id_token":{"name":{"value":{"a":[{"b":1e3}]},"values":[null,"x",[]]}}}`, ""},
			"64 claims":                    {`{"userinfo":{` + claimNames(64) + `}}`, ""},
			"65 claims":                    {`{"userinfo":{` + claimNames(65) + `}}`, "invalid_request"},
			"more than 4 KiB":              {`{"x":"` + strings.Repeat("y", 4<<10) + `"}`, "invalid_request"},
			"a text":                       {`"userinfo"`, "invalid_request"},
			"null for all":                 {`null`, "invalid_request"},
			"null for a place":             {`{"id_token":null}`, "invalid_request"},
			"a list for a place":           {`{"userinfo":["name"]}`, "invalid_request"},
			"true for a claim":             {`{"userinfo":{"name":true}}`, "invalid_request"},
			"a text for a claim":           {`{"userinfo":{"name":"x"}}`, "invalid_request"},
			"a list for a claim":           {`{"userinfo":{"name":[]}}`, "invalid_request"},
			"essential as text":            {`{"userinfo":{"name":{"essential":"true"}}}`, "invalid_request"},
			"essential as a number":        {`{"userinfo":{"name":{"essential":1}}}`, "invalid_request"},
			"essential as null":            {`{"userinfo":{"name":{"essential":null}}}`, "invalid_request"},
			"values as text":               {`{"userinfo":{"name":{"values":"x"}}}`, "invalid_request"},
			"values as an object":          {`{"userinfo":{"name":{"values":{}}}}`, "invalid_request"},
			"values as null":               {`{"userinfo":{"name":{"values":null}}}`, "invalid_request"},
			"no values":                    {`{"userinfo":{"name":{"values":[]}}}`, "invalid_request"},
			"a claim twice":                {`{"userinfo":{"name":null,"name":{}}}`, "invalid_request"},
			"a condition twice":            {`{"userinfo":{"name":{"value":1,"value":2}}}`, "invalid_request"},
			"a place twice":                {`{"id_token":{},"id_token":{}}`, "invalid_request"},
			"deeper than anything": {`{"userinfo":{"name":{"value":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}}}`,
				"invalid_request"},
			"half":                           {`{"userinfo":{`, "invalid_request"},
			"two":                            {`{} {}`, "invalid_request"},
			"U+0000 in a value":              {`{"userinfo":{"name":{"value":"\u0000"}}}`, "invalid_request"},
			"a condition that nobody states": {`{"userinfo":{"name":{"value":"x","essential":false}}}`, ""},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				p := s.Browser().Open(authorizePath(c, set("claims", row.claims)))
				if row.want == "" {
					p.WantPage(200, "login-submit")
				} else {
					wantError(t, p, row.want)
				}
			})
		}
	})
}

// claimNames returns n requested claims.
func claimNames(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = `"claim` + strings.Repeat("x", i) + `":null`
	}
	return strings.Join(list, ",")
}

// Claims of userinfo need an access token (OIDC Core section 5.5): where there is none, nobody is asked
// about them, and the ID token holds what was requested for it.
func TestA24ClaimsOfUserinfoWithoutAnAccessToken(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: s.Login(alice).Access,
			Body: apitest.Fields{"nickname": "Al"}}).Want(200, "")
		c := frontClient(s, "front")
		wish := func(response string) func(url.Values) {
			return set("response_type", response, "scope", "openid", "code_challenge", "", "code_challenge_method", "",
				"claims", `{"userinfo":{"email":{"essential":true},"sub":{"value":"`+alice.ID+`"}},"id_token":{"nickname":{"value":"x"}}}`)
		}
		for response, asksForEmail := range map[string]bool{"id_token": false, "id_token token": true} {
			page := s.SignedIn(alice).Open(authorizePath(c, wish(response), set("prompt", "consent"))).WantPage(200, "consent-approve")
			if got := strings.Contains(page.Text(), "see your email address"); got != asksForEmail {
				t.Errorf("%s: the page asks for the email address: %v: %s", response, got, page.Text())
			}
			answer := page.Submit("consent-approve", nil)
			id := apitest.Claims(answer.Fragment().Get("id_token"))
			if id["nickname"] != "Al" || id["email"] != nil || id["sub"] != alice.ID {
				t.Errorf("%s: the ID token says %s", response, id.Text())
			}
			if access := answer.Fragment().Get("access_token"); access != "" {
				var told apitest.Fields
				s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: access}).Want(200, "").JSON(&told)
				if want := (apitest.Fields{"sub": alice.ID, "email": alice.Email}); told.Text() != want.Text() {
					t.Errorf("%s: userinfo says %s", response, told.Text())
				}
			}
		}
		bob := s.SignedIn(s.SignUp("bob"))
		page := bob.Open(authorizePath(c, wish("id_token"), set("prompt", "none")))
		if got := page.Fragment().Get("error"); got != "login_required" {
			t.Errorf("another user: %q", got)
		}
	})
}
