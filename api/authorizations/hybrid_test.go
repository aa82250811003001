package authorizations_test

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// frontTypes are the response types with tokens from the authorization endpoint.
var frontTypes = []string{"id_token", "id_token token", "code id_token", "code token", "code id_token token"}

// answering turns all response types on.
func answering(r *apitest.Replica) { r.Issuer.ResponseTypes = userstore.ResponseTypes }

// eachAnswering runs fn on both stores, with all response types on.
func eachAnswering(t *testing.T, fn func(t *testing.T, s *apitest.Server)) {
	t.Helper()
	apitest.Each(t, fn, apitest.Configured(answering))
}

// frontClient registers a client for response types; none: for all.
func frontClient(s *apitest.Server, id string, types ...string) apitest.Client {
	s.T.Helper()
	if len(types) == 0 {
		types = userstore.ResponseTypes
	}
	c := userstore.Client{ID: id, ClientMetadata: userstore.ClientMetadata{ResponseTypes: types}}
	for _, t := range types {
		for _, g := range userstore.GrantsOfResponse(t) {
			if !slices.Contains(c.GrantTypes, g) {
				c.GrantTypes = append(c.GrantTypes, g)
			}
		}
	}
	if slices.Contains(c.GrantTypes, "authorization_code") {
		c.GrantTypes = append(c.GrantTypes, "refresh_token")
	}
	return s.Register(c)
}

// allow presses the button of the consent page, if there is one.
func allow(p *apitest.Page) *apitest.Page {
	if p.Has("consent-approve") {
		return p.Submit("consent-approve", nil)
	}
	return p
}

// half is the left half of a SHA-256.
func half(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func parameterNames(values url.Values) []string { return slices.Sorted(maps.Keys(values)) }

func TestEveryResponseTypeGivesWhatItNames(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := frontClient(s, "web")
		b := s.SignedIn(alice)
		want := map[string][]string{
			"id_token": {"id_token", "iss", "session_state", "state"},
			"id_token token": {
				"access_token", "expires_in", "id_token", "iss", "scope", "session_state", "state", "token_type",
			},
			"code id_token": {"code", "id_token", "iss", "session_state", "state"},
			"code token": {
				"access_token", "code", "expires_in", "iss", "scope", "session_state", "state", "token_type",
			},
			"code id_token token": {
				"access_token", "code", "expires_in", "id_token", "iss", "scope", "session_state", "state", "token_type",
			},
		}
		for _, responseType := range frontTypes {
			for _, mode := range []string{"", "fragment", "form_post"} {
				t.Run(responseType+" "+mode, func(t *testing.T) {
					s := s.With(t)
					b := b.With(s)
					p := allow(b.Open(authorizePath(c, set("response_type", responseType, "response_mode", mode))))
					var got url.Values
					if mode == "form_post" {
						var action string
						if action, got = p.WantPage(200, "").Posted(); action != c.RedirectURIs[0] {
							t.Errorf("posted to %s", action)
						}
					} else {
						got = p.Fragment()
					}
					if !slices.Equal(parameterNames(got), want[responseType]) {
						t.Fatalf("the response has %q", parameterNames(got))
					}
					if got.Get("state") != "the state" || got.Get("iss") != apitest.IssuerURL {
						t.Errorf("state %q, iss %q", got.Get("state"), got.Get("iss"))
					}
					checkFront(t, s, c, alice, responseType, got)
				})
			}
		}
	})
}

