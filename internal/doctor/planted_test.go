package doctor_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/strictjson"
)

// planted is a resource server written for these tests, without the verifier's code. It is a good one
// but for one fault.
type planted struct {
	fault, issuer, audience string

	mu      sync.Mutex
	keys    map[string]*rsa.PublicKey
	fetched time.Time // of the keys
	tried   time.Time // of the last fetch
	maxAge  time.Duration
}

const cooldown = 300 * time.Millisecond

func (p *planted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, given := p.token(r)
	err := errors.New("no token")
	if given {
		err = p.verify(token)
	}
	if err == nil || p.fault == "open" {
		return
	}
	switch {
	case p.fault == "crash on garbage" && given && strings.Count(token, ".") == 2 && !strings.HasPrefix(token, "ey"):
		w.WriteHeader(http.StatusInternalServerError)
	case p.fault == "forbidden":
		w.WriteHeader(http.StatusForbidden)
	default:
		if p.fault != "no challenge" {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		}
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func (p *planted) token(r *http.Request) (string, bool) {
	if q := r.URL.Query().Get("access_token"); q != "" && p.fault == "token in the query" {
		return q, true
	}
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if p.fault == "scheme by case" {
		return token, found && scheme == "Bearer"
	}
	return token, found && strings.EqualFold(scheme, "bearer")
}

type head struct {
	Alg  string          `json:"alg"`
	Kid  string          `json:"kid"`
	Typ  string          `json:"typ"`
	Jku  string          `json:"jku"`
	Jwk  json.RawMessage `json:"jwk"`
	Crit []string        `json:"crit"`
}

func (p *planted) verify(token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("not a JWS")
	}
	var h head
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || json.Unmarshal(raw, &h) != nil {
		return errors.New("not a header")
	}
	if err := p.header(h); err != nil {
		return err
	}
	if err := p.signature(h, parts); err != nil {
		return err
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	return p.claims(payload)
}

func (p *planted) header(h head) error {
	if len(h.Crit) > 0 && p.fault != "crit" {
		return errors.New("crit")
	}
	typ := strings.ToLower(h.Typ)
	switch p.fault {
	case "any typ":
		return nil
	case "typ JWT":
		if typ == "jwt" {
			return nil
		}
	case "typ may be missing":
		if typ == "" {
			return nil
		}
	case "typ by case":
		typ = h.Typ
	case "typ in short only":
		if strings.Contains(typ, "/") {
			return errors.New("typ")
		}
	}
	if typ != "at+jwt" && typ != "application/at+jwt" {
		return errors.New("typ")
	}
	return nil
}

func (p *planted) signature(h head, parts []string) error {
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil && p.fault != "half a signature" {
		return err
	}
	switch {
	case h.Alg == "none" && p.fault == "alg none", strings.EqualFold(h.Alg, "none") && h.Alg != "none" &&
		p.fault == "alg none in capitals":
		return nil
	case len(signature) == 0 && p.fault == "no signature" && h.Alg == "RS256":
		return nil
	case h.Alg != "RS256" && !(h.Alg == "HS256" && p.fault == "HS256"):
		return errors.New("alg")
	}
	key, err := p.key(h)
	if err != nil {
		return err
	}
	text := []byte(parts[0] + "." + parts[1])
	if h.Alg == "HS256" {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			return err
		}
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		mac.Write(text)
		if !hmac.Equal(mac.Sum(nil), signature) {
			return errors.New("signature")
		}
		return nil
	}
	if p.fault == "any signature" && len(signature) == 256 || p.fault == "half a signature" && len(signature) < 256 &&
		len(signature) > 0 {
		return nil
	}
	digest := sha256.Sum256(text)
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
}

func (p *planted) claims(payload []byte) error {
	var c struct {
		Iss string          `json:"iss"`
		Aud json.RawMessage `json:"aud"`
		Exp *int64          `json:"exp"`
		Nbf int64           `json:"nbf"`
	}
	switch p.fault {
	case "the last duplicate counts":
		if err := json.Unmarshal(payload, &c); err != nil {
			return err
		}
	case "the first duplicate counts":
		text := string(payload)
		if at := strings.LastIndex(text, `,"aud":"https://doctor.invalid/another-service"`); at > 0 {
			text = text[:at] + "}"
		}
		if err := strictjson.Unmarshal([]byte(text), &c, strictjson.IgnoreUnknown); err != nil {
			return err
		}
	default:
		if err := strictjson.Unmarshal(payload, &c, strictjson.IgnoreUnknown); err != nil {
			return err
		}
	}
	if c.Iss != p.issuer && !(c.Iss == "" && p.fault == "iss may be missing") && !(c.Iss != "" && p.fault == "any iss") {
		return errors.New("iss")
	}
	var list []string
	if json.Unmarshal(c.Aud, &list) != nil {
		list = []string{strings.Trim(string(c.Aud), `"`)}
		if len(c.Aud) == 0 {
			list = nil
		}
	} else if p.fault == "aud is one text" {
		return errors.New("aud")
	}
	if !slices.Contains(list, p.audience) && !(len(list) == 0 && p.fault == "aud may be missing") && !(len(list) > 0 &&
		p.fault == "any aud") {
		return errors.New("aud")
	}
	now := time.Now().Unix()
	switch {
	case c.Exp == nil && p.fault != "exp may be missing", c.Exp != nil && *c.Exp < now && p.fault != "expired":
		return errors.New("exp")
	case c.Nbf > now+60 && p.fault != "nbf":
		return errors.New("nbf")
	}
	return nil
}

// key returns the key of a token.
func (p *planted) key(h head) (*rsa.PublicKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(h.Jwk) > 0 && p.fault == "jwk":
		return readRSA(h.Jwk)
	case h.Jku != "" && (p.fault == "jku" || p.fault == "jku is requested"):
		keys, _, err := fetchKeys(h.Jku, "")
		if err != nil || p.fault == "jku is requested" {
			return nil, errors.New("jku")
		}
		return keys[h.Kid], nil
	}
	once := p.fault == "keys are fetched once" || p.fault == "one key of the set"
	stale := time.Since(p.fetched) > p.maxAge && !once && p.fault != "keys never expire" && p.fault != "keys are merged"
	if p.keys == nil || stale {
		p.fetch()
	}
	if p.keys[h.Kid] == nil && !once && (time.Since(p.tried) > cooldown || p.fault == "unknown kids are fetched") {
		p.fetch()
	}
	if key := p.keys[h.Kid]; key != nil {
		return key, nil
	}
	return nil, errors.New("kid")
}

