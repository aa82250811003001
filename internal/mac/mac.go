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
	mac.Write(Join(parts...))
	return mac
}

// Join returns the parts, each after its length. No other parts give the same bytes.
func Join(parts ...string) []byte {
	var joined []byte
	for _, part := range parts {
		joined = binary.BigEndian.AppendUint64(joined, uint64(len(part)))
		joined = append(joined, part...)
	}
	return joined
}