// checkFront checks the tokens of a response, and those that its code is good for.
func checkFront(
	t *testing.T, s *apitest.Server, c apitest.Client, u apitest.User, responseType string, got url.Values,
) {
	t.Helper()
	access, id := got.Get("access_token"), apitest.Claims(got.Get("id_token"))
	sid := ""
	if raw := got.Get("id_token"); raw != "" {
		want := apitest.Fields{"iss": apitest.IssuerURL, "sub": u.ID, "aud": c.ID, "nonce": "the nonce", "acr": "1"}
		for name, value := range want {
			if id[name] != value {
				t.Errorf("%s is %v, want %v", name, id[name], value)
			}
		}
		sid = id["sid"].(string)
		if id["at_hash"] != hashOf(access) || id["c_hash"] != hashOf(got.Get("code")) {
			t.Errorf("at_hash %v, c_hash %v", id["at_hash"], id["c_hash"])
		}
		// Only what gets no access token finds the claims of the scopes in the ID token.
		if alone := responseType == "id_token"; alone != (id["email"] == u.Email) ||
			alone != (id["name"] != nil || id["preferred_username"] != nil || id["email_verified"] != nil) {
			t.Errorf("the ID token says %v", id)
		}
	}
	if access != "" {
		claims := apitest.Claims(access)
		if claims["client_id"] != c.ID || claims["scope"] != "openid profile email" ||
			got.Get("scope") != "openid profile email" ||
			got.Get("token_type") != "Bearer" || got.Get("expires_in") != "600" || sid != "" && claims["sid"] != sid {
			t.Errorf("the access token says %v, the response %q for %q", claims, got.Get("token_type"), got.Get("expires_in"))
		}
		sid = claims["sid"].(string)
		if apitest.Header(access)["typ"] != "at+jwt" {
			t.Errorf("the header is %v", apitest.Header(access))
		}
		if info := userinfoOf(s, apitest.Tokens{Access: access}); info["sub"] != u.ID || info["email"] != u.Email {
			t.Errorf("userinfo says %v", info)
		}
		if seen := s.Introspect(c, access); seen["active"] != true || seen["sid"] != sid {
			t.Errorf("introspection says %v", seen)
		}
	}
	view, err := s.DB.GrantBySession(t.Context(), sid)
	if err != nil || view.Grant.Generation != 0 {
		t.Fatalf("the grant is %+v, %v", view.Grant, err)
	}
	if ends := view.Grant.ExpiresAt.Sub(s.Clock.Now()); ends < 9*time.Minute || ends > 10*time.Minute {
		t.Errorf("the grant ends in %s", ends)
	}
	code := got.Get("code")
	if code == "" {
		return
	}
	s.Refuse(s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {c.RedirectURIs[0]}}), apitest.Refusal{Status: 400, Code: "invalid_grant"}) // PKCE holds
	var tokens apitest.Tokens
	s.Do(s.CodeRequest(c, code)).Want(http.StatusOK, "").JSON(&tokens)
	if late := apitest.Claims(tokens.ID); late["sid"] != sid || late["sub"] != u.ID || late["c_hash"] != nil ||
		late["at_hash"] != half(tokens.Access) || tokens.SessionID() != sid || late["nonce"] != "the nonce" {
		t.Errorf("the token endpoint answers an ID token of %v and a session %s", late, tokens.SessionID())
	}
	s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(http.StatusOK, "").JSON(&tokens)
	if access != "" {
		if seen := s.Introspect(c, access); seen["active"] != true {
			t.Errorf("after the code the access token is %v", seen)
		}
	}
}

// hashOf is what an ID token says of text that comes with it; nil: nothing came.
func hashOf(text string) any {
	if text == "" {
		return nil
	}
	return half(text)
}

// The left half of SHA-512 where the ID token is signed with EdDSA.
func TestHashesFollowTheAlgorithmOfTheIDToken(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		c := frontClient(s, "web")
		row, err := s.DB.ClientByID(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		row.IDTokenAlg = "EdDSA"
		if err := s.DB.UpdateClient(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		asked := authorizePath(c, set("response_type", "code id_token token"))
		got := allow(s.SignedIn(s.SignUp("alice")).Open(asked)).Fragment()
		if alg := apitest.Header(got.Get("id_token"))["alg"]; alg != "EdDSA" {
			t.Fatalf("alg %v", alg)
		}
		id := apitest.Claims(got.Get("id_token"))
		for name, text := range map[string]string{"at_hash": got.Get("access_token"), "c_hash": got.Get("code")} {
			if hash, _ := id[name].(string); len(hash) != 43 || hash != leftOf512(text) {
				t.Errorf("%s is %v", name, id[name])
			}
		}
	})
}

