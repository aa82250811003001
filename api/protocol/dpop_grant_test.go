package protocol_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/userstore"
)

// TestRefreshTokensOfBoundGrants: RFC 9449 section 5, for public and for confidential clients.
func TestRefreshTokensOfBoundGrants(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		refresh := func(key *dpoptest.Key, c apitest.Client, token string) *apitest.Response {
			t.Helper()
			q := p.RefreshRequest(c, token)
			if key != nil {
				q = p.proved(*key, q)
			}
			return p.Do(q)
		}
		take := func(res *apitest.Response) (tokens apitest.Tokens) {
			t.Helper()
			res.Want(200, "").JSON(&tokens)
			return tokens
		}
		tokens := p.redeemed(p.key, p.spa)
		p.Unchanged(func() {
			refresh(nil, p.spa, tokens.Refresh).Want(400, "invalid_grant")
			refresh(&p.other, p.spa, tokens.Refresh).Want(400, "invalid_grant")
		})
		second := take(refresh(&p.key, p.spa, tokens.Refresh))
		if second.Type != "DPoP" {
			t.Errorf("token_type %s", second.Type)
		}
		// A lost answer is given again, to the key.
		again := take(refresh(&p.key, p.spa, tokens.Refresh))
		if again.Refresh != second.Refresh || again.Type != "DPoP" {
			t.Errorf("given again: another refresh token, or of type %s", again.Type)
		}
		third := take(refresh(&p.key, p.spa, second.Refresh))
		p.userinfo(p.key, third.Access).Want(200, "")

		// A grant without a key gets one with the first proof.
		plain := p.Redeem(p.alice, p.spa)
		bound := take(refresh(&p.key, p.spa, plain.Refresh))
		p.Unchanged(func() { refresh(nil, p.spa, bound.Refresh).Want(400, "invalid_grant") })
		take(refresh(&p.key, p.spa, bound.Refresh))

		// A confidential client proves itself in another way.
		own := p.redeemed(p.key, p.web)
		next := take(refresh(&p.other, p.web, own.Refresh))
		p.userinfo(p.other, next.Access).Want(200, "")
		p.userinfo(p.key, next.Access).Want(401, "invalid_token")
		if last := take(refresh(nil, p.web, next.Refresh)); last.Type != "Bearer" {
			t.Errorf("without a proof: token_type %s", last.Type)
		}
	})
}

// TestAStolenRefreshTokenIsNotKeptByAKey: a thief who brings a key binds the grant to it; the
// owner's next refresh, with a token of before and without that key, ends the session all the same
// (T-18), also within the time in which a lost answer is given again.
func TestAStolenRefreshTokenIsNotKeptByAKey(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		bare := func(q apitest.Request) apitest.Request { return q }
		withAnother := func(q apitest.Request) apitest.Request { return p.proved(p.key, q) }
		for name, row := range map[string]struct {
			begun apitest.Tokens
			key   dpoptest.Key // that the session is bound to
			again func(apitest.Request) apitest.Request
		}{
			"T-18 bound by a thief, and the owner has no key":      {p.Redeem(p.alice, p.spa), p.other, bare},
			"T-18 bound by a thief, and the owner has another key": {p.Redeem(p.alice, p.spa), p.other, withAnother},
			"T-18 bound from the beginning":                        {p.redeemed(p.key, p.spa), p.key, bare},
		} {
			t.Run(name, func(t *testing.T) {
				p := p.with(t)
				var next apitest.Tokens
				p.Do(p.proved(row.key, p.RefreshRequest(p.spa, row.begun.Refresh))).Want(200, "").JSON(&next)
				p.userinfo(row.key, next.Access).Want(200, "")
				p.Do(row.again(p.RefreshRequest(p.spa, row.begun.Refresh))).Want(400, "invalid_grant")
				p.Do(p.proved(row.key, p.RefreshRequest(p.spa, next.Refresh))).Want(400, "invalid_grant")
				p.userinfo(row.key, next.Access).Want(401, "invalid_token")
			})
		}
	})
}

