package load

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// Keys are those that every contender signs with.
type Keys struct {
	RS256 *rsa.PrivateKey // 2048 bits, as every contender makes them by default
	EdDSA ed25519.PrivateKey
}

func newKeys() (k Keys, err error) {
	k.RS256, err = newKey(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	if err != nil {
		return k, err
	}
	k.EdDSA, err = newKey(func() (ed25519.PrivateKey, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	})
	return k, err
}

// newKey generates keys until Signet would sign with one.
func newKey[K crypto.Signer](generate func() (K, error)) (K, error) {
	for {
		key, err := generate()
		if err != nil {
			return key, err
		}
		if kid, err := jose.Thumbprint(key.Public()); err != nil || keys.Nameable(kid) {
			return key, err
		}
	}
}

// seed makes the schema of a database and puts the keys into it, as the first start of a server
// would, so that the server signs with them.
func (k Keys) seed(ctx context.Context, database, encryptionKey string) error {
	kek, err := jose.ParseKEK(encryptionKey)
	if err != nil {
		return err
	}
	db, err := sqlstore.Open(ctx, database, sqlstore.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	ours := map[string]crypto.Signer{rs256: k.RS256, eddsa: k.EdDSA}
	m := &keys.Manager{
		Store: db, KEKs: []jose.KEK{kek}, Now: time.Now, DatabaseNow: db.Now, TypesToSign: issuer.TokenTypes,
		Policy: keys.Policy{Algorithms: []string{rs256, eddsa}, Rotation: 720 * time.Hour, Propagation: time.Hour,
			JWKSMaxAge: 5 * time.Minute, ClockSkew: time.Minute, LongestLifetime: time.Hour, RefreshAbsolute: 720 * time.Hour},
		Generate: func(alg string) (crypto.Signer, error) {
			if key := ours[alg]; key != nil { // the first one of an algorithm is the one that signs
				delete(ours, alg)
				return key, nil
			}
			return keys.GenerateKey(alg)
		},
	}
	return m.Start(ctx)
}

// privateJWKS is the keys as a JWK set (RFC 7517, RFC 7518 section 6.3, RFC 8037 section 2).
func (k Keys) privateJWKS() map[string]any {
	text := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	r := k.RS256
	return map[string]any{"keys": []map[string]string{
		{"kty": "RSA", "use": "sig", "alg": rs256, "kid": "rs256",
			"n": text(r.N.Bytes()), "e": "AQAB", "d": text(r.D.Bytes()), "p": text(r.Primes[0].Bytes()), "q": text(r.Primes[1].Bytes()),
			"dp": text(r.Precomputed.Dp.Bytes()), "dq": text(r.Precomputed.Dq.Bytes()), "qi": text(r.Precomputed.Qinv.Bytes())},
		{"kty": "OKP", "use": "sig", "alg": eddsa, "kid": "eddsa", "crv": "Ed25519",
			"x": text(k.EdDSA.Public().(ed25519.PublicKey)), "d": text(k.EdDSA.Seed())},
	}}
}

// pkcs8 is the keys for programs in Go.
func (k Keys) pkcs8() (rsaKey, edKey []byte, err error) {
	rsaKey, err1 := x509.MarshalPKCS8PrivateKey(k.RS256)
	edKey, err2 := x509.MarshalPKCS8PrivateKey(k.EdDSA)
	return rsaKey, edKey, errors.Join(err1, err2)
}
