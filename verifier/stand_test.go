package verifier_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

const audience = "https://api.example.com"

// rsaKeys are the issuer's key and an attacker's key.
var rsaKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

// stand is a resource server with its issuer, whose private keys the test has.
type stand struct {
	t       testing.TB
	issuer  *issuertest.Issuer
	v       *verifier.Verifier
	handler http.Handler
	called  int // how often a request passed the middleware
	keys    map[string]crypto.Signer
	kids    map[string]string
}

func newStand(t testing.TB, change ...func(*verifier.Config)) *stand {
	t.Helper()
	s := &stand{t: t, issuer: issuertest.New(t), keys: map[string]crypto.Signer{}, kids: map[string]string{}}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		alg string
		key crypto.Signer
	}{{verifier.ES256, ec}, {verifier.EdDSA, ed}, {verifier.RS256, rsaKeys()[0]}} {
		s.keys[k.alg] = k.key
		s.kids[k.alg] = s.issuer.AddKey(k.key, k.alg)
	}
	s.restart(change...)
	return s
}

// restart replaces the verifier by one that knows nothing yet.
func (s *stand) restart(change ...func(*verifier.Config)) {
	s.t.Helper()
	config := s.issuer.Config(audience)
	config.Logger = slog.New(slog.DiscardHandler)
	for _, c := range change {
		c(&config)
	}
	s.v = newVerifier(s.t, config)
	mux := http.NewServeMux()
	mux.HandleFunc("/whoami", func(w http.ResponseWriter, r *http.Request) {
		s.called++
		token, ok := verifier.TokenFrom(r.Context())
		if !ok || token == nil {
			s.t.Error("the handler was called without a token")
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, token.Subject+string(body))
	})
	s.handler = s.v.Middleware(mux)
}

func newVerifier(t testing.TB, c verifier.Config) *verifier.Verifier {
	t.Helper()
	v, err := verifier.New(c)
	if err != nil {
		t.Fatal(err)
	}
	verifier.SetGrace(v, time.Minute)
	return v
}

// claims returns the claims of a genuine token, with changes; the value nil removes a claim.
func (s *stand) claims(change map[string]any) string {
	now := s.issuer.Now()
	all := map[string]any{"iss": s.issuer.URL, "sub": "alice", "aud": audience, "client_id": "web", "jti": "id-1",
		"iat": now.Unix(), "exp": now.Unix() + 600, "scope": "profile"}
	for name, value := range change {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return toJSON(s.t, all)
}

func toJSON(t testing.TB, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// header returns the header of a genuine token under the key of alg, with changes.
func (s *stand) header(alg string, change map[string]any) string {
	all := map[string]any{"alg": alg, "kid": s.kids[alg], "typ": "at+jwt"}
	for name, value := range change {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return toJSON(s.t, all)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// mk makes a token from any header and payload, signed with any key.
func mk(t testing.TB, header, payload string, key crypto.Signer) string {
	t.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	return input + "." + b64(signature(t, key, input))
}

func signature(t testing.TB, key crypto.Signer, input string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(input))
	var sig []byte
	var err error
	if _, ok := key.(ed25519.PrivateKey); ok {
		sig, err = key.Sign(rand.Reader, []byte(input), crypto.Hash(0))
	} else {
		sig, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		var pair struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(sig, &pair); err != nil {
			t.Fatal(err)
		}
		sig = append(pair.R.FillBytes(make([]byte, 32)), pair.S.FillBytes(make([]byte, 32))...)
	}
	return sig
}

func (s *stand) genuine(alg string) string {
	return mk(s.t, s.header(alg, nil), s.claims(nil), s.keys[alg])
}

func request(method, target string, authorization ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// accepted asserts that Verify and the middleware accept the token.
func (s *stand) accepted(t testing.TB, raw string) {
	t.Helper()
	token, err := s.v.Verify(t.Context(), raw)
	if err != nil || token == nil || token.Subject == "" {
		t.Errorf("Verify: %v, %v", token, err)
	}
	if w := serve(s.handler, request("GET", "/whoami", "Bearer "+raw)); w.Code != http.StatusOK {
		t.Errorf("middleware: %d %s", w.Code, w.Body)
	}
}

// refused asserts that Verify and the middleware refuse the token as RS-401 of attack-cases.md.
func (s *stand) refused(t testing.TB, raw string, target error) {
	t.Helper()
	token, err := s.v.Verify(t.Context(), raw)
	if token != nil || !errors.Is(err, target) {
		t.Errorf("Verify: %+v, %v", token, err)
	}
	if err != nil && len(raw) > 40 && strings.Contains(err.Error(), raw[:40]) {
		t.Errorf("the error repeats the token: %v", err)
	}
	before := s.called
	w := serve(s.handler, request("GET", "/whoami", "Bearer "+raw))
	rs401(t, w)
	if s.called != before {
		t.Error("the handler was called")
	}
	code := verifier.CodeTokenInvalid
	if errors.Is(err, verifier.ErrExpired) {
		code = verifier.CodeTokenExpired
	}
	if got := problemCode(t, w); got != code {
		t.Errorf("code %q", got)
	}
}

func rs401(t testing.TB, w *httptest.ResponseRecorder) {
	t.Helper()
	if challenge := w.Header().Get("WWW-Authenticate"); w.Code != http.StatusUnauthorized ||
		!strings.HasPrefix(challenge, `Bearer error="invalid_token"`) {
		t.Errorf("middleware: %d %s %s", w.Code, challenge, w.Body)
	}
}

// problemCode returns the answer's code and checks everything that all refusals have in common.
func problemCode(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	var problem struct {
		Status       int
		Code, Detail string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || problem.Status != w.Code || problem.Detail == "" {
		t.Errorf("body %q: %v", w.Body, err)
	}
	h := w.Header()
	if h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" ||
		h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", h)
	}
	for _, c := range []byte(problem.Detail) { // G8
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("detail %q", problem.Detail)
		}
	}
	return problem.Code
}
