package verifier_test

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/verifier"
)

func isUnavailable(err error) bool { return errors.Is(err, verifier.ErrKeysUnavailable) }

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// keySetHandler answers discovery as before, and answers requests for the key set with body.
func keySetHandler(s *stand, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", s.issuer.Now().UTC().Format(http.TimeFormat))
		if strings.HasSuffix(r.URL.Path, "openid-configuration") {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, s.issuer.URL, s.issuer.URL+"/.well-known/jwks.json")
			return
		}
		_, _ = io.WriteString(w, body)
	})
}

// publicSet is a key set of one key.
func publicSet(t testing.TB, key crypto.Signer, kid, alg string) []byte {
	t.Helper()
	jwk, err := jose.MarshalPublic(jose.PublicKey{ID: kid, Algorithm: alg, Key: key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(`{"keys":[` + string(jwk) + `]}`)
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func logTo(mu *sync.Mutex, w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(lockedWriter{mu, w}, nil))
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
