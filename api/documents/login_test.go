package documents_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

func TestALoginByMetadataDocument(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		c, asked := h.Publish("/client.json", h.Metadata("/client.json")), h.Asked("")
		host := strings.TrimPrefix(h.URL, "https://")
		alice, b := s.SignUp("alice"), s.Browser()
		page := b.SignIn(apitest.AuthorizePath(c), alice).WantPage(200, "consent-approve")
		for _, text := range []string{host + " Not verified", "you go back to editor.test", "Allow Editor access"} {
			if !strings.Contains(page.Text(), text) {
				t.Errorf("A-34: the consent page does not say %q: %s", text, page.Text())
			}
		}
		if got := rows(s); got != nil {
			t.Errorf("before anything is allowed there are the rows %v", got)
		}
		page.Submit("consent-deny", nil)
		if got := rows(s); got != nil {
			t.Errorf("what was denied left the rows %v", got)
		}

		page = b.Open(apitest.AuthorizePath(c)).WantPage(200, "consent-approve").Submit("consent-approve", nil)
		if got := rows(s); !slices.Equal(got, []string{c.ID}) {
			t.Fatalf("the rows are %v", got)
		}
		made := row(s, c)
		if made.Name != "Editor" || made.FirstParty || !made.SelfMade() || !made.DocumentAt.Equal(s.Clock.Now()) || made.SecretHash != "" {
			t.Errorf("the row is %+v", made)
		}
		entries, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 10, Name: audit.ClientCreated})
		if err != nil || len(entries) != 1 || entries[0].Actor.ID != alice.ID || entries[0].Target.ID != c.ID {
			t.Errorf("the audit entries are %+v, %v", entries, err)
		}
		tokens := s.TokensOf(c, page)
		if claims := apitest.Claims(tokens.Access); claims["client_id"] != c.ID {
			t.Errorf("the access token is for %v", claims["client_id"])
		}
		if claims := apitest.Claims(tokens.ID); claims["aud"] != c.ID {
			t.Errorf("the ID token is for %v", claims["aud"])
		}
		s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "").JSON(&tokens)

		// The https redirect is remembered: no second question, and no second row.
		if page = b.Open(apitest.AuthorizePath(c)); page.Query().Get("code") == "" {
			t.Errorf("the second login got %q", page.To)
		}
		if got := h.Asked("") - asked; got != 1 {
			t.Errorf("the document was fetched %d times", got)
		}
		s.Do(s.Authenticated(c, "/oauth2/revoke", url.Values{"token": {tokens.Refresh}})).Want(200, "")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
	})
}

// Of what a document lists, the client has what is usable here: it is written for many servers.
func TestADocumentForManyServers(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		c := h.Publish("/client.json", h.Metadata("/client.json").
			With("redirect_uris", []string{"https://editor.test/cb", "cursor://anysphere/cb", "http://localhost/cb"}).
			With("grant_types", []string{"authorization_code", "refresh_token", "client_credentials", "urn:x:none-such"}).
			With("response_types", []string{"code", "code token"}).With("scope", "openid profile email mcp:tools").
			With("software_version", "1").With("x_unknown", []any{1}))
		b, page := s.Allowed(s.SignUp("alice"), c)
		s.TokensOf(c, page)
		got := row(s, c)
		for _, list := range []struct{ got, want []string }{
			{got.RedirectURIs, []string{"https://editor.test/cb", "http://localhost/cb"}},
			{got.GrantTypes, []string{"authorization_code", "refresh_token"}},
			{got.ResponseTypes, []string{"code"}},
			{got.Scopes, []string{"openid", "profile", "email"}},
		} {
			if !slices.Equal(list.got, list.want) {
				t.Errorf("the row has %q, want %q", list.got, list.want)
			}
		}
		b.Open(apitest.AuthorizePath(c, apitest.Param("redirect_uri", "cursor://anysphere/cb"))).WantPage(400, "")
		// an address of the user's own machine is asked about every time, whatever its port.
		for range 2 {
			page := b.Open(apitest.AuthorizePath(c, apitest.Param("redirect_uri", "http://localhost:33418/cb")))
			if text := page.WantPage(200, "consent-approve").Text(); !strings.Contains(text, "you go back to localhost:33418") {
				t.Errorf("the page says %s", text)
			}
			page.Submit("consent-approve", nil)
		}
	})
}

