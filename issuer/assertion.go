package issuer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/userstore"
)

// assertionType is client_assertion_type of private_key_jwt (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	// maxAssertionLife is how far ahead the exp of a client assertion may be: until then its jti
	// has to be stored. Client libraries commonly send an hour.
	maxAssertionLife = time.Hour
	maxAssertionID   = 256 // bytes of a jti
)

// assertionClaims are the claims that RFC 7523 section 3 requires. Instants are numbers that need
// not be whole (RFC 7519 section 2).
type assertionClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Expires   float64  `json:"exp"`
	NotBefore float64  `json:"nbf"`
	IssuedAt  float64  `json:"iat"`
	ID        string   `json:"jti"`
}

type assertion struct {
	token  *jose.Token
	claims assertionClaims // unverified until the signature is verified
}

// readAssertion parses a client assertion. Its sub names the client, unverified.
func readAssertion(a ClientAuth) (*assertion, error) {
	if a.AssertionType != assertionType || a.Assertion == "" {
		return nil, errors.New("client_assertion and client_assertion_type do not belong together")
	}
	token, err := jose.ParseForeign(a.Assertion)
	if err != nil {
		return nil, fmt.Errorf("the client assertion: %w", err)
	}
	out := &assertion{token: token}
	if err := strictjson.Unmarshal(token.Payload, &out.claims, strictjson.IgnoreUnknown); err != nil {
		return nil, fmt.Errorf("the client assertion: %w", err)
	}
	return out, nil
}

// claimedSubject returns the sub of an assertion that is otherwise unreadable, so that its refusal
// names a client. Nothing of the assertion is verified.
func claimedSubject(compact string) string {
	var claims struct {
		Subject string `json:"sub"`
	}
	if !unverified(compact, &claims) {
		return ""
	}
	return claims.Subject
}

// unverified reads the claims of a refused token, to name its client in the log.
func unverified(compact string, claims any) bool {
	if len(compact) > jose.MaxTokenBytes {
		return false
	}
	_, rest, _ := strings.Cut(compact, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	return err == nil && json.Unmarshal(text, claims) == nil
}

// verifyAssertion checks that a is from client c, meant for us, and valid now. Its audience is one
// name of ours alone: an assertion that names another server as well could be
// replayed from there in the client's name.
func (i *Issuer) verifyAssertion(ctx context.Context, c userstore.Client, a *assertion) error {
	now := float64(i.now().UnixMicro()) / 1e6
	skew := i.ClockSkew.Seconds()
	switch claims := a.claims; {
	case a.token.Header.Type != "" && !a.token.Header.IsType("JWT") && !a.token.Header.IsType("client-authentication+jwt"):
		return unproved(assertionKind, "the assertion's typ is that of another kind of token")
	case c.AssertionAlg != "" && !jose.SameAlgorithm(a.token.Header.Algorithm, c.AssertionAlg):
		return unproved(assertionAlgorithm, "the assertion is not signed with the algorithm that the client is registered for")
	case claims.Issuer != c.ID || claims.Subject != c.ID:
		return unproved(assertionClient, "the assertion's iss and sub are not both the client")
	case len(claims.Audience) > 1:
		return unproved(assertionAudience,
			"the assertion's aud names others as well: it has to be the issuer or the token endpoint alone")
	case len(claims.Audience) != 1 || !slices.Contains(i.ownAudiences(), claims.Audience[0]):
		return unproved(assertionAudience, "the assertion's aud is neither the issuer nor the token endpoint")
	case claims.ID == "" || len(claims.ID) > maxAssertionID:
		return unproved(assertionID, "the assertion's jti is missing or longer than 256 bytes")
	case claims.Expires <= 0 || now-skew >= claims.Expires:
		return unproved(assertionExpired, "the assertion has no exp, or has expired")
	case claims.Expires > now+maxAssertionLife.Seconds()+skew:
		return unproved(assertionTooLong, "the assertion's exp is more than an hour ahead")
	case claims.NotBefore > now+skew || claims.IssuedAt > now+skew:
		return unproved(assertionNotYet, "the assertion's nbf or iat is in the future")
	}
	return i.verifyBy(ctx, c, a.token)
}

// ownAudiences are the names that assertions may have for us: RFC 7523 section 3 knows the first
// two, and RFC 9126 section 2 demands the third.
func (i *Issuer) ownAudiences() []string {
	return []string{i.URL, i.endpoint("/oauth2/token"), i.endpoint("/oauth2/par")}
}

// verifyBy tries the client's keys that may have signed the token.
func (i *Issuer) verifyBy(ctx context.Context, c userstore.Client, token *jose.Token) error {
	keys, err := i.clientKeys(ctx, c, token.Header.KeyID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if token.Verify(k) == nil {
			return nil
		}
	}
	return unproved(assertionSignature, "no key of the client verifies the assertion")
}

// useAssertion makes sure that a verified assertion authenticates the client once, on all replicas
// together. The jti is stored for longer than the assertion is valid: a replica whose clock is
// ahead must not forget a jti whose assertion another replica still accepts.
func (i *Issuer) useAssertion(ctx context.Context, c userstore.Client, a *assertion) error {
	until := time.UnixMicro(int64(a.claims.Expires * 1e6)).Add(2*i.ClockSkew + time.Second).UTC()
	err := i.Clients.UseAssertion(ctx, c.ID, a.claims.ID, i.now(), until)
	if errors.Is(err, userstore.ErrExists) || errors.Is(err, userstore.ErrInvalid) {
		return unproved(assertionUsed, "the assertion was used before, or its jti cannot be kept")
	}
	return err
}

// endpoint returns the address of one of our own paths.
func (i *Issuer) endpoint(path string) string { return strings.TrimSuffix(i.URL, "/") + path }
