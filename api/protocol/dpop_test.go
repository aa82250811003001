package protocol_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/userstore"
)

// proving are clients with keys.
type proving struct {
	*apitest.Server
	standard
	key, other dpoptest.Key
}

func newProving(t *testing.T, s *apitest.Server) proving {
	return proving{s, newStandard(s), dpoptest.NewKey(t), dpoptest.NewKey(t)}
}

func (p proving) with(t *testing.T) proving {
	p.Server = p.Server.With(t)
	return p
}

// address is the address of one of our paths, as clients know it.
func (p proving) address(path string) string { return p.Replicas[0].Issuer.URL + path }

// proof is a new proof for a request to a path.
func (p proving) proof(key dpoptest.Key, method, path string) dpoptest.Claims {
	return dpoptest.For(method, p.address(path), p.Clock.Now())
}

// proved adds a new proof of key to a request.
func (p proving) proved(key dpoptest.Key, q apitest.Request) apitest.Request {
	method := q.Method
	if method == "" {
		method = http.MethodGet
	}
	claims := p.proof(key, method, q.Path)
	if scheme, token, _ := strings.Cut(q.Header.Get("Authorization"), " "); scheme == "DPoP" {
		claims = dpoptest.WithToken(claims, token)
	}
	return sending(q, key.Proof(p.T, claims))
}

// sending adds DPoP headers to a request.
func sending(q apitest.Request, proofs ...string) apitest.Request {
	header := http.Header{}
	if q.Header != nil {
		header = q.Header.Clone()
	}
	header["Dpop"] = proofs
	q.Header = header
	return q
}

// presenting is a request with an access token by a scheme.
func presenting(scheme, method, path, token string) apitest.Request {
	return apitest.Request{Method: method, Path: path, Header: http.Header{"Authorization": {scheme + " " + token}}}
}

// redeemed logs alice in with a key.
func (p proving) redeemed(key dpoptest.Key, c apitest.Client, edit ...func(*userstore.Code)) (tokens apitest.Tokens) {
	p.T.Helper()
	p.Do(p.proved(key, p.CodeRequest(c, p.Code(p.alice, c, edit...)))).Want(200, "").JSON(&tokens)
	return tokens
}

func (p proving) userinfo(key dpoptest.Key, token string) *apitest.Response {
	p.T.Helper()
	return p.Do(p.proved(key, presenting("DPoP", "GET", "/oauth2/userinfo", token)))
}

func (p proving) authorization() url.Values {
	return url.Values{"response_type": {"code"}, "redirect_uri": {p.web.RedirectURIs[0]}, "scope": {"openid"},
		"code_challenge": {apitest.Challenge}, "code_challenge_method": {"S256"}}
}

// clientCredentials is a client's request for a token of its own.
func (p proving) clientCredentials(c apitest.Client) apitest.Request {
	return p.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
}

// algorithms is what each challenge says of the algorithms of proofs.
const algorithms = `algs="RS256 PS256 ES256 EdDSA Ed25519"`

// TestBoundTokens: with a proof, every grant gives tokens that are bound to its key.
func TestBoundTokens(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		bound := func(name string, tokens apitest.Tokens) {
			t.Helper()
			if tokens.Type != "DPoP" {
				t.Errorf("%s: token_type %s", name, tokens.Type)
			}
			state := p.Introspect(p.web, tokens.Access)
			if state["active"] != true || state["token_type"] != "DPoP" ||
				state["cnf"].(map[string]any)["jkt"] != p.key.Thumbprint {
				t.Errorf("%s: %v", name, state)
			}
		}
		first := p.redeemed(p.key, p.web)
		bound("a code", first)
		var next apitest.Tokens
		p.Do(p.proved(p.key, p.RefreshRequest(p.web, first.Refresh))).Want(200, "").JSON(&next)
		bound("a refresh", next)
		p.Do(p.proved(p.key, p.clientCredentials(p.web))).Want(200, "").JSON(&next)
		bound("a client's own", next)
		var plain apitest.Tokens
		p.Do(p.CodeRequest(p.web, p.Code(p.alice, p.web))).Want(200, "").JSON(&plain)
		state := p.Introspect(p.web, plain.Access)
		if plain.Type != "Bearer" || state["token_type"] != "Bearer" || state["cnf"] != nil {
			t.Errorf("without a proof: %+v, %v", plain.Type, state)
		}
	})
}

// TestClientsWhoseTokensAreBound: dpop_bound_access_tokens, RFC 9449 section 5.2.
func TestClientsWhoseTokensAreBound(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		careful := s.Register(userstore.Client{
			ID: "careful", ClientMetadata: userstore.ClientMetadata{DPoPBoundAccessTokens: true},
		})
		code := p.Code(p.alice, careful)
		p.Unchanged(func() {
			p.Do(p.CodeRequest(careful, code)).Want(400, "invalid_dpop_proof")
			p.Do(p.clientCredentials(careful)).Want(400, "invalid_dpop_proof")
		})
		var tokens apitest.Tokens
		p.Do(p.proved(p.key, p.CodeRequest(careful, code))).Want(200, "").JSON(&tokens)
		p.Unchanged(func() { p.Do(p.RefreshRequest(careful, tokens.Refresh)).Want(400, "invalid_dpop_proof") })
		p.Do(p.proved(p.key, p.RefreshRequest(careful, tokens.Refresh))).Want(200, "")
	})
}
