package doctor

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys"
)

// strangerPath is where the test issuer's address has the key of a token that nobody should follow.
const strangerPath = "/doctor/stranger.json"

// keySetServer stands before the test issuer's handler. It counts who asks for keys, and can leave the
// keys of other algorithms out of the set.
type keySetServer struct {
	keys *keys.Manager

	mu              sync.Mutex
	algorithm       string // that is left; empty: all
	fetches, jumped int
	stranger        []byte // a JWK set
}

const jwksPath = "/.well-known/jwks.json"

func (k *keySetServer) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		algorithm, stranger := k.algorithm, k.stranger
		switch r.URL.Path {
		case jwksPath:
			k.fetches++
		case strangerPath:
			k.jumped++
		}
		k.mu.Unlock()
		switch {
		case r.URL.Path == strangerPath:
			w.Header().Set("Content-Type", "application/jwk-set+json")
			_, _ = w.Write(stranger)
		case r.URL.Path == jwksPath && algorithm != "":
			k.serveOnly(w, r, next, algorithm)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// serveOnly answers with the keys of one algorithm, and otherwise as the issuer does.
func (k *keySetServer) serveOnly(w http.ResponseWriter, r *http.Request, next http.Handler, algorithm string) {
	document, err := k.keys.JWKS()
	if err != nil {
		next.ServeHTTP(w, r) // answers why
		return
	}
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(document.Body, &set); err != nil {
		http.Error(w, "the key set cannot be read", http.StatusInternalServerError)
		return
	}
	left := []map[string]any{}
	for _, key := range set.Keys {
		if key["alg"] == algorithm {
			left = append(left, key)
		}
	}
	body, err := json.Marshal(map[string]any{"keys": left})
	if err != nil {
		http.Error(w, "the key set cannot be written", http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256(body)
	w.Header().Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
	w.Header().Set("Cache-Control", "public, max-age=1") // it is tried, so nobody should keep it
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(body)
}

// only leaves the keys of one algorithm in the set; empty: all of them.
func (k *keySetServer) only(algorithm string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.algorithm = algorithm
}

// fetched returns how often the key set was asked for.
func (k *keySetServer) fetched() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fetches
}

// strangers returns how often the key was asked for that a token led to.
func (k *keySetServer) strangers() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.jumped
}

// strangerKey makes a key that nobody publishes, but at the address that a token can lead to.
func (e *examination) strangerKey() (kid string, jwk []byte, err error) {
	key, err := e.Make(jose.RS256)
	if err != nil {
		return "", nil, err
	}
	if kid, err = e.issuer.Vault.Keep(key); err != nil {
		return "", nil, err
	}
	if jwk, err = jose.MarshalPublic(jose.PublicKey{ID: kid, Algorithm: jose.RS256, Key: key.Public()}); err != nil {
		return "", nil, err
	}
	e.keySet.mu.Lock()
	defer e.keySet.mu.Unlock()
	e.keySet.stranger = []byte(`{"keys":[` + string(jwk) + `]}`)
	return kid, jwk, nil
}
