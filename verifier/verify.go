package verifier

import (
	"context"
	"errors"
	"slices"

	"github.com/signet-id/signet/internal/jose"
)

// typeAccessToken is RFC 9068's `typ`, compared without case and with or without
// the prefix application/ (RFC 8725 section 3.11).
const typeAccessToken = "at+jwt"

// presented is a token as it came: what it says of itself, and no reason yet to believe it.
type presented struct {
	header  jose.Header
	claims  jose.AccessClaims
	payload []byte
	jws     *jose.Token    // nil: the token is remembered
	proven  jose.PublicKey // of a remembered token: the key that signed it
}

// Verify returns the token if raw is an access token of an issuer of the Config for this resource
// server and is valid now. Otherwise the token is nil and the error is an *Error: ErrInvalid for a
// token that is not accepted (and with it ErrExpired, ErrRevoked, ErrWrongAudience and others, which
// say why), ErrKeysUnavailable or ErrStatusUnavailable when the verifier cannot decide.
//
// Verify waits for the issuer only when it has no fresh key set or the token names an unknown key.
// It waits for at most a quarter of a second with a token that would be refused under any key, and
// never longer than ctx allows.
//
// A token that is bound to a key is refused here: see VerifyDPoP.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Token, error) {
	return v.verify(ctx, raw, false)
}

// verify is Verify. anyKey says that a token may be bound to a key, whose proof the caller checks.
func (v *Verifier) verify(ctx context.Context, raw string, anyKey bool) (*Token, error) {
	name, p := v.cache.Find(raw)
	if p == nil {
		var err error
		if p, err = read(raw); err != nil {
			return nil, err
		}
	}
	issuer := v.issuer(p.claims.Issuer)
	if issuer == nil {
		return nil, invalid(faultWrongIssuer, "the token is from another issuer")
	}
	if !slices.Contains(issuer.algorithms, p.header.Algorithm) {
		return nil, invalid(faultWrongAlgorithm, "the token's alg is not allowed here")
	}
	// The claims are checked first, although no signature proves them yet: they cost a tenth of a
	// signature, and a token that would be refused anyway must not cause a fetch of the keys.
	refusal := p.claims.Check(jose.Expected{
		Issuer: issuer.identifier, Audience: issuer.audience, AnyKey: anyKey, Now: v.now(), Skew: v.skew,
	})
	keys, err := issuer.keys.find(ctx, p.header.KeyID, p.claims.IssuedAt, refusal == nil)
	if err != nil {
		return nil, err
	}
	key, err := p.signer(keys)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refused(refusal)
	}
	if err := issuer.status.check(ctx, p.claims); err != nil {
		return nil, err
	}
	if v.cache != nil && p.jws != nil {
		v.cache.Remember(name, p.remembered(key))
	}
	return p.token(), nil
}

// read takes a token apart and checks what needs neither keys nor configuration.
func read(raw string) (*presented, error) {
	jws, err := jose.Parse(raw)
	if err != nil {
		return nil, invalid(faultMalformed, err.Error())
	}
	if !jws.Header.IsType(typeAccessToken) {
		return nil, invalid(faultWrongType, "the token is not an access token: its typ is not at+jwt")
	}
	if jws.Header.KeyID == "" {
		return nil, invalid(faultMalformed, "the token does not name its key (kid)")
	}
	claims, err := jose.ReadAccessClaims(jws.Payload)
	if err != nil {
		return nil, invalid(faultMalformed, err.Error())
	}
	return &presented{header: jws.Header, claims: claims, payload: jws.Payload, jws: jws}, nil
}

// signer returns which of the issuer's keys with the token's kid signed the token. It is one key,
// unless the issuer gave two keys the same kid.
func (p *presented) signer(keys []jose.PublicKey) (jose.PublicKey, error) {
	if len(keys) == 0 {
		return jose.PublicKey{}, invalid(faultUnknownKey, "the token is signed with a key that the issuer does not publish")
	}
	err := jose.ErrSignature
	for _, key := range keys {
		if p.jws == nil {
			if key.Equal(p.proven) {
				return key, nil
			}
			continue
		}
		if err = p.jws.Verify(key); err == nil {
			return key, nil
		}
	}
	if errors.Is(err, jose.ErrWrongAlgorithm) {
		return jose.PublicKey{}, invalid(faultWrongAlgorithm, err.Error())
	}
	return jose.PublicKey{}, invalid(faultSignature, err.Error())
}

// remembered returns what the cache keeps of a token that was signed with key. Its lists are its
// own.
func (p *presented) remembered(key jose.PublicKey) *presented {
	entry := &presented{header: p.header, claims: p.claims, payload: p.payload, proven: key}
	separate(&entry.claims.Audience, &entry.claims.Scopes, &entry.claims.AMR, &entry.claims.Roles)
	return entry
}

// token returns the token that was accepted. Its lists are its own: a caller may change them,
// though the token is remembered.
func (p *presented) token() *Token {
	token := newToken(p.claims, p.payload)
	token.KeyID, token.Algorithm = p.header.KeyID, p.header.Algorithm
	if p.jws != nil {
		return token
	}
	separate(&token.Audience, &token.Scopes, &token.AuthenticationMethods, &token.Roles)
	return token
}

// separate gives each list an array that no other list shares, in one allocation.
func separate(lists ...*[]string) {
	n := 0
	for _, list := range lists {
		n += len(*list)
	}
	own := make([]string, 0, n)
	for _, list := range lists {
		if *list != nil {
			own = append(own, *list...)
			*list = own[len(own)-len(*list) : len(own) : len(own)]
		}
	}
}
