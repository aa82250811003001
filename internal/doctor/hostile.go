package doctor

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/signet-id/signet/internal/testissuer"
)

// attempt is one request with a token that a resource server must refuse.
type attempt struct {
	id, sent, why string

	// make returns the request's token and, where it is sent otherwise than in the header, how.
	make func(*examination) (token string, err error)
	send func(r *http.Request, token string)

	// lax is what accepting it is: a failure where the standard has a MUST, else a warning.
	lax Verdict
}

// recipe is an attempt's make for a token that differs by a recipe alone.
func recipe(r testissuer.Recipe) func(*examination) (string, error) {
	return func(e *examination) (string, error) { return e.mint(r) }
}

func claims(over map[string]any) func(*examination) (string, error) {
	return recipe(testissuer.Recipe{Claims: over})
}

func header(over map[string]any) func(*examination) (string, error) {
	return recipe(testissuer.Recipe{Header: over})
}

// later returns the instant that is so many seconds after now, or before it.
func later(name string, seconds int64) func(*examination) (string, error) {
	return func(e *examination) (string, error) {
		return e.mint(testissuer.Recipe{Claims: map[string]any{name: e.issuer.Clock.Now().Unix() + seconds}})
	}
}

const forAnother = "https://doctor.invalid/another-service"

// attempts are the tokens that must be refused, each of which differs from a good one by one thing.
var attempts = []attempt{
	{id: "aud-wrong", sent: "a token for another service", lax: Failed,
		make: claims(map[string]any{"aud": forAnother}),
		why:  "another service that gets a token could use it here in the user's name (RFC 9068 section 4)"},
	{id: "aud-missing", sent: "a token without an audience", lax: Failed,
		make: claims(map[string]any{"aud": nil}),
		why:  "a token that is for nobody in particular must not be for everybody (RFC 9068 section 4)"},
	{id: "iss-wrong", sent: "a token that names another issuer", lax: Failed,
		make: claims(map[string]any{"iss": "https://doctor.invalid"}),
		why:  "keys and issuer belong together; with several issuers, one could speak for another (RFC 9068 section 4)"},
	{id: "iss-missing", sent: "a token without an issuer", lax: Failed,
		make: claims(map[string]any{"iss": nil}),
		why:  "the issuer has to be compared with the expected one (RFC 9068 section 4)"},
	{id: "id-token", sent: "an ID token, for an app", lax: Failed,
		make: idToken,
		why:  "ID tokens lie in browsers and logs of apps and were never meant to open an API (RFC 9068 section 5)"},
	{id: "typ-jwt", sent: "a good token but for its typ, which is JWT, as ID tokens have it", lax: Failed,
		make: header(map[string]any{"typ": "JWT"}),
		why: "typ tells access tokens from all else that the issuer signs; where an app is named as the " +
			"service is, it alone does (RFC 9068 section 4)"},
	{id: "typ-refresh", sent: "a good token but for its typ, which is that of another kind of token", lax: Failed,
		make: header(map[string]any{"typ": "rt+jwt"}),
		why:  "typ tells access tokens from all else that the issuer signs (RFC 9068 section 4)"},
	{id: "typ-missing", sent: "a good token but without typ", lax: Failed,
		make: header(map[string]any{"typ": nil}),
		why:  "the typ has to be at+jwt, and a missing one is another value (RFC 9068 section 4)"},
	{id: "expired", sent: "a token that expired an hour ago", lax: Failed,
		make: later("exp", -3600),
		why:  "a token that leaked once would be good for ever (RFC 7519 section 4.1.4)"},
	{id: "exp-missing", sent: "a token without exp", lax: Failed,
		make: claims(map[string]any{"exp": nil}),
		why:  "a token without an end never ends; exp is required (RFC 9068 section 2.2)"},
	{id: "nbf-future", sent: "a token that is valid in an hour only", lax: Failed,
		make: later("nbf", 3600),
		why:  "nbf says before when a token must not be accepted (RFC 7519 section 4.1.5)"},
	{id: "alg-none", sent: "a token without a signature, alg none", lax: Failed,
		make: recipe(testissuer.Recipe{Algorithm: "none"}),
		why:  "anybody can write such a token (RFC 9068 section 4)"},
	{id: "alg-none-case", sent: "a token without a signature, alg nOnE", lax: Failed,
		make: recipe(testissuer.Recipe{Algorithm: "none", Header: map[string]any{"alg": "nOnE"}}),
		why:  "anybody can write such a token, and a list of forbidden names misses some"},
	{id: "alg-hs256", sent: "a token signed by HS256 with the public key as the secret", lax: Failed,
		make: recipe(testissuer.Recipe{Algorithm: "HS256"}),
		why:  "everybody has the public key, so that everybody could sign (RFC 8725 section 2.1)"},
	{id: "signature-stranger", sent: "a token signed by a stranger's key under a genuine kid", lax: Failed,
		make: strangersSignature,
		why:  "the signature is what makes a token the issuer's (RFC 9068 section 4)"},
	{id: "signature-missing", sent: "a token whose signature is cut off", lax: Failed,
		make: cut(func(t string) string { return t[:strings.LastIndexByte(t, '.')+1] }),
		why:  "the signature is what makes a token the issuer's (RFC 7515 section 5.2)"},
	{id: "truncated", sent: "a token whose last characters are missing", lax: Failed,
		make: cut(func(t string) string { return t[:len(t)-16] }),
		why:  "half a signature is none (RFC 7515 section 5.2)"},
	{id: "payload-changed", sent: "a token whose subject was changed after it was signed", lax: Failed,
		make: changedPayload,
		why:  "the claims are only the issuer's if the signature covers them (RFC 7515 section 5.2)"},
	{id: "jwk-header", sent: "a token that brings its own key (jwk)", lax: Failed,
		make: ownKey("jwk"),
		why:  "a key that comes with the token proves nothing: anybody can make one (RFC 8725 section 3.10)"},
	{id: "jku-header", sent: "a token that says where its key is (jku)", lax: Failed,
		make: ownKey("jku"),
		why:  "the sender would choose the key, and the addresses that this server requests (RFC 8725 section 3.10)"},
	{id: "crit", sent: "a token with a critical extension that nobody knows", lax: Failed,
		make: header(map[string]any{"crit": []string{"https://doctor.invalid/ext"}, "https://doctor.invalid/ext": true}),
		why:  "crit says that a token must not be used by those who do not understand it (RFC 7515 section 4.1.11)"},
	{id: "duplicate-first", sent: "a token with two audiences under one name, this service first", lax: Failed,
		make: twoAudiences(true),
		why: "two readers of one token must not see two audiences; of two members the last counts, or none " +
			"(RFC 7519 section 4)"},
	{id: "duplicate-last", sent: "a token with two audiences under one name, this service last", lax: Warning,
		make: twoAudiences(false),
		why:  "RFC 7519 section 4 allows to take the last one, but a proxy that reads the first sees another token"},
	{id: "garbage", sent: "a bearer token that is no JWT", lax: Failed,
		make: func(*examination) (string, error) { return "not.a.jwt", nil },
		why:  "strangers send anything"},
	{id: "query", sent: "a good token in the URL (?access_token=) and not in the header", lax: Warning,
		make: recipe(testissuer.Recipe{}), send: inQuery,
		why: "URLs stay in logs and histories, and tokens with them (RFC 6750 section 5.3; OAuth 2.1 forbids it)"},
}

