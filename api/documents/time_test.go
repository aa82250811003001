package documents_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

func clientOf(id string) userstore.Client {
	return userstore.Client{ID: id, AuthMethod: userstore.AuthNone,
		ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://editor.test/cb"}}}
}

// down answers as a host that is broken.
func down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }

func TestHowLongADocumentIsKept(t *testing.T) {
	for _, c := range []struct {
		header string
		kept   time.Duration
	}{
		{"", 5 * time.Minute}, {"no-store", 5 * time.Minute}, {"max-age=1", 5 * time.Minute}, {"max-age=3600", time.Hour},
		{"max-age=31536000", 12 * time.Hour},
	} {
		s, h := one(t)
		document := h.Metadata("/client.json")
		h.Serve("/client.json", func(w http.ResponseWriter, r *http.Request) {
			if c.header != "" {
				w.Header().Set("Cache-Control", c.header)
			}
			apitest.Document(document)(w, r)
		})
		ask := func() {
			s.Browser().Open(apitest.AuthorizePath(apitest.Client{Client: clientOf(h.URL + "/client.json")}))
		}
		ask()
		s.Clock.Move(c.kept - time.Second)
		if ask(); h.Asked("") != 1 {
			t.Errorf("%s: fetched %d times within %v", c.header, h.Asked(""), c.kept)
		}
		s.Clock.Move(time.Second)
		if ask(); h.Asked("") != 2 {
			t.Errorf("%s: fetched %d times after %v", c.header, h.Asked(""), c.kept)
		}
	}
}

// A fault is no document: the next one counts as soon as it is asked for again, which is not for
// each request.
func TestAFaultIsNotKept(t *testing.T) {
	s, h := one(t)
	c := apitest.Client{Client: clientOf(h.URL + "/client.json")}
	h.Serve("/client.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=86400")
		w.WriteHeader(http.StatusNotFound)
	})
	for range 10 {
		refused(s, c, "fetch")
	}
	if got := h.Asked(""); got != 1 {
		t.Errorf("a host that fails was asked %d times", got)
	}
	h.Publish("/client.json", h.Metadata("/client.json"))
	s.Clock.Move(30 * time.Second)
	s.Browser().Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit")
}

// When a document cannot be had any more, the last good one serves for 24 hours. Then nobody logs
// in, while what was granted is refreshed and revoked.
func TestTheLastGoodDocument(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		c := h.Publish("/client.json", h.Metadata("/client.json"))
		alice := s.SignUp("alice")
		_, page := s.Allowed(alice, c)
		tokens := s.TokensOf(c, page)
		begun := s.Browser().SignIn(apitest.AuthorizePath(c, apitest.Param("prompt", "consent")), alice).WantPage(200, "consent-approve")
		login := func(replica int) *apitest.Page {
			b := s.Browser()
			b.Replica = replica
			return b.Open(apitest.AuthorizePath(c))
		}

		h.Serve("/client.json", down)
		s.Advance(23*time.Hour + 59*time.Minute)
		for replica := range s.Replicas { // the second has fetched nothing: it has the row
			login(replica).WantPage(200, "login-submit")
		}
		s.Advance(time.Minute)
		for replica := range s.Replicas {
			if p := login(replica).WantPage(400, "fault"); p.ElementText("fault") != "lost" {
				t.Errorf("the fault is %q", p.ElementText("fault"))
			}
		}
		begun.Submit("consent-approve", nil).WantPage(400, "")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "").JSON(&tokens)
		s.Advance(48 * time.Hour)
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "").JSON(&tokens)
		s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
		s.Do(s.Authenticated(c, "/oauth2/revoke", url.Values{"token": {tokens.Refresh}})).Want(200, "")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")

		// It counts again with the next good document.
		h.Publish("/client.json", h.Metadata("/client.json"))
		s.Advance(time.Minute)
		login(0).WantPage(200, "login-submit")
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

// A document of which there is no row serves as long, on the replica that fetched it.
func TestTheLastGoodDocumentWithoutARow(t *testing.T) {
	s, h := one(t)
	c := h.Publish("/client.json", h.Metadata("/client.json"))
	s.Browser().Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit")
	h.Serve("/client.json", down)
	s.Advance(23 * time.Hour)
	s.Browser().Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit")
	s.Advance(time.Hour)
	refused(s, c, "fetch")
}

// What a document drops counts from the next fetch, and on the other replicas as well: they find it
// in the row.
func TestWhatADocumentDropsCountsFromTheNextFetch(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		document := h.Metadata("/client.json")
		document["redirect_uris"] = []string{"https://editor.test/cb", "https://old.test/cb"}
		c := h.Publish("/client.json", document)
		alice := s.SignUp("alice")
		old := apitest.Param("redirect_uri", "https://old.test/cb")
		b, page := s.Allowed(alice, c)
		tokens := s.TokensOf(c, page)
		begun := b.Open(apitest.AuthorizePath(c, old, apitest.Param("prompt", "consent"))).WantPage(200, "consent-approve")

		h.Publish("/client.json", h.Metadata("/client.json").With("client_name", "Editor 2"))
		s.Advance(6 * time.Minute)
		begun.Submit("consent-approve", nil).WantPage(400, "") // between authorize and code
		b.Open(apitest.AuthorizePath(c, old)).WantPage(400, "")
		asked := h.Asked("")
		other := s.Browser()
		other.Replica = 1
		other.Open(apitest.AuthorizePath(c, old)).WantPage(400, "")
		other.Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit")
		if got := h.Asked(""); got != asked {
			t.Errorf("the other replica fetched %d times what it finds in the row", got-asked)
		}
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "")
		if got := row(s, c); got.Name != "Editor 2" || len(got.RedirectURIs) != 1 {
			t.Errorf("the row is %+v", got)
		}
		entries, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 10, Name: audit.ClientUpdated})
		if err != nil || len(entries) != 1 || entries[0].Actor.Type != audit.BySystem || len(entries[0].Changes) != 2 {
			t.Errorf("the audit entries are %+v, %v", entries, err)
		}
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

