package issuer

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/signet-id/signet/internal/jose"
)

// accessClaims is the payload of an access token (RFC 9068 section 2.2). If there is a user, sid
// names the grant for /v1, introspection and revocation.
type accessClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Expires   int64    `json:"exp"`
	IssuedAt  int64    `json:"iat"`
	ID        string   `json:"jti"`
	ClientID  string   `json:"client_id"`
	Scope     string   `json:"scope,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	Roles     []string `json:"roles,omitempty"`

	Status       *statusClaim  `json:"status,omitempty"`
	Confirmation *confirmation `json:"cnf,omitempty"`
}

// confirmation names the key that a token is bound to (RFC 7800, RFC 9449 section 6.1).
type confirmation struct {
	Thumbprint string `json:"jkt"`
}

// idClaims is the payload of an ID token (OIDC Core section 2). Claims about the user are left to
// the userinfo and profile endpoints, as section 5.4 says for clients that get an access token,
// unless the client is registered to get them in the ID token, or gets no access token. azp is
// never needed: the audience is always the one client that asked.
type idClaims struct {
	Issuer          string   `json:"iss"`
	Subject         string   `json:"sub"`
	Audience        string   `json:"aud"`
	Expires         int64    `json:"exp"`
	IssuedAt        int64    `json:"iat"`
	AuthTime        int64    `json:"auth_time"`
	Nonce           string   `json:"nonce,omitempty"`
	ACR             string   `json:"acr,omitempty"`
	AMR             []string `json:"amr,omitempty"`
	AccessTokenHash string   `json:"at_hash,omitempty"`
	CodeHash        string   `json:"c_hash,omitempty"`
	SessionID       string   `json:"sid"`
}

// refreshClaims is the payload of a refresh token: a pointer to a grant and a
// generation, and nothing about the user.
type refreshClaims struct {
	Issuer     string `json:"iss"`
	Audience   string `json:"aud"`
	ClientID   string `json:"client_id"`
	Grant      string `json:"grant"`
	Generation int64  `json:"gen"`
	ID         string `json:"jti"`
	IssuedAt   int64  `json:"iat"`
	Expires    int64  `json:"exp"`
}

// audience is encoded as a string if there is one, and as an array otherwise (RFC 7519 section
// 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(data []byte) error {
	var many []string
	if len(data) > 0 && data[0] == '[' {
		if err := json.Unmarshal(data, &many); err != nil {
			return err
		}
		*a = many
		return nil
	}
	var one *string
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	if one == nil {
		return errors.New("aud is null")
	}
	*a = audience{*one}
	return nil
}

// accessTokenHash returns at_hash (OIDC Core section 3.1.3.6).
func accessTokenHash(alg, accessToken string) string { return leftHalf(alg, accessToken) }

// codeHash returns c_hash (OIDC Core section 3.3.2.11).
func codeHash(alg, code string) string { return leftHalf(alg, code) }

// leftHalf returns the left half of the hash that the ID token's own alg uses; empty: there is
// nothing to hash. Ed25519 hashes with SHA-512 (RFC 8032 section 5.1), our other algorithms use
// SHA-256.
func leftHalf(alg, text string) string {
	switch {
	case text == "":
		return ""
	case alg == jose.EdDSA:
		sum := sha512.Sum512([]byte(text))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