// where all response types are on: what is unknown, what the client is not registered
// for, and what a type with tokens demands.
func TestA09A10RefusalsWhereResponseTypesAreOn(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		all := frontClient(s, "all")
		code := s.WebClient()
		implicit := frontClient(s, "implicit", "id_token", "id_token token")
		half := frontClient(s, "half", "code", "code id_token")
		unfit := s.Register(userstore.Client{ID: "unfit", GrantTypes: []string{"authorization_code"},
			ClientMetadata: userstore.ClientMetadata{ResponseTypes: []string{"code", "id_token"}}})
		for _, row := range []struct {
			name   string
			client apitest.Client
			edit   func(url.Values)
			mode   string
			want   string
		}{
			{"token", all, set("response_type", "token"), "#", "unsupported_response_type"},
			{"none", all, set("response_type", "none"), "?", "unsupported_response_type"},
			{"TOKEN", all, set("response_type", "TOKEN"), "?", "unsupported_response_type"},
			{"missing", all, set("response_type", ""), "?", "invalid_request"},
			{"code none", all, set("response_type", "code none"), "?", "unsupported_response_type"},
			{"code code", all, set("response_type", "code code"), "?", "unsupported_response_type"},
			{"id_token id_token", all, set("response_type", "id_token id_token"), "#", "unsupported_response_type"},
			{"id_token and a space", all, set("response_type", "id_token "), "#", "unsupported_response_type"},
			{"id_token code evil", all, set("response_type", "id_token code evil"), "#", "unsupported_response_type"},

			{"id_token of a client for code", code, set("response_type", "id_token"), "#", "unauthorized_client"},
			{"id_token token of a client for code", code, set("response_type", "token id_token"), "#", "unauthorized_client"},
			{"code id_token of a client for code", code, set("response_type", "code id_token"), "#", "unauthorized_client"},
			{"code token of a client for code", code, set("response_type", "code token"), "#", "unauthorized_client"},
			{"all of a client for code", code, set("response_type", "code id_token token"), "#", "unauthorized_client"},
			{"code of an implicit client", implicit, set("response_type", "code"), "?", "unauthorized_client"},
			{"code token of an implicit client", implicit, set("response_type", "code token"), "#", "unauthorized_client"},
			{"code id_token token of a client for code id_token", half, set("response_type", "code id_token token"), "#",
				"unauthorized_client"},
			{"a type without its grant type", unfit, set("response_type", "id_token"), "#", "unauthorized_client"},
			{"the same by form_post", code, set("response_type", "id_token", "response_mode", "form_post"), "form_post",
				"unauthorized_client"},

			{"A-10 a query for id_token", all, set("response_type", "id_token", "response_mode", "query"), "#",
				"invalid_request"},
			{"A-10 a query for code token", all, set("response_type", "code token", "response_mode", "query"), "#",
				"invalid_request"},
			{"A-10 a query for code id_token token", all, set("response_type", "code id_token token", "response_mode", "query"),
				"#", "invalid_request"},
			{"A-10 web_message", all, set("response_type", "id_token", "response_mode", "web_message"), "#", "invalid_request"},
			{"A-10 fragment.jwt", all, set("response_type", "id_token", "response_mode", "fragment.jwt"), "#",
				"invalid_request"},
			{"A-10 query.jwt for code", all, set("response_mode", "query.jwt"), "?", "invalid_request"},

			{"no nonce for id_token", all, set("response_type", "id_token", "nonce", ""), "#", "invalid_request"},
			{"no nonce for id_token token", all, set("response_type", "id_token token", "nonce", ""), "#", "invalid_request"},
			{"no nonce for code id_token", all, set("response_type", "code id_token", "nonce", ""), "#", "invalid_request"},
			{"no nonce for code id_token token", all, set("response_type", "code id_token token", "nonce", ""), "#",
				"invalid_request"},
			{"no nonce by form_post", all, set("response_type", "id_token", "nonce", "", "response_mode", "form_post"),
				"form_post", "invalid_request"},
			{"A-12 no PKCE for code id_token", all, set("response_type", "code id_token", "code_challenge", "",
				"code_challenge_method", ""), "#", "invalid_request"},
			{"A-12 plain for code token", all, set("response_type", "code token", "code_challenge_method", "plain"), "#",
				"invalid_request"},
			{"A-13 a challenge that is none", all, set("response_type", "code id_token", "code_challenge", "short"), "#",
				"invalid_request"},
			{"no openid for id_token", all, set("response_type", "id_token", "scope", "profile"), "#", "invalid_scope"},
			{"no openid for code id_token", all, set("response_type", "code id_token", "scope", "profile"), "#",
				"invalid_scope"},
			{"A-24 no scope", all, set("response_type", "code token", "scope", ""), "#", "invalid_scope"},
			{"A-19 nobody logged in", all, set("response_type", "id_token token", "prompt", "none"), "#", "login_required"},
			{"A-21 max_age", all, set("response_type", "id_token", "max_age", "-1"), "#", "invalid_request"},
			{"A-25 a resource", all, set("response_type", "code token", "resource", "https://evil.test"), "#", "invalid_target"},
			{"A-16 markup in the state", all, set("response_type", "id_token", "nonce", "", "state",
				"\"><script>\r\nX:1&code=x#y?ü"), "#", "invalid_request"},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				sent := url.Values{}
				path := authorizePath(row.client, row.edit, func(q url.Values) { sent = q })
				var p *apitest.Page
				s.Unchanged(func() { p = s.Browser().Open(path) })
				switch row.mode {
				case "form_post":
					_, posted := p.WantPage(http.StatusOK, "").Posted()
					checkRefusal(t, posted, sent, row.want)
				case "#":
					checkRefusal(t, p.Fragment(), sent, row.want)
				default:
					if strings.Contains(p.To, "#") {
						t.Errorf("sent to %q", p.To)
					}
					checkRefusal(t, p.Query(), sent, row.want)
				}
			})
		}
		// Pushed, the same is said at once.
		for responseType, want := range map[string]string{
			"token": "unsupported_response_type", "id_token": "unauthorized_client",
		} {
			s.Refuse(pushRequest(s, code, set("response_type", responseType)), apitest.Refusal{Status: 400, Code: want})
		}
		s.Refuse(pushRequest(s, all, set("response_type", "id_token", "nonce", "")),
			apitest.Refusal{Status: 400, Code: "invalid_request"})
	})
}

