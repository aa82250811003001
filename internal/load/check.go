package load

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Signature algorithms of access tokens.
const (
	rs256 = "RS256"
	eddsa = "EdDSA"
)

// member returns a text of a JSON object that has no escapes, as tokens have none, without reading
// the rest.
func member(body []byte, name string) (string, error) {
	_, rest, found := bytes.Cut(body, []byte(`"`+name+`":`))
	rest, opened := bytes.CutPrefix(bytes.TrimLeft(rest, " "), []byte(`"`))
	value, _, closed := bytes.Cut(rest, []byte(`"`))
	if !found || !opened || !closed || len(value) == 0 {
		return "", fmt.Errorf("the answer has no %s", name)
	}
	return string(value), nil
}

// accessToken is an Accept of answers with an access token, signed with our key under alg.
func (k Keys) accessToken(alg string) func(body []byte, sample bool) error {
	return func(body []byte, sample bool) error {
		token, err := member(body, "access_token")
		if err != nil || !sample {
			return err
		}
		return k.verify(alg, token)
	}
}

// verify checks a token by the standard library alone: Signet's own verifier does not judge Signet
// here.
func (k Keys) verify(alg, token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("the token is no JWS")
	}
	var header struct {
		Alg string `json:"alg"`
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Expires int64  `json:"exp"`
	}
	if err := errors.Join(segment(parts[0], &header), segment(parts[1], &claims)); err != nil {
		return fmt.Errorf("the token: %w", err)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return fmt.Errorf("the signature: %w", err)
	}
	if header.Alg != alg || claims.Issuer != issuerURL || claims.Expires <= time.Now().Unix() {
		return fmt.Errorf("a token of alg %q, iss %q, exp %d", header.Alg, claims.Issuer, claims.Expires)
	}
	input := []byte(parts[0] + "." + parts[1])
	good := ed25519.Verify(k.EdDSA.Public().(ed25519.PublicKey), input, signature)
	if alg == rs256 {
		digest := sha256.Sum256(input)
		good = rsa.VerifyPKCS1v15(&k.RS256.PublicKey, crypto.SHA256, digest[:], signature) == nil
	}
	if !good {
		return errors.New("the token is not signed with the key of this run")
	}
	return nil
}

func segment(text string, into any) error {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// personOf is an Accept of userinfo: it is the person, with the address.
func personOf(sub, email string) func(body []byte, sample bool) error {
	return func(body []byte, _ bool) error {
		if !bytes.Contains(body, []byte(`"`+sub+`"`)) || !bytes.Contains(body, []byte(`"`+email+`"`)) {
			return errors.New("userinfo of somebody else")
		}
		return nil
	}
}

// keySet is an Accept of key sets: both public keys are among them.
func (k Keys) keySet() func(body []byte, sample bool) error {
	n := base64.RawURLEncoding.EncodeToString(k.RS256.N.Bytes())
	x := base64.RawURLEncoding.EncodeToString(k.EdDSA.Public().(ed25519.PublicKey))
	return func(body []byte, sample bool) error {
		if sample && (!bytes.Contains(body, []byte(n)) || !bytes.Contains(body, []byte(x))) {
			return errors.New("a key set without the keys of this run")
		}
		return nil
	}
}

// machines is the script of a client that gets tokens for itself, at path.
func (k Keys) machines(address, path, alg string) Script {
	body := "grant_type=client_credentials&resource=" + resources[alg]
	asked := request("POST", path, body, formType, basic("machine", machineSecret))
	return Script{address, each(func(int) Worker { return repeats(asked, k.accessToken(alg)) })}
}

// keySets is the script of a resource server that reads the key set, at path.
func (k Keys) keySets(address, path string) Script {
	return Script{address, each(func(int) Worker { return repeats(request("GET", path, ""), k.keySet()) })}
}

// refreshes is a Worker that refreshes sessions in turn, each with the refresh token of the answer
// before. A contender that keeps the refresh token as it is does not rotate it.
func (k Keys) refreshes(alg string, tokens []string, rotates bool, of func(session int, token string) []byte) Worker {
	turn := 0
	access := k.accessToken(alg)
	return Worker{
		Request: func() []byte { return of(turn, tokens[turn]) },
		Accept: func(body []byte, sample bool) error {
			next, err := member(body, "refresh_token")
			if err != nil {
				return err
			}
			if rotates && next == tokens[turn] {
				return errors.New("the refresh token was not rotated")
			}
			tokens[turn] = next
			turn = (turn + 1) % len(tokens)
			return access(body, sample)
		},
	}
}

// repeats is a Worker that always sends the same request.
func repeats(request []byte, accept func(body []byte, sample bool) error) Worker {
	return Worker{Request: func() []byte { return request }, Accept: accept}
}