// A code goes to whoever it was made for: a document that changes before the token request changes
// neither the redirect URI nor the client.
func TestADocumentThatChangesBetweenAuthorizeAndToken(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		c := h.Publish("/client.json", h.Metadata("/client.json"))
		alice := s.SignUp("alice")
		b, page := s.Allowed(alice, c)
		code := apitest.WantCode(t, page)
		changed := h.Metadata("/client.json").With("redirect_uris", []string{"https://evil.test/cb"})
		evil := h.Publish("/client.json", changed)
		s.Clock.Move(50 * time.Second)
		s.Do(s.CodeRequest(evil, code)).Want(400, "invalid_grant")
		s.Do(s.CodeRequest(c, code)).Want(200, "")

		// The new redirect URI was never allowed anything beyond what the person sees: the client has its
		// consent, and the address is the document's own.
		s.Advance(6 * time.Minute)
		b.Open(apitest.AuthorizePath(c)).WantPage(400, "")

		// From public to private_key_jwt: from the next fetch on, the id alone does not do.
		key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
		jwks := apitest.Fields{"keys": []any{jwk(key, "one")}}
		keyed := h.Metadata("/client.json").With("token_endpoint_auth_method", "private_key_jwt").With("jwks", jwks)
		_, page = s.Browser(), b.Open(apitest.AuthorizePath(evil))
		code = apitest.WantCode(t, page)
		h.Publish("/client.json", keyed)
		s.Advance(6 * time.Minute)
		s.Do(s.CodeRequest(evil, code)).Want(401, "invalid_client")
	})
}

func jwk(key ed25519.PrivateKey, kid string) apitest.Fields {
	return apitest.Fields{"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "alg": "EdDSA",
		"x": base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))}
}

// by is a request that a client signs.
func by(s *apitest.Server, key ed25519.PrivateKey, kid string, c apitest.Client, q apitest.Request) apitest.Request {
	now, id := s.Clock.Now().Unix(), fmt.Sprint(s.Clock.Now().UnixNano(), kid, q.Path, len(q.Form))
	s.Clock.Move(time.Millisecond)
	q.Form.Set("client_id", c.ID)
	q.Form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	q.Form.Set("client_assertion", apitest.Sign(key, `{"alg":"EdDSA","kid":"`+kid+`"}`,
		apitest.Fields{"iss": c.ID, "sub": c.ID, "aud": apitest.IssuerURL, "iat": now, "exp": now + 60, "jti": id}.Text()))
	return q
}

func TestAClientOfADocumentWithKeys(t *testing.T) {
	each(t, func(t *testing.T, s *apitest.Server, h *apitest.DocumentHost) {
		first := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
		second := ed25519.NewKeyFromSeed([]byte("another seed of thirty-two bytes"))
		document := h.Metadata("/client.json").With("token_endpoint_auth_method", "private_key_jwt").
			With("jwks", apitest.Fields{"keys": []any{jwk(first, "one")}})
		c := h.Publish("/client.json", document)
		_, page := s.Allowed(s.SignUp("alice"), c)
		redeem := s.CodeRequest(c, apitest.WantCode(t, page))
		s.Do(redeem).Want(401, "invalid_client")
		bare := redeem
		bare.Form = url.Values{"client_id": {c.ID}}
		for name, values := range redeem.Form {
			bare.Form[name] = values
		}
		s.Do(bare).Want(401, "invalid_client")
		s.Do(by(s, second, "one", c, redeem)).Want(401, "invalid_client")
		var tokens apitest.Tokens
		s.Do(by(s, first, "one", c, redeem)).Want(200, "").JSON(&tokens)
		s.Do(by(s, first, "one", c, s.Authenticated(c, "/oauth2/introspect", url.Values{"token": {tokens.Access}}))).Want(200, "")

		// A key that the document drops is refused from the next fetch on.
		h.Publish("/client.json", document.With("jwks", apitest.Fields{"keys": []any{jwk(second, "two")}}))
		s.Do(by(s, first, "one", c, s.RefreshRequest(c, tokens.Refresh))).Want(200, "").JSON(&tokens)
		s.Advance(6 * time.Minute)
		s.Do(by(s, first, "one", c, s.RefreshRequest(c, tokens.Refresh))).Want(401, "invalid_client")
		s.Do(by(s, second, "two", c, s.RefreshRequest(c, tokens.Refresh))).Want(200, "").JSON(&tokens)

		// And keys at an address of the same host.
		h.Serve("/jwks.json", apitest.Document(apitest.Fields{"keys": []any{jwk(first, "one")}}))
		h.Publish("/client.json", h.Metadata("/client.json").With("token_endpoint_auth_method", "private_key_jwt").
			With("jwks_uri", h.URL+"/jwks.json"))
		s.Advance(6 * time.Minute)
		s.Do(by(s, first, "one", c, s.RefreshRequest(c, tokens.Refresh))).Want(200, "")
	}, keysToo())
}