// TestBoundCodes: dpop_jkt, RFC 9449 section 10.
func TestBoundCodes(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		code := p.Code(p.alice, p.web, func(c *userstore.Code) { c.JKT = p.key.Thumbprint })
		p.Unchanged(func() {
			p.Do(p.CodeRequest(p.web, code)).Want(400, "invalid_grant")
			p.Do(p.proved(p.other, p.CodeRequest(p.web, code))).Want(400, "invalid_grant")
		})
		p.Do(p.proved(p.key, p.CodeRequest(p.web, code))).Want(200, "")

		push := func(key *dpoptest.Key, jkt string) *apitest.Response {
			t.Helper()
			form := p.authorization()
			if jkt != "" {
				form.Set("dpop_jkt", jkt)
			}
			q := p.Authenticated(p.web, "/oauth2/par", form)
			if key != nil {
				q = p.proved(*key, q)
			}
			return p.Do(q)
		}
		push(nil, p.key.Thumbprint).Want(201, "")
		push(&p.key, "").Want(201, "")
		push(&p.key, p.key.Thumbprint).Want(201, "")
		p.Unchanged(func() {
			push(&p.key, p.other.Thumbprint).Want(400, "invalid_request")
			for _, jkt := range []string{"x", p.key.Thumbprint + "=", p.key.Thumbprint[1:], strings.Repeat("~", 43)} {
				push(nil, jkt).Want(400, "invalid_request")
			}
			twice := p.authorization()
			twice["dpop_jkt"] = []string{p.key.Thumbprint, p.key.Thumbprint}
			p.Do(p.Authenticated(p.web, "/oauth2/par", twice)).Want(400, "invalid_request")
		})
	})
}

// TestABrowserBringsTheThumbprint: dpop_jkt goes through the pages, pushed or not, into the code.
func TestABrowserBringsTheThumbprint(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		b, redeem := p.SignedIn(p.alice), func(key dpoptest.Key, page *apitest.Page) *apitest.Response {
			return p.Do(p.proved(key, p.CodeRequest(p.web, p.Secret(page.Query().Get("code")))))
		}
		path := apitest.AuthorizePath(p.web, apitest.Param("dpop_jkt", p.key.Thumbprint))
		page := b.Open(path).WantPage(200, "consent-approve").Submit("consent-approve", nil)
		redeem(p.other, page).Want(400, "invalid_grant")
		redeem(p.key, page).Want(200, "")

		form := p.authorization()
		var pushed struct {
			URI string `json:"request_uri"`
		}
		p.Do(p.proved(p.key, p.Authenticated(p.web, "/oauth2/par", form))).Want(201, "").JSON(&pushed)
		query := url.Values{"client_id": {p.web.ID}, "request_uri": {p.Secret(pushed.URI)}}
		page = b.Open("/oauth2/authorize?" + query.Encode())
		redeem(p.other, page).Want(400, "invalid_grant")
		redeem(p.key, page).Want(200, "")

		apitest.WantError(t, b.Open(apitest.AuthorizePath(p.web, apitest.Param("dpop_jkt", "x"))), "invalid_request")
		careful := s.Register(userstore.Client{
			ID: "careful", GrantTypes: []string{"authorization_code", "implicit"},
			ClientMetadata: userstore.ClientMetadata{
				DPoPBoundAccessTokens: true, ResponseTypes: []string{"code token", "code"},
			},
		})
		refusal := b.Open(apitest.AuthorizePath(careful, apitest.Param("response_type", "code token")))
		if !strings.Contains(refusal.To, "error=unauthorized_client") || strings.Contains(refusal.To, "access_token") {
			t.Errorf("a bound client that asks for a token here: %s", refusal.To)
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.ResponseTypes = userstore.ResponseTypes }))
}
