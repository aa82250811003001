package issuer

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/userstore"
)

// A refresh token is a signed pointer to a grant and a generation. Its jti is an HMAC over both,
// under a secret that no signing key reveals: the jti, and not the signature, is what cannot be
// forged. So the signature is checked under any key that we ever published, and rotating or
// revoking keys logs no user out.
//
// Every claim follows from the grant's row, so every answer for one generation is the same token,
// on every replica.

// mintRefresh makes the refresh token of the grant's generation.
func (i *Issuer) mintRefresh(s *signers, a *Authorization) (string, error) {
	token, err := i.sign(s.of(i.Keys.RefreshAlgorithm()), TypeRefreshToken, &refreshClaims{
		Issuer:     i.URL,
		Audience:   i.URL,
		ClientID:   a.Grant.ClientID,
		Grant:      base64.RawURLEncoding.EncodeToString(a.Grant.ID[:]),
		Generation: a.Grant.Generation,
		ID:         a.RefreshJTI,
		IssuedAt:   a.Grant.RotatedAt.Unix(),
		Expires:    i.end(a.Grant).Unix(),
	}, nil)
	if err == nil {
		i.Counts.token(kindRefresh, &a.Client)
	}
	return token, err
}

// presented holds the claims of a refresh token that is ours.
type presented struct {
	grant      userstore.GrantID
	generation int64
	clientID   string
}

var (
	errRefreshToken   = refuse(InvalidGrant, "The refresh token is not valid here, or no longer: sign in again.")
	errRefreshExpired = refuse(Expired, "The session has ended: sign in again.")
	errRefreshSetup   = refuse(InvalidGrant, "The account has to get a second factor first: sign in again, and set one up.")
)

// verifyRefresh parses a refresh token and verifies that it is ours: signature, typ, iss, aud, exp,
// jti, in this order, without touching the store.
func (i *Issuer) verifyRefresh(ctx context.Context, raw string, now time.Time) (presented, error) {
	token, err := jose.Parse(raw)
	if err != nil {
		return presented{}, errRefreshToken.because(err)
	}
	key, ok := i.Keys.KnownKey(token.Header.KeyID)
	if !ok {
		if key, err = i.reloadKey(ctx, token, now); err != nil {
			return presented{}, err
		}
	}
	if err := token.Verify(key); err != nil {
		return presented{}, errRefreshToken.because(err)
	}
	if !token.Header.IsType(TypeRefreshToken) {
		return presented{}, errRefreshToken.because(fmt.Errorf("typ is not %s", TypeRefreshToken))
	}
	c, err := readRefreshClaims(token.Payload)
	if err != nil {
		return presented{}, errRefreshToken.because(err)
	}
	switch {
	case c.Issuer != i.URL:
		return presented{}, errRefreshToken.because(errors.New("iss is not ours"))
	case c.Audience != i.URL:
		return presented{}, errRefreshToken.because(errors.New("aud is not ours"))
	case now.Unix() >= c.Expires:
		return presented{}, errRefreshExpired
	}
	return i.verifyJTI(c)
}

// readRefreshClaims decodes a payload by hand, in one pass. It refuses all that
// strictjson.Unmarshal refuses, and members of other names; a test compares the two.
func readRefreshClaims(payload []byte) (c refreshClaims, err error) {
	valid := true
	text := func(value []byte) string {
		s, ok := strictjson.String(value)
		valid = valid && ok
		return s
	}
	number := func(value []byte) int64 {
		n, err := strconv.ParseInt(string(value), 10, 64)
		valid = valid && err == nil
		return n
	}
	err = strictjson.Object(payload, func(name, value []byte) {
		switch string(name) {
		case "iss":
			c.Issuer = text(value)
		case "aud":
			c.Audience = text(value)
		case "client_id":
			c.ClientID = text(value)
		case "grant":
			c.Grant = text(value)
		case "gen":
			c.Generation = number(value)
		case "jti":
			c.ID = text(value)
		case "iat":
			c.IssuedAt = number(value)
		case "exp":
			c.Expires = number(value)
		default:
			valid = false
		}
	})
	if err == nil && !valid {
		err = errors.New("the claims are not those of a refresh token")
	}
	return c, err
}

// verifyJTI recomputes the jti and compares it in constant time.
func (i *Issuer) verifyJTI(c refreshClaims) (presented, error) {
	grant, err := base64.RawURLEncoding.Strict().DecodeString(c.Grant)
	if err != nil || len(grant) != len(userstore.GrantID{}) || c.Generation < 1 {
		return presented{}, errRefreshToken.because(errors.New("grant and gen name no grant"))
	}
	p := presented{grant: userstore.GrantID(grant), generation: c.Generation, clientID: c.ClientID}
	jti, err := i.Keys.RefreshJTI(p.grant, p.generation)
	if err != nil {
		return presented{}, unready(fmt.Errorf("prove a refresh token: %w", err))
	}
	if subtle.ConstantTimeCompare([]byte(jti), []byte(c.ID)) != 1 {
		return presented{}, errRefreshToken.because(errors.New("the jti is not that of its grant and generation"))
	}
	return p, nil
}

// reloadKey finds a key that this replica does not know yet. After an emergency revocation another
// replica may sign with a key that is younger than our last read of the key set; refusing the token
// would log the user out. Only a token whose jti proves that we made it causes a read, so strangers
// cannot cause any.
func (i *Issuer) reloadKey(ctx context.Context, token *jose.Token, now time.Time) (jose.PublicKey, error) {
	unknown := errRefreshToken.because(errors.New("signed with a key that was never ours"))
	c, err := readRefreshClaims(token.Payload)
	if err != nil {
		return jose.PublicKey{}, unknown
	}
	if _, err := i.verifyJTI(c); err != nil {
		return jose.PublicKey{}, err
	}
	if now.Unix() >= c.Expires {
		return jose.PublicKey{}, errRefreshExpired
	}
	if err := i.Keys.Step(ctx); err != nil {
		return jose.PublicKey{}, unready(fmt.Errorf("look for a younger signing key: %w", err))
	}
	key, ok := i.Keys.KnownKey(token.Header.KeyID)
	if !ok {
		return jose.PublicKey{}, unknown
	}
	return key, nil
}
