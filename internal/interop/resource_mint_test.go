//go:build interop

package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/testport"
)

// mint stands before Signet, at the issuer's address, in the documents about resource servers. It
// publishes keys of its own in Signet's key set, and signs with them what Signet never would.
type mint struct {
	issuer   string
	audience string
	more     members     // claims that its access tokens have beside those of RFC 9068
	cut      atomic.Bool // no request gets through

	mu        sync.Mutex
	published []json.RawMessage
}

// mintKey is a private key and the names under which its public key is published.
type mintKey struct {
	id     string
	method jwt.SigningMethod
	key    crypto.Signer
}

// openMint opens a mint before the Signet that listens at an address.
func openMint(t *testing.T, signet string) *mint {
	t.Helper()
	listener, err := net.Listen("tcp", testport.Address(t))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	m := &mint{issuer: "http://localhost:" + port, audience: "https://api.example.com"}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: signet})
		r.Out.Host = r.In.Host
	}}
	server := &httptest.Server{
		Listener: listener,
		Config:   &http.Server{Handler: m.before(proxy), ReadHeaderTimeout: time.Minute},
	}
	server.Start()
	t.Cleanup(server.Close)
	return m
}

// before returns a handler that asks Signet, and adds the mint's keys to Signet's.
func (m *mint) before(signet http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case m.cut.Load():
			http.Error(w, "cut off", http.StatusBadGateway)
		case r.URL.Path == "/.well-known/jwks.json":
			r.Header.Del("Accept-Encoding") // the key set is read here
			r.Header.Del("If-None-Match")   // the ETag is of Signet's keys alone
			answer := httptest.NewRecorder()
			signet.ServeHTTP(answer, r)
			var set struct {
				Keys []json.RawMessage `json:"keys"`
			}
			if err := json.Unmarshal(answer.Body.Bytes(), &set); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			m.mu.Lock()
			set.Keys = append(set.Keys, m.published...)
			m.mu.Unlock()
			for _, name := range []string{"Cache-Control", "Content-Type"} {
				w.Header().Set(name, answer.Header().Get(name))
			}
			json.NewEncoder(w).Encode(set)
		default:
			signet.ServeHTTP(w, r)
		}
	})
}

// publish puts the public keys, and nothing else of the mint's, into the key set.
func (m *mint) publish(t *testing.T, keys ...mintKey) {
	t.Helper()
	var all []json.RawMessage
	for _, k := range keys {
		all = append(all, k.public(t))
	}
	m.publishAs(all...)
}

func (m *mint) publishAs(keys ...json.RawMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.published = keys
}

func (k mintKey) public(t *testing.T) json.RawMessage {
	t.Helper()
	text, err := jose.MarshalPublic(jose.PublicKey{ID: k.id, Algorithm: k.method.Alg(), Key: k.key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// unknownType is a key of a type that few verifiers know, as every new type is at first: AKP, of the
// algorithms that outlive quantum computers.
func unknownType() json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"kty":"AKP","alg":"ML-DSA-44","use":"sig","kid":"of-tomorrow","pub":%q}`,
		base64.RawURLEncoding.EncodeToString(make([]byte, 1312))))
}

func newMintKey(t *testing.T, alg string) mintKey {
	t.Helper()
	k := mintKey{method: jwt.GetSigningMethod(alg)}
	var err error
	switch alg {
	case "RS256":
		k.key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		k.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, k.key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no keys for %s", alg)
	}
	if err == nil {
		k.id, err = jose.Thumbprint(k.key.Public())
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// members are those of a header or of claims. The value nil removes one.
type members map[string]any

func (m members) with(more members) members {
	all := maps.Clone(m)
	for name, value := range more {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return all
}

// accessToken returns the claims of an access token of Ada for the document's API.
func (m *mint) accessToken() members {
	now := time.Now()
	return members{
		"iss": m.issuer, "sub": "ada", "aud": []string{m.audience}, "client_id": "lantern", "scope": "profile email",
		"jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}.with(m.more)
}

func (k mintKey) header(more members) members {
	return members{"alg": k.method.Alg(), "typ": "at+jwt", "kid": k.id}.with(more)
}

// sign signs any header and claims; a string of claims is signed as it is.
func (k mintKey) sign(t *testing.T, header members, claims any) string {
	t.Helper()
	return signWith(t, k.method, k.key, header, claims)
}

func signWith(t *testing.T, method jwt.SigningMethod, key any, header members, claims any) string {
	t.Helper()
	head, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	body, verbatim := claims.(string)
	if !verbatim {
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		body = string(text)
	}
	signed := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString([]byte(body))
	signature, err := method.Sign(signed, key)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}
