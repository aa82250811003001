package protocol_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
)

// logLine is the one line of the log about an answered request, from its code on.
func logLine(s *apitest.Server, a *apitest.Response) string {
	s.T.Helper()
	var found []string
	// The line is written after the answer.
	for end := time.Now().Add(time.Minute); len(found) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		for line := range strings.SplitSeq(s.Log.String(), "\n") {
			if strings.Contains(line, "msg=request request_id="+a.Header.Get("X-Request-Id")+" ") {
				found = append(found, line)
			}
		}
	}
	if len(found) != 1 {
		s.T.Fatalf("%d lines of the request: %q", len(found), found)
	}
	_, told, _ := strings.Cut(found[0], " address=")
	_, told, _ = strings.Cut(told, " ")
	return told
}

// The id of an answer leads to the line that names the client and the reason of its refusal,
// whatever the answer keeps to itself.
func TestEveryRefusalNamesClientAndReasonInTheLog(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		_, ed := newAssertive(s, "ed", jose.EdDSA)
		s.Register(userstore.Client{ID: "off"})
		if err := s.DB.SetClientActive(t.Context(), "off", false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		web := s.Redeem(f.alice, f.web)
		first := s.Login(f.alice)
		now := s.Clock.Now().Unix()
		basic := func(path, id, secret string, form url.Values) apitest.Request {
			return apitest.Request{Method: "POST", Path: path, Form: form, Header: http.Header{
				"Authorization": {
					"Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))}}}
		}
		machine := url.Values{"grant_type": {"client_credentials"}}
		token := url.Values{"token": {"x"}}
		withoutSub := ed.claims(s, nil).With("sub", nil).With("iss", nil)
		authorize := func(edit ...func(url.Values)) apitest.Request {
			return apitest.Request{Path: apitest.AuthorizePath(f.web, edit...)}
		}
		stray := s.Secret("Zx3-" + strings.Repeat("aB9_", 9) + "qQ0") // as long as a secret of ours
		for name, row := range map[string]struct {
			q    apitest.Request
			want string
		}{
			"token: a wrong secret": {basic("/oauth2/token", "web", "a wrong secret", machine),
				`code=invalid_client client_id=web reason="the client secret is wrong"`},
			"token: an unknown client": {basic("/oauth2/token", "nobody", "a wrong secret", machine),
				`code=invalid_client client_id=nobody reason="no client is registered under this client_id"`},
			"token: a secret in the place of the id": {basic("/oauth2/token", stray, "web", machine),
				`code=invalid_client client_id="(withheld: it has the shape of a secret)" ` +
					`reason="no client is registered under this client_id"`},
			"token: an id that a terminal obeys": {basic("/oauth2/token", "x\x1b[2J\nlevel=INFO", "web", machine),
				`code=invalid_client client_id="(withheld: no client can have this name)" ` +
					`reason="no client is registered under this client_id"`},
			"token: a disabled client": {basic("/oauth2/token", "off", "a wrong secret", machine),
				`code=invalid_client client_id=off reason="the client is disabled"`},
			"token: a public client with a secret": {basic("/oauth2/token", "spa", "a wrong secret", machine),
				`code=invalid_client client_id=spa ` +
					`reason="the client is registered for the method none, and sent a client secret"`},
			"token: a confidential client without one": {apitest.Request{Method: "POST", Path: "/oauth2/token",
				Form: url.Values{"grant_type": {"client_credentials"}, "client_id": {"web"}}},
				`code=invalid_client client_id=web ` +
					`reason="the client is registered for the method client_secret_basic, and sent nothing but its client_id"`},
			"token: an assertion that lives too long": {ed.request(ed.header(),
				ed.claims(s, apitest.Fields{"exp": now + 86400})),
				`code=invalid_client client_id=ed reason="the assertion's exp is more than an hour ahead"`},
			"token: an assertion for somebody else": {ed.request(ed.header(),
				ed.claims(s, apitest.Fields{"aud": "https://evil.test"})),
				`code=invalid_client client_id=ed reason="the assertion's aud is neither the issuer nor the token endpoint"`},
			"token: an assertion by another algorithm": {ed.request(ed.header().With("alg", "HS256"), ed.claims(s, nil)),
				`code=invalid_client client_id=ed ` +
					`reason="the client assertion: the token's alg is not one of RS256, PS256, ES256 and EdDSA"`},
			"token: an assertion of nobody": {ed.request(ed.header(), withoutSub),
				`code=invalid_client reason="no client is registered under this client_id"`},
			"token: two credentials": {basic("/oauth2/token", "web", f.web.Secret,
				url.Values{"grant_type": {"client_credentials"}, "client_secret": {"x"}}),
				`code=invalid_request client_id=web ` +
					`reason="Authenticate the client in one way: by the Authorization header, by client_secret, ` +
					`or by client_assertion."`},
			"token: a form that is refused": {basic("/oauth2/token", "web", f.web.Secret,
				url.Values{"grant_type": {"client_credentials", "x"}}),
				`code=invalid_request client_id=web reason="Send each parameter once: grant_type was sent more often."`},
			"token: a code that there is not": {s.CodeRequest(f.web, "no such code"),
				`code=token_invalid client_id=web reason="there is no such code"`},
			"token: a code for another address": {basic("/oauth2/token", "web", f.web.Secret,
				url.Values{"grant_type": {"authorization_code"},
					"code": {s.Code(f.alice, f.web)}, "redirect_uri": {"https://web.test/other?secret=1#x"},
					"code_verifier": {apitest.Verifier}}),
				`code=token_invalid client_id=web redirect_uri=https://web.test/other ` +
					`reason="the redirect_uri is not the one that the code went to"`},
			"token: a refresh token of another client": {s.RefreshRequest(f.other, web.Refresh),
				`code=token_invalid client_id=other reason="the refresh token of another client"`},
			"introspect: a wrong secret": {basic("/oauth2/introspect", "web", "a wrong secret", token),
				`code=invalid_client client_id=web reason="the client secret is wrong"`},
			"introspect: a public client": {basic("/oauth2/introspect", "spa", "", token),
				`code=invalid_client client_id=spa reason="a public client may not introspect"`},
			"revoke: a wrong secret": {basic("/oauth2/revoke", "web", "a wrong secret", token),
				`code=invalid_client client_id=web reason="the client secret is wrong"`},
			"userinfo: an ID token": {apitest.Request{Path: "/oauth2/userinfo", Token: web.ID},
				`code=token_invalid client_id=web reason="typ is not at+jwt"`},
			"userinfo: nothing": {apitest.Request{Path: "/oauth2/userinfo"},
				`code=missing_token reason="Send an access token in the header Authorization: Bearer."`},
			"userinfo: a token without openid": {apitest.Request{Path: "/oauth2/userinfo", Token: first.Access},
				`code=insufficient_scope client_id=signet ` +
					`reason="The access token does not have the scope openid: sign in again and ask for it."`},
			"/v1: a token of a client that is not first-party": {apitest.Request{Path: "/v1/profile", Token: web.Access},
				`code=token_invalid client_id=web reason="the client is not first-party"`},
			"/v1/login: an unknown client": {apitest.Request{Method: "POST", Path: "/v1/login",
				Body: apitest.Fields{"email": f.alice.Email, "password": f.alice.Password, "client_id": "nobody"}},
				`code=invalid_client client_id=nobody ` +
					`reason="There is no such client: leave client_id out, or name one that is registered."`},
			"/v1/login: a confidential client": {apitest.Request{Method: "POST", Path: "/v1/login",
				Body: apitest.Fields{"email": f.alice.Email, "password": f.alice.Password, "client_id": "web"}},
				`code=unauthorized_client client_id=web ` +
					`reason="This client may not take passwords: only public first-party clients may."`},
			"/v1/login: a wrong password": {apitest.Request{Method: "POST", Path: "/v1/login",
				Body: apitest.Fields{"email": f.alice.Email, "password": "a wrong password"}},
				`code=invalid_credentials client_id=signet reason="The name or the password is wrong."`},
			"/v1/refresh: a token of web": {apitest.Request{Method: "POST", Path: "/v1/refresh",
				Body: apitest.Fields{"refresh_token": web.Refresh}},
				`code=token_invalid client_id=web reason=`},
			"authorize: an unknown client": {authorize(apitest.Param("client_id", "nobody")),
				`code=invalid_client client_id=nobody redirect_uri=https://web.test/cb ` +
					`reason="No app is registered under this client_id."`},
			"authorize: a disabled client": {authorize(apitest.Param("client_id", "off")),
				`code=invalid_client client_id=off redirect_uri=https://web.test/cb ` +
					`reason="This client is disabled: ask whoever runs this service."`},
			"authorize: an unregistered address": {authorize(apitest.Param("redirect_uri",
				"https://me:pw@web.test/cb2?session=1#x")),
				`code=invalid_redirect_uri client_id=web redirect_uri=https://web.test/cb2 ` +
					`reason="The redirect_uri is not one that is registered for this app, byte for byte."`},
			"authorize: a refusal that goes to the client": {authorize(apitest.Param("response_type", "token")),
				`code=unsupported_response_type client_id=web redirect_uri=https://web.test/cb ` +
					`reason="This response_type has been done away with by OAuth 2.1 and RFC 9700: send code."`},
			"authorize: nobody is logged in": {authorize(apitest.Param("prompt", "none")),
				`code=login_required client_id=web redirect_uri=https://web.test/cb ` +
					`reason="The user has to log in: ask again without prompt=none."`},
			"logout: an unregistered address": {apitest.Request{Path: "/oauth2/logout?" + url.Values{"id_token_hint": {web.ID},
				"post_logout_redirect_uri": {"https://web.test/bye?x=1"}}.Encode()},
				`code=invalid_redirect_uri client_id=web redirect_uri=https://web.test/bye ` +
					`reason="the post_logout_redirect_uri is not one that is registered for the client, byte for byte"`},
			"logout: without a hint": {apitest.Request{Path: "/oauth2/logout?" + url.Values{"client_id": {"web"},
				"post_logout_redirect_uri": {"https://web.test/bye"}}.Encode()},
				`code=invalid_redirect_uri client_id=web redirect_uri=https://web.test/bye ` +
					`reason="there is no id_token_hint, so the client is not proved"`},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				res := s.Do(row.q)
				got := logLine(s, res)
				if got != row.want && !(strings.HasSuffix(row.want, "reason=") && strings.HasPrefix(got, row.want)) {
					t.Errorf("answered %d, logged\n got %s\nwant %s", res.Status, got, row.want)
				}
			})
		}
		t.Run("the code on an error page is the line's", func(t *testing.T) {
			s := s.With(t)
			page := s.Browser().Open(apitest.AuthorizePath(f.web, apitest.Param("redirect_uri", "https://web.test/cb/")))
			id := page.Header.Get("X-Request-Id")
			if !strings.Contains(page.Text(), id) ||
				!strings.Contains(logLine(s, page.Response), "client_id=web redirect_uri=https://web.test/cb/ reason=") {
				t.Errorf("%s: %s\n%s", id, page.Text(), logLine(s, page.Response))
			}
		})
		t.Run("what is granted has no reason", func(t *testing.T) {
			s := s.With(t)
			for _, q := range []apitest.Request{
				basic("/oauth2/token", "web", f.web.Secret, machine), basic("/oauth2/introspect", "web", f.web.Secret, token),
				{Path: apitest.AuthorizePath(f.web)}, {Path: "/oauth2/logout"},
			} {
				if res := s.Do(q); strings.Contains(logLine(s, res), "reason=") || res.Status >= 400 {
					t.Errorf("%s: %d, %s", q.Path, res.Status, logLine(s, res))
				}
			}
		})
		t.Run("the audit log names the same request", func(t *testing.T) {
			s := s.With(t)
			res := s.Do(basic("/oauth2/revoke", "post", "a wrong secret", token))
			s.Replicas[0].Accounts.Throttle.Drain()
			events, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 100, Name: audit.ClientAuthFailed})
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, e := range events {
				if e.RequestID == res.Header.Get("X-Request-Id") {
					if found++; e.Target.ID != "post" || e.Reason != "wrong_secret" {
						t.Errorf("%+v", e)
					}
				}
			}
			if found != 1 {
				t.Errorf("%d entries of the request", found)
			}
		})
	})
}
