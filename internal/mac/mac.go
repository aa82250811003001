// Package mac is HMAC-SHA-256 over a list of texts, each with its length before it, so that no two lists run into one: of
// ("ab", "c") and ("a", "bc") a plain concatenation would be the same.
package mac

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Sum is the MAC of the parts.
func Sum(secret []byte, parts ...string) []byte { return New(secret, parts...).Sum(nil) }

// New is a MAC that the parts were written to. What is written after them comes without a length and has to be the last.
func New(secret []byte, parts ...string) hash.Hash {
	mac := hmac.New(sha256.New, secret)
	var size [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		mac.Write(size[:])
		mac.Write([]byte(part))
	}
	return mac
}