// Two people who allow the same app for the first time at once make one row.
func TestTwoFirstConsentsMakeOneRow(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		c := h.Publish("/client.json", h.Metadata("/client.json"))
		alice, bob := s.Browser(), s.Browser()
		first := alice.SignIn(apitest.AuthorizePath(c), s.SignUp("alice")).WantPage(200, "consent-approve")
		second := bob.SignIn(apitest.AuthorizePath(c), s.SignUp("bob")).WantPage(200, "consent-approve")
		s.TokensOf(c, first.Submit("consent-approve", nil))
		s.TokensOf(c, second.Submit("consent-approve", nil))
		entries, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 10, Name: audit.ClientCreated})
		if err != nil || len(entries) != 1 || len(rows(s)) != 1 {
			t.Errorf("%d entries, rows %v, %v", len(entries), rows(s), err)
		}
	})
}

// Whatever strangers send, no row is made.
func TestRequestsOfStrangersMakeNoRow(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		c := h.Publish("/client.json", h.Metadata("/client.json"))
		s.Browser().Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit")
		apitest.WantError(t, s.Browser().Open(apitest.AuthorizePath(c, apitest.Param("prompt", "none"))), "login_required")
		apitest.WantError(t, s.Browser().Open(apitest.AuthorizePath(c, apitest.Param("scope", "none-such"))), "invalid_scope")
		s.Browser().Open(apitest.AuthorizePath(c, apitest.Param("redirect_uri", "https://evil.test/cb"))).WantPage(400, "")
		push(s, c).Want(201, "")
		s.Do(s.CodeRequest(c, "no-code")).Want(400, "invalid_grant")
		s.Do(s.RefreshRequest(c, "no-token")).Want(400, "invalid_grant")
		s.Do(s.Authenticated(c, "/oauth2/revoke", url.Values{"token": {"no-token"}})).Want(200, "")
		s.Do(s.Authenticated(c, "/oauth2/introspect", url.Values{"token": {"no-token"}})).Want(401, "invalid_client")
		s.Do(s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})).Want(400, "unauthorized_client")
		if got := rows(s); got != nil {
			t.Errorf("there are the rows %v", got)
		}
	})
}

// push pushes the usual request of a client.
func push(s *apitest.Server, c apitest.Client) *apitest.Response {
	s.T.Helper()
	_, query, _ := strings.Cut(apitest.AuthorizePath(c), "?")
	form, err := url.ParseQuery(query)
	if err != nil {
		s.T.Fatal(err)
	}
	return s.Do(s.Authenticated(c, "/oauth2/par", form))
}

func pushed(s *apitest.Server, c apitest.Client) string {
	s.T.Helper()
	var answer struct {
		RequestURI string `json:"request_uri"`
	}
	push(s, c).Want(201, "").JSON(&answer)
	return "/oauth2/authorize?" + url.Values{"client_id": {c.ID}, "request_uri": {answer.RequestURI}}.Encode()
}

// A pushed request needs no row, and outlives that another person makes the row.
func TestAPushedRequestOfAClientWithoutARow(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		c := h.Publish("/client.json", h.Metadata("/client.json"))
		alice, bob, carol := s.SignUp("alice"), s.SignUp("bob"), s.SignUp("carol")
		of := s.Browser()
		first, later := pushed(s, c), pushed(s, c)
		answer := of.SignIn(first, alice).WantPage(200, "consent-approve").Submit("consent-approve", nil)
		s.TokensOf(c, answer)
		of.Open(first).WantPage(400, "") // D-10: used
		s.TokensOf(c, s.Browser().SignIn(later, bob).WantPage(200, "consent-approve").Submit("consent-approve", nil))

		// With the row, and then without it again.
		last := pushed(s, c)
		if err := s.DB.DeleteClient(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		s.Browser().Open(last).WantPage(400, "")
		s.TokensOf(c, s.Browser().SignIn(pushed(s, c), carol).WantPage(200, "consent-approve").Submit("consent-approve", nil))
	})
}

