package dpop

import (
	"encoding/base64"
	"strconv"
	"time"
)

// NonceSlot is how long one nonce is given out (RFC 9449 section 8). It is accepted for as long again.
const NonceSlot = 2 * time.Minute

// Nonces returns the nonces that count now: first the one to give out, then the one before, and the next
// one, which a replica may give out whose clock is ahead. A nonce is an authenticated time, so that
// nothing has to be stored: mac is a MAC of text under a key that all replicas have, at least 128 bits.
func Nonces(now time.Time, mac func(text string) ([]byte, error)) (known []string, err error) {
	slot := now.Unix() / int64(NonceSlot/time.Second)
	for _, n := range []int64{slot, slot - 1, slot + 1} {
		sum, err := mac(strconv.FormatInt(n, 10))
		if err != nil {
			return nil, err
		}
		known = append(known, base64.RawURLEncoding.EncodeToString(sum))
	}
	return known, nil
}
