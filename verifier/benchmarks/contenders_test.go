package benchmarks

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	josev4 "github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	golangjwt "github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	jwxjwt "github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/signet-id/signet/verifier"
)

const (
	issuer   = "https://id.example.com"
	audience = "https://api.example.com"
	skew     = time.Minute
)

// contender verifies one access token: signature under the published key that kid names, typ, alg,
// iss, aud, exp, nbf and iat with leeway, that sub, client_id and jti are there, and reads scope and
// the claims of a login.
type contender struct {
	name   string
	verify func(raw string) error
}

// published are the keys of the issuer, in the form that each library likes best, made once.
type published struct {
	alg, kid string
	public   crypto.PublicKey
}

// claims are read by every contender.
type claims struct {
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	SID      string   `json:"sid"`
	AuthTime int64    `json:"auth_time"`
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	Roles    []string `json:"roles"`
}

func accessToken(typ any) error {
	if text, ok := typ.(string); !ok || !strings.EqualFold(text, "at+jwt") {
		return errors.New("not an access token")
	}
	return nil
}

func contenders(tb testing.TB, p published) []contender {
	return []contender{signet(tb, p, 0), golangJWT(p), goJose(tb, p), jwx(tb, p)}
}

// signet is this repository's verifier with its key set fetched.
func signet(tb testing.TB, p published, cache int) contender {
	tb.Helper()
	key := josev4.JSONWebKey{Key: p.public, KeyID: p.kid, Algorithm: p.alg, Use: "sig"}
	set, err := json.Marshal(josev4.JSONWebKeySet{Keys: []josev4.JSONWebKey{key}})
	if err != nil {
		tb.Fatal(err)
	}
	v, err := verifier.New(verifier.Config{
		Issuer: issuer, Audience: []string{audience}, ClockSkew: skew, JWKSURL: issuer + "/jwks", CacheSize: cache,
		HTTPClient: &http.Client{Transport: keySet(set)},
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx := context.Background()
	name := "signet"
	if cache > 0 {
		name = "signet-repeated"
	}
	return contender{name, func(raw string) error {
		_, err := v.Verify(ctx, raw)
		return err
	}}
}

type keySet []byte

func (k keySet) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Cache-Control": {"max-age=3600"}},
		Body: io.NopCloser(strings.NewReader(string(k)))}, nil
}

func golangJWT(p published) contender {
	type all struct {
		golangjwt.RegisteredClaims
		claims
	}
	parser := golangjwt.NewParser(golangjwt.WithValidMethods([]string{p.alg}), golangjwt.WithIssuer(issuer),
		golangjwt.WithAudience(audience), golangjwt.WithLeeway(skew), golangjwt.WithExpirationRequired(),
		golangjwt.WithIssuedAt(), golangjwt.WithStrictDecoding())
	key := func(t *golangjwt.Token) (any, error) {
		if err := accessToken(t.Header["typ"]); err != nil {
			return nil, err
		}
		if t.Header["kid"] != p.kid {
			return nil, errors.New("another key")
		}
		return p.public, nil
	}
	return contender{"golang-jwt", func(raw string) error {
		var c all
		if _, err := parser.ParseWithClaims(raw, &c, key); err != nil {
			return err
		}
		if c.Subject == "" || c.ID == "" || c.ClientID == "" || c.IssuedAt == nil {
			return errors.New("a claim is missing")
		}
		_ = strings.Split(c.Scope, " ")
		return nil
	}}
}

func goJose(tb testing.TB, p published) contender {
	tb.Helper()
	algorithms := []josev4.SignatureAlgorithm{josev4.SignatureAlgorithm(p.alg)}
	return contender{"go-jose", func(raw string) error {
		t, err := josejwt.ParseSigned(raw, algorithms)
		if err != nil {
			return err
		}
		if len(t.Headers) != 1 || t.Headers[0].KeyID != p.kid {
			return errors.New("another key")
		}
		if err := accessToken(t.Headers[0].ExtraHeaders[josev4.HeaderType]); err != nil {
			return err
		}
		var registered josejwt.Claims
		var c claims
		if err := t.Claims(p.public, &registered, &c); err != nil {
			return err
		}
		if registered.Subject == "" || registered.ID == "" || c.ClientID == "" || registered.IssuedAt == nil ||
			registered.Expiry == nil {
			return errors.New("a claim is missing")
		}
		_ = strings.Split(c.Scope, " ")
		expected := josejwt.Expected{Issuer: issuer, AnyAudience: josejwt.Audience{audience}, Time: time.Now()}
		return registered.ValidateWithLeeway(expected, skew)
	}}
}

func jwx(tb testing.TB, p published) contender {
	tb.Helper()
	key, err := jwk.FromRaw(p.public)
	if err != nil {
		tb.Fatal(err)
	}
	set := jwk.NewSet()
	for name, value := range map[string]any{jwk.KeyIDKey: p.kid, jwk.AlgorithmKey: jwa.SignatureAlgorithm(p.alg)} {
		if err := key.Set(name, value); err != nil {
			tb.Fatal(err)
		}
	}
	if err := set.AddKey(key); err != nil {
		tb.Fatal(err)
	}
	return contender{"jwx", func(raw string) error {
		message := jws.NewMessage()
		payload, err := jws.Verify([]byte(raw), jws.WithKeySet(set, jws.WithRequireKid(true)), jws.WithMessage(message))
		if err != nil {
			return err
		}
		if err := accessToken(message.Signatures()[0].ProtectedHeaders().Type()); err != nil {
			return err
		}
		t := jwxjwt.New()
		if err := json.Unmarshal(payload, t); err != nil {
			return err
		}
		for _, name := range []string{"client_id", "scope", "sid", "acr", "amr", "roles"} {
			if _, ok := t.Get(name); !ok {
				return errors.New("a claim is missing")
			}
		}
		if scope, _ := t.Get("scope"); !slices.Contains(strings.Split(scope.(string), " "), "openid") {
			return errors.New("no scope")
		}
		return jwxjwt.Validate(t, jwxjwt.WithIssuer(issuer), jwxjwt.WithAudience(audience), jwxjwt.WithAcceptableSkew(skew),
			jwxjwt.WithRequiredClaim("exp"), jwxjwt.WithRequiredClaim("iat"), jwxjwt.WithRequiredClaim("sub"),
			jwxjwt.WithRequiredClaim("jti"))
	}}
}