// What an operator decides holds, whatever the document says.
func TestAnOperatorDecidesAboutAClientOfADocument(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		c := h.Publish("/client.json", h.Metadata("/client.json"))
		alice := s.SignUp("alice")
		b, page := s.Allowed(alice, c)
		tokens := s.TokensOf(c, page)
		operator, root := s.Admin("root")
		admin, path := s.AdminOf(root.Access), "/"+url.PathEscape(c.ID)

		var shown, listed apitest.Fields
		admin("GET", path, nil).Want(200, "").JSON(&shown)
		if shown["client_id"] != c.ID || shown["kind"] != "metadata" || shown["client_name"] != "Editor" {
			t.Errorf("the admin API shows %v", shown)
		}
		admin("GET", "", nil).Want(200, "").JSON(&listed)
		if text := listed.Text(); !strings.Contains(text, `"kind":"metadata"`) {
			t.Errorf("the list is %s", text)
		}
		for _, patch := range []apitest.Fields{
			{"client_name": "Google"}, {"redirect_uris": []string{"https://evil.test/cb"}}, {"scope": "openid"},
			{"token_endpoint_auth_method": "client_secret_basic"},
		} {
			admin("PATCH", path, patch).Want(400, "validation_error")
		}
		admin("PATCH", path, apitest.Fields{"id_token_claims": true}).Want(200, "")
		admin("POST", path+"/secret", nil).Want(400, "validation_error")

		admin("POST", path+"/disable", nil).Want(200, "")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(401, "invalid_client")
		s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(401, "invalid_token")
		asked := h.Asked("")
		s.Advance(24 * time.Hour)
		b.Open(apitest.AuthorizePath(c)).WantPage(400, "")
		push(s, c).Want(401, "invalid_client")
		if got := h.Asked(""); got != asked {
			t.Errorf("the document of a disabled client was fetched %d times", got-asked)
		}
		root = s.Login(operator, apitest.Fields{"scope": "profile admin"})
		admin = s.AdminOf(root.Access)
		admin("POST", path+"/enable", nil).Want(200, "")
		if got := row(s, c); !got.IDTokenClaims {
			t.Error("a decision of the operator was lost")
		}
		admin("DELETE", path, nil).Want(204, "")
		admin("GET", path, nil).Want(404, "not_found")
		if got := rows(s); got != nil {
			t.Errorf("after it was deleted there are the rows %v", got)
		}
		s.Browser().Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
		if got := rows(s); got != nil {
			t.Errorf("a request made the rows %v", got)
		}
		// It comes back by a new consent, and inherits nothing.
		s.TokensOf(c, s.Browser().SignIn(apitest.AuthorizePath(c), alice).WantPage(200, "consent-approve").Submit("consent-approve", nil))
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
		if got := row(s, c); got.IDTokenClaims {
			t.Error("a deleted client came back with what was decided about it")
		}
	})
}

// The person sees the app among those that are connected, and takes its access away.
func TestAPersonTakesAccessAwayFromAClientOfADocument(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		c := h.Publish("/client.json", h.Metadata("/client.json"))
		alice := s.SignUp("alice")
		b, page := s.Allowed(alice, c)
		tokens, own := s.TokensOf(c, page), s.Login(alice)
		if text := b.Open("/account/apps").WantPage(200, "").Text(); !strings.Contains(text, "Editor") {
			t.Errorf("the account page shows %s", text)
		}
		consents := s.Do(apitest.Request{Path: "/v1/profile/consents", Token: own.Access}).Want(200, "")
		if !strings.Contains(string(consents.Body), c.ID) {
			t.Errorf("the consents are %s", consents.Body)
		}
		path := "/v1/profile/consents/" + url.PathEscape(c.ID)
		s.Do(apitest.Request{Method: http.MethodDelete, Path: path, Token: own.Access}).Want(204, "")
		s.Do(apitest.Request{Method: http.MethodDelete, Path: path, Token: own.Access}).Want(404, "not_found")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
		b.Open(apitest.AuthorizePath(c)).WantPage(200, "consent-approve")
	})
}

// Logout leads back to the client, whose id is an address.
func TestLogoutOfAClientOfADocument(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		document := h.Metadata("/client.json")
		document["post_logout_redirect_uris"] = []string{"https://editor.test/bye"}
		c := h.Publish("/client.json", document)
		b, page := s.Allowed(s.SignUp("alice"), c)
		tokens := s.TokensOf(c, page)
		end := b.Open("/oauth2/logout?" + url.Values{"client_id": {c.ID}, "id_token_hint": {tokens.ID},
			"post_logout_redirect_uri": {"https://editor.test/bye"}}.Encode())
		if end.To != "https://editor.test/bye" {
			t.Errorf("the logout ends at %d %q", end.Status, end.To)
		}
	})
}