func inQuery(r *http.Request, token string) {
	q := r.URL.Query()
	q.Set("access_token", token)
	r.URL.RawQuery = q.Encode()
}

// idToken makes an ID token as the issuer would (OIDC Core section 2).
func idToken(e *examination) (string, error) {
	return e.mint(testissuer.Recipe{Header: map[string]any{"typ": "JWT"}, Claims: map[string]any{
		"aud": "test-client", "azp": "test-client", "nonce": "n-0S6_WzA2Mj", "at_hash": "77QmUPtjPfzWtF2AnpK9RQ",
		"auth_time": e.issuer.Clock.Now().Unix(), "client_id": nil, "scope": nil,
	}})
}

func strangersSignature(e *examination) (string, error) {
	kid, err := e.issuer.SigningKey()
	if err != nil {
		return "", err
	}
	return e.mint(testissuer.Recipe{Key: testissuer.Unpublished, Header: map[string]any{"kid": kid}})
}

// cut makes a good token and takes something off.
func cut(off func(string) string) func(*examination) (string, error) {
	return func(e *examination) (string, error) {
		token, err := e.mint(testissuer.Recipe{})
		if err != nil {
			return "", err
		}
		return off(token), nil
	}
}

func changedPayload(e *examination) (string, error) {
	good, err := e.mint(testissuer.Recipe{})
	if err != nil {
		return "", err
	}
	other, err := e.mint(testissuer.Recipe{Claims: map[string]any{"sub": "mallory"}})
	if err != nil {
		return "", err
	}
	a, b := strings.Split(good, "."), strings.Split(other, ".")
	return a[0] + "." + b[1] + "." + a[2], nil
}

// ownKey makes a token under a key that nobody has published, whose header holds the key or leads to
// it.
func ownKey(member string) func(*examination) (string, error) {
	return func(e *examination) (string, error) {
		kid, jwk, err := e.strangerKey()
		if err != nil {
			return "", err
		}
		over := map[string]any{"kid": kid, member: json.RawMessage(jwk)}
		if member == "jku" {
			over[member] = e.issuer.URL + strangerPath
		}
		return e.mint(testissuer.Recipe{Key: kid, Header: over})
	}
}

// twoAudiences makes a token whose payload has aud twice.
func twoAudiences(first bool) func(*examination) (string, error) {
	return func(e *examination) (string, error) {
		payload, err := json.Marshal(e.issuer.Claims(e.claims(nil)))
		if err != nil {
			return "", err
		}
		another := `"aud":"` + forAnother + `"`
		text := `{` + another + `,` + string(payload[1:])
		if first {
			text = string(payload[:len(payload)-1]) + `,` + another + `}`
		}
		return e.mint(testissuer.Recipe{Payload: text})
	}
}
