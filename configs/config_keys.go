package configs

import "time"

// Keys is the section `keys`: signing keys and the key that seals them.
type Keys struct {
	// The key-encryption key, which seals private keys and secrets in the database and
	// never enters it; `signet keys new-kek` makes one. Not given: with the embedded
	// database one is made beside it at the first start; PostgreSQL needs it given.
	EncryptionKey Secret `key:"encryption_key"`

	// A file that holds `keys.encryption_key`.
	EncryptionKeyFile string `key:"encryption_key_file"`

	// The key-encryption key before this one. It opens but never seals, so that
	// `signet keys rewrap` can run under live servers.
	EncryptionKeyPrevious Secret `key:"encryption_key_previous"`

	// A file that holds `keys.encryption_key_previous`.
	EncryptionKeyPreviousFile string `key:"encryption_key_previous_file"`

	// Signature algorithms that are on: RS256, PS256, ES256, EdDSA. The first one
	// stands in for another that has no active key yet.
	Algorithms []string `key:"algorithms"`

	// How long a key signs before its successor takes over. At least `keys.propagation`.
	Rotation time.Duration `key:"rotation"`

	// How long a key is published before it signs. It must cover
	// `keys.jwks_max_age`, `clock_skew` and the time a replica may be behind.
	Propagation time.Duration `key:"propagation"`

	// How long clients and caches may keep the published keys.
	JWKSMaxAge time.Duration `key:"jwks_max_age"`
}

// KEKPath returns the path of the embedded database's key-encryption key, which is used when no key
// is configured.
func (c Config) KEKPath() string { return c.Database() + ".kek" }
