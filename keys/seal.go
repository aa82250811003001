package keys

import (
	"crypto"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"

	"github.com/signet-id/signet/internal/jose"
)

// The store holds private halves, the refresh secret and the factor secret as JWE under the
// key-encryption key, which never enters the store: a copy of the database cannot sign anything.

// mint sets the id and the material of a planned key.
func mint(k *Key, private crypto.Signer, kek jose.KEK) error {
	kid, err := jose.Thumbprint(private.Public())
	if err != nil {
		return fmt.Errorf("name a new %s key: %w", k.Algorithm, err)
	}
	public, err := jose.MarshalPublic(jose.PublicKey{ID: kid, Algorithm: k.Algorithm, Key: private.Public()})
	if err != nil {
		return fmt.Errorf("publish a new %s key: %w", k.Algorithm, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode a new %s key: %w", k.Algorithm, err)
	}
	defer clear(der)
	sealed, err := jose.Seal(der, kek, kid)
	if err != nil {
		return fmt.Errorf("seal a new %s key: %w", k.Algorithm, err)
	}
	k.ID, k.Public, k.Sealed = kid, public, sealed
	return nil
}

// openKey opens the private half and checks it against the kid: a person who can write to the store
// must not be able to put another key under a published name.
func openKey(k *Key, keks []jose.KEK) (crypto.Signer, error) {
	der, err := unseal(k.Sealed, k.ID, "signing key "+k.ID, keks)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("the sealed signing key %s is damaged; revoke it with `signet keys revoke %s`", k.ID, k.ID)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the sealed signing key %s cannot sign; revoke it with `signet keys revoke %s`", k.ID, k.ID)
	}
	if kid, err := jose.Thumbprint(private.Public()); err != nil || kid != k.ID {
		return nil, fmt.Errorf("the sealed signing key %s is another key than its name says; revoke it with `signet keys revoke %s`", k.ID, k.ID)
	}
	return private, nil
}

// refreshSecretName is the name that the seal of the refresh secret is bound to, as that of a
// signing key is bound to its kid.
const refreshSecretName = "refresh-secret"

func newRefreshSecret(kek jose.KEK) (sealed string, err error) {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails: the process ends instead
	defer clear(secret)
	return jose.Seal(secret, kek, refreshSecretName)
}

// unseal opens sealed, or says which key-encryption key is missing: by its id, which is safe to
// show, never by the key.
func unseal(sealed, name, what string, keks []jose.KEK) ([]byte, error) {
	plain, err := jose.Open(sealed, name, keks...)
	if err == nil {
		return plain, nil
	}
	id, idErr := jose.SealedUnder(sealed)
	if !errors.Is(err, jose.ErrNoKEK) || idErr != nil {
		return nil, fmt.Errorf("the %s in the store is damaged or was moved from another row; restore it from a backup: %w", what, err)
	}
	if len(keks) == 0 {
		return nil, fmt.Errorf("the %s is sealed under the key-encryption key %s, and none is given; "+
			"set keys.encryption_key or keys.encryption_key_file to that key", what, id)
	}
	var given []string
	for _, kek := range keks {
		given = append(given, kek.ID)
	}
	return nil, fmt.Errorf("the %s is sealed under the key-encryption key %s, but %s was given; "+
		"set keys.encryption_key (or keys.encryption_key_previous, during a rewrap) to the key %s",
		what, id, strings.Join(given, " and "), id)
}

// refreshSecret makes the jti of refresh tokens.
type refreshSecret struct {
	pool    sync.Pool
	derived [len(purposes)][]byte
}

// Purpose is the purpose of a key that is derived from the refresh secret. A key for one purpose is
// of no use for any other, least of all against refresh tokens (RFC 5869).
type Purpose int

const (
	Budgets Purpose = iota // the names of throttling budgets
	Cursors                // the admin API's cursors
	Forms                  // the pages' hidden fields and request handles
	OneTime                // links, codes and handles of one-time tokens, and the budgets of addresses
)

var purposes = [...]string{Budgets: "signet throttle budgets", Cursors: "signet cursors", Forms: "signet forms",
	OneTime: "signet one-time tokens"}

// jtiHash is the working memory of one jti. It is pooled because the hash
// interface would move every buffer to the heap.
type jtiHash struct {
	mac  hash.Hash
	in   [16 + 8]byte // grant ‖ generation, both of fixed width
	sum  [sha256.Size]byte
	text [43]byte
}

func newSecret(secret []byte) *refreshSecret {
	s := new(refreshSecret)
	for p, name := range purposes {
		key, err := hkdf.Key(sha256.New, secret, nil, name, sha256.Size)
		if err != nil {
			panic(err) // only for a length that no hash has
		}
		s.derived[p] = key
	}
	s.pool.New = func() any { return &jtiHash{mac: hmac.New(sha256.New, secret)} }
	return s
}

func (s *refreshSecret) jti(grant [16]byte, generation int64) string {
	h := s.pool.Get().(*jtiHash)
	defer s.pool.Put(h)
	h.mac.Reset()
	copy(h.in[:], grant[:])
	binary.BigEndian.PutUint64(h.in[16:], uint64(generation))
	h.mac.Write(h.in[:])
	base64.RawURLEncoding.Encode(h.text[:], h.mac.Sum(h.sum[:0]))
	return string(h.text[:])
}
