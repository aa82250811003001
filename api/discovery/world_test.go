// Package discovery_test holds discovery to its word: it tries everything that the document lists.
package discovery_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
)

const suite = "https://app.test"

// world is a server with one user, who has every claim, and a browser in which that user is logged
// in.
type world struct {
	*apitest.Server
	m    map[string]any // the document
	user apitest.User
	b    *apitest.Browser

	*app
	documents *apitest.DocumentHost
}

// app is what the server reaches of the apps.
type app struct {
	clients int

	mu      sync.Mutex
	objects map[string]string // what stands at an address
	told    []string          // logout tokens
}

func newWorld(t *testing.T, configure func(*apitest.Replica)) *world {
	w := &world{app: &app{objects: map[string]string{}}, documents: apitest.NewDocumentHost(t)}
	fetch := func(_ context.Context, address string) ([]byte, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if text, ok := w.objects[address]; ok {
			return []byte(text), nil
		}
		return nil, errors.New("nothing is there")
	}
	w.Server = apitest.New(t, apitest.Options{
		Resources: []issuer.Resource{{URI: "https://orders.test", Scopes: []string{"orders:read"}}},
		Configure: func(r *apitest.Replica) {
			r.Issuer.RequestObjects = &issuer.RequestObjects{Fetch: fetch}
			r.Logouts.Post = func(_ context.Context, _ string, form url.Values) (int, error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.told = append(w.told, form.Get("logout_token"))
				return 200, nil
			}
			if configure(r); r.Issuer.ClientIDMetadata {
				r.Documents(t, w.documents)
			}
		},
	})
	w.Do(apitest.Request{Path: "/.well-known/openid-configuration"}).Want(200, "").JSON(&w.m)
	w.user = w.SignUp("alice")
	w.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: w.Login(w.user).Access, Body: apitest.Fields{
		"current_password": w.user.Password, "preferred_username": "alice", "given_name": "Alice", "family_name": "Ng", "middle_name": "M", "nickname": "Al",
		"profile": "https://a.test/me", "picture": "https://a.test/p.png", "website": "https://a.test", "gender": "female",
		"birthdate": "1990-02-03", "zoneinfo": "Europe/Paris", "locale": "fr-FR", "phone_number": "+33123456789",
		"address": apitest.Fields{"locality": "Paris", "country": "FR"},
	}}).Want(200, "")
	w.b = w.SignedIn(w.user)
	return w
}

// list returns a list of the document.
func (w *world) list(member string) (values []string) {
	all, _ := w.m[member].([]any)
	for _, v := range all {
		values = append(values, fmt.Sprint(v))
	}
	return values
}

// client registers a client of its own, for a resource and every response type that is listed.
func (w *world) client(c userstore.Client) apitest.Client {
	w.T.Helper()
	w.clients++
	c.ID, c.Resources = fmt.Sprint("app-", w.clients), []string{"https://orders.test"}
	c.RedirectURIs, c.ResponseTypes = []string{suite + "/cb"}, w.list("response_types_supported")
	c.GrantTypes = w.list("grant_types_supported")
	if c.AuthMethod == userstore.AuthNone {
		c.GrantTypes = []string{userstore.GrantAuthorizationCode, userstore.GrantRefreshToken}
	}
	return w.Register(c)
}

func (w *world) login(c apitest.Client, edit ...func(url.Values)) apitest.Tokens {
	w.T.Helper()
	return apitest.LogIn(w.Server, w.b, c, edit...)
}

// allowed returns the page that a request ends at, after the user allowed it.
func (w *world) allowed(c apitest.Client, edit ...func(url.Values)) *apitest.Page {
	w.T.Helper()
	p := w.b.Open(apitest.AuthorizePath(c, edit...))
	if p.Has("consent-approve") {
		p = p.Submit("consent-approve", nil)
	}
	return p
}

// signing is a key of a client.
type signing struct {
	key crypto.Signer
	alg string
}

var generate = keystest.Generator()

// signing returns a key for an algorithm, and the key set with its public half.
func (w *world) signing(alg string) (s signing, jwks json.RawMessage) {
	w.T.Helper()
	kind := alg
	if alg == jose.Ed25519 {
		kind = jose.EdDSA
	}
	key, err := generate(kind)
	if err != nil {
		w.T.Fatal(err)
	}
	text, err := jose.MarshalPublic(jose.PublicKey{ID: "k", Algorithm: kind, Key: key.Public()})
	if err != nil {
		w.T.Fatal(err)
	}
	return signing{key, alg}, json.RawMessage(`{"keys":[` + string(text) + `]}`)
}

func (s signing) sign(w *world, typ string, claims apitest.Fields) string {
	w.T.Helper()
	header := apitest.Fields{"alg": s.alg, "kid": "k", "typ": typ}.Text()
	private, ok := s.key.(*rsa.PrivateKey)
	if !ok || s.alg != jose.PS256 {
		return apitest.Sign(s.key, header, claims.Text())
	}
	input := apitest.Encode(header) + "." + apitest.Encode(claims.Text())
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		w.T.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// proved is a request to an endpoint by a client that signs its assertions.
func (w *world) proved(c apitest.Client, s signing, path string, form url.Values) *apitest.Response {
	w.T.Helper()
	now := w.Clock.Now().Unix()
	w.clients++
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", w.Secret(s.sign(w, "JWT", apitest.Fields{
		"iss": c.ID, "sub": c.ID, "aud": apitest.IssuerURL, "jti": fmt.Sprint("jti-", w.clients), "iat": now, "exp": now + 60,
	})))
	return w.Do(apitest.Request{Method: "POST", Path: path, Form: form})
}