// A type is on if the configuration says so, whatever the client is registered for.
func TestA09ATypeThatIsTurnedOff(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := frontClient(s, "web")
		b := s.SignedIn(s.SignUp("alice"))
		page := b.Open(authorizePath(c, set("response_type", "code id_token"))).WantPage(200, "consent-approve")
		refused := func(p *apitest.Page) {
			t.Helper()
			got := p.Fragment()
			got.Del("session_state") // of somebody who is logged in
			checkRefusal(t, got, url.Values{"state": {"the state"}}, "unsupported_response_type")
		}
		refused(b.Open(authorizePath(c, set("response_type", "id_token"))))
		// Turned off between the page and the answer.
		for _, r := range s.Replicas {
			r.Issuer.ResponseTypes = nil
		}
		s.Unchanged(func() { refused(page.Submit("consent-approve", nil)) })
	}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.ResponseTypes = []string{"code", "code id_token"} }))
}

// fragment is for code as well, where discovery lists it.
func TestA10FragmentForCodeWhereItIsOn(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		got := allow(s.SignedIn(s.SignUp("alice")).Open(authorizePath(c, set("response_mode", "fragment")))).Fragment()
		if !slices.Equal(parameterNames(got), []string{"code", "iss", "session_state", "state"}) {
			t.Fatalf("the response has %q", parameterNames(got))
		}
		s.Do(s.CodeRequest(c, got.Get("code"))).Want(200, "")
	})
}

// Discovery lists what is on, and everything that it lists works.
func TestDiscoveryListsResponseTypesThatWork(t *testing.T) {
	const always = "authorization_code refresh_token client_credentials urn:ietf:params:oauth:grant-type:device_code"
	for name, types := range map[string][]string{
		"none": nil, "hybrid": {"code", "code id_token"}, "all": userstore.ResponseTypes,
	} {
		t.Run(name, func(t *testing.T) {
			s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) { r.Issuer.ResponseTypes = types }})
			var m issuer.Metadata
			s.Do(apitest.Request{Path: "/.well-known/openid-configuration"}).Want(200, "").JSON(&m)
			want := map[string][]string{
				"none":   {"code", "query form_post", always},
				"hybrid": {"code,code id_token", "query fragment form_post", always + " implicit"},
				"all": {"code,id_token,id_token token,code id_token,code token,code id_token token", "query fragment form_post",
					always + " implicit"},
			}[name]
			got := []string{strings.Join(m.ResponseTypesSupported, ","), strings.Join(m.ResponseModesSupported, " "),
				strings.Join(m.GrantTypesSupported, " ")}
			if !slices.Equal(got, want) {
				t.Fatalf("discovery says %q, want %q", got, want)
			}
			c := frontClient(s, "web")
			b := s.SignedIn(s.SignUp("alice"))
			for _, responseType := range m.ResponseTypesSupported {
				for _, mode := range m.ResponseModesSupported {
					p := allow(b.Open(authorizePath(c, set("response_type", responseType, "response_mode", mode))))
					var got url.Values
					switch {
					case mode == "query" && responseType != "code":
						if e := p.Fragment().Get("error"); e != "invalid_request" {
							t.Errorf("%s in a query: %q", responseType, e)
						}
						continue
					case mode == "query":
						got = p.Query()
					case mode == "fragment":
						got = p.Fragment()
					default:
						_, got = p.WantPage(200, "").Posted()
					}
					for _, word := range strings.Fields(responseType) {
						if word == "token" {
							word = "access_token"
						}
						if got.Get(word) == "" {
							t.Errorf("%s by %s: no %s in %q", responseType, mode, word, parameterNames(got))
						}
					}
				}
			}
		})
	}
}

// Words have no order.
func TestTheWordsOfAResponseTypeHaveNoOrder(t *testing.T) {
	eachAnswering(t, func(t *testing.T, s *apitest.Server) {
		c := frontClient(s, "web")
		b := s.SignedIn(s.SignUp("alice"))
		for _, responseType := range []string{"token id_token code", "id_token code token", "code token id_token"} {
			got := allow(b.Open(authorizePath(c, set("response_type", responseType)))).Fragment()
			if got.Get("code") == "" || got.Get("id_token") == "" || got.Get("access_token") == "" {
				t.Errorf("%s: %q", responseType, parameterNames(got))
			}
		}
	})
}

// expiresIn is the number of the response.
func expiresIn(t *testing.T, got url.Values) int {
	t.Helper()
	n, err := strconv.Atoi(got.Get("expires_in"))
	if err != nil {
		t.Errorf("expires_in is %q", got.Get("expires_in"))
	}
	return n
}
