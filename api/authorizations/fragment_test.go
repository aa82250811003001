package authorizations_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// A client that asks for a token from the authorization endpoint reads its fragment, refusals too
// (OAuth 2.0 Multiple Response Type Encoding Practices section 2.1). A response mode that is
// supported and named wins.
func TestA09RefusalsComeWhereTheResponseTypeHasThem(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "web", ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{
			"https://web.test/cb", "https://web.test/cb?tenant=a%20b", "com.example.app:/cb",
		}}})
		for _, row := range []struct {
			name string
			edit func(url.Values)
			more string
			mode string // fragment, query or form_post
			want string
		}{
			{"token", set("response_type", "token"), "", "fragment", "unsupported_response_type"},
			{"id_token", set("response_type", "id_token"), "", "fragment", "unsupported_response_type"},
			{"id_token token", set("response_type", "id_token token"), "", "fragment", "unsupported_response_type"},
			{"code token", set("response_type", "code token"), "", "fragment", "unsupported_response_type"},
			{"code id_token", set("response_type", "code id_token"), "", "fragment", "unsupported_response_type"},
			{"the words in another order", set("response_type", "token id_token code"), "", "fragment",
				"unsupported_response_type"},
			{"with a word that nobody knows", set("response_type", "code evil token"), "", "fragment",
				"unsupported_response_type"},
			{"none", set("response_type", "none"), "", "query", "unsupported_response_type"},
			{"a word that only looks like it", set("response_type", "TOKEN"), "", "query", "unsupported_response_type"},
			{"missing", set("response_type", ""), "", "query", "invalid_request"},
			{"sent twice", set("response_type", "token"), "&response_type=token", "query", "invalid_request"},

			{"fragment named", set("response_type", "token", "response_mode", "fragment"), "", "fragment",
				"unsupported_response_type"},
			{"query named", set("response_type", "token", "response_mode", "query"), "", "query", "unsupported_response_type"},
			{"form_post named", set("response_type", "code id_token", "response_mode", "form_post"), "", "form_post",
				"unsupported_response_type"},
			{"a mode that is not supported", set("response_type", "id_token", "response_mode", "web_message"), "", "fragment",
				"invalid_request"},
			{"form_post to an app's own scheme", set("response_type", "token", "response_mode", "form_post", "redirect_uri",
				"com.example.app:/cb"), "", "fragment", "invalid_request"},
			{"A-10 fragment for code", set("response_mode", "fragment"), "", "query", "invalid_request"},

			{"what else is wrong", set("response_type", "token"), "&scope=x", "fragment", "invalid_request"},
			{"a request object that names form_post", set("response_type", "id_token", "request",
				"e30.eyJyZXNwb25zZV9tb2RlIjoiZm9ybV9wb3N0In0."), "", "form_post", "request_not_supported"},
			{"an app's own scheme", set("response_type", "token", "redirect_uri", "com.example.app:/cb"), "", "fragment",
				"unsupported_response_type"},
			{"a registered query stays in the query", set("response_type", "token", "redirect_uri",
				"https://web.test/cb?tenant=a%20b"), "", "fragment", "unsupported_response_type"},
			{"A-16 markup in the state", set("response_type", "token", "state", "\"><script>\r\nX:1&code=x#y?ü"), "", "fragment",
				"unsupported_response_type"},
			{"no state", set("response_type", "token", "state", ""), "", "fragment", "unsupported_response_type"},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				sent := url.Values{}
				path := authorizePath(c, row.edit, func(q url.Values) { sent = q }) + row.more
				var p *apitest.Page
				s.Unchanged(func() { p = s.Browser().Open(path) })

				answered := sent.Get("redirect_uri")
				if row.mode == "form_post" {
					action, posted := p.WantPage(http.StatusOK, "").Posted()
					if action != answered {
						t.Errorf("posted to %q", action)
					}
					checkRefusal(t, posted, sent, row.want)
					return
				}
				rest, found := strings.CutPrefix(p.To, answered)
				if !found {
					t.Fatalf("sent to %q: %d %.300s", p.To, p.Status, p.Text())
				}
				separator := map[string]string{"query": "?", "fragment": "#"}[row.mode]
				if rest, found = strings.CutPrefix(rest, separator); !found || strings.ContainsAny(rest, "#?") {
					t.Fatalf("sent to %q, want the response in the %s alone", p.To, row.mode)
				}
				values, err := url.ParseQuery(rest)
				if err != nil {
					t.Fatal(err)
				}
				checkRefusal(t, values, sent, row.want)
			})
		}

		// Nothing goes to an address that is not the client's, however the answer would travel.
		ask(t, s, c, []asking{
			{name: "token for a foreign address", edit: set("response_type", "token", "redirect_uri", "https://evil.test/cb"),
				want: "page"},
			{name: "token for a registered address with a fragment",
				edit: set("response_type", "token", "redirect_uri", "https://web.test/cb#x"), want: "page"},
			{name: "id_token of a client that nobody registered", edit: set("response_type", "id_token", "client_id", "evil"),
				want: "page"},
		})
	})
}

// checkRefusal demands a refusal: the code, whose request it answers and who says so, and nothing
// else.
func checkRefusal(t *testing.T, got, sent url.Values, code string) {
	t.Helper()
	want := map[string]string{"error": code, "iss": apitest.IssuerURL, "error_description": got.Get("error_description")}
	if state := sent.Get("state"); state != "" {
		want["state"] = state
	}
	if got.Get("error_description") == "" || len(got) != len(want) {
		t.Errorf("the response has %v", got)
	}
	for name, value := range want {
		if values := got[name]; len(values) != 1 || values[0] != value {
			t.Errorf("%s is %q, want %q", name, values, value)
		}
	}
}
