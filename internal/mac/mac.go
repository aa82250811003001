// Package mac computes HMAC-SHA-256 over a list of texts. The length of each text is written before
// it, because ("ab", "c") and ("a", "bc") are the same when simply joined.
package mac

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Sum returns the MAC of the parts.
func Sum(secret []byte, parts ...string) []byte { return New(secret, parts...).Sum(nil) }

// New returns a MAC with the parts written. The caller may write one more part, which gets no
// length and so must be the last.
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