func (p *planted) fetch() {
	p.tried = time.Now()
	keys, maxAge, err := fetchKeys(p.issuer+"/.well-known/jwks.json", p.fault)
	if err != nil {
		return
	}
	p.fetched, p.maxAge = time.Now(), maxAge
	if p.fault == "keys are merged" {
		for kid, key := range p.keys {
			keys[kid] = key
		}
	}
	p.keys = keys
}

var maxAgeOf = regexp.MustCompile(`max-age=(\d+)`)

func fetchKeys(address, fault string) (map[string]*rsa.PublicKey, time.Duration, error) {
	resp, err := http.Get(address)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, 0, errors.New("no key set")
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, 0, err
	}
	keys := map[string]*rsa.PublicKey{}
	for _, raw := range set.Keys {
		var k struct{ Kid string }
		if err := json.Unmarshal(raw, &k); err != nil {
			return nil, 0, err
		}
		key, err := readRSA(raw)
		if err != nil {
			if fault == "all key types or none" {
				return nil, 0, err
			}
			continue
		}
		keys[k.Kid] = key
		if fault == "one key of the set" {
			break
		}
	}
	seconds := 0
	if m := maxAgeOf.FindStringSubmatch(resp.Header.Get("Cache-Control")); m != nil {
		seconds, _ = strconv.Atoi(m[1])
	}
	return keys, time.Duration(seconds) * time.Second, nil
}

func readRSA(raw []byte) (*rsa.PublicKey, error) {
	var k struct{ Kty, N, E string }
	if err := json.Unmarshal(raw, &k); err != nil || k.Kty != "RSA" {
		return nil, errors.New("not RSA")
	}
	n, err := base64.RawURLEncoding.DecodeString(k.N)
	if err != nil {
		return nil, err
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}, nil
}
