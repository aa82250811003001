package verifier_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
)

// BenchmarkVerify compares Verify of a full access token, with the key set cached, with the bare
// signature check over the same bytes. Both are timed in turns within one loop, so that other load
// on the machine slows both; the medians are compared. Targets: x-raw at most 1.4 for RS256 and
// 1.25 for EdDSA.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{verifier.RS256, verifier.EdDSA, verifier.ES256} {
		b.Run(alg, func(b *testing.B) {
			s := newStand(b)
			now := s.issuer.Now().Unix()
			token := mk(b, s.header(alg, nil), s.claims(map[string]any{
				"aud": []string{audience}, "jti": "5b1rEWqRRkJeLT8nAx9Zbg", "client_id": "signet", "scope": "openid profile email",
				"sid":       "5b1rEWqRRkJeLT8nAx9Zbg",
				"auth_time": now - 5, "acr": "1", "amr": []string{"pwd"}, "roles": []string{"admin"},
			}), s.keys[alg])
			dot := strings.LastIndexByte(token, '.')
			signed := []byte(token[:dot])
			sig, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
			if err != nil {
				b.Fatal(err)
			}
			raw := func() bool {
				switch key := s.keys[alg].Public().(type) {
				case *rsa.PublicKey:
					sum := sha256.Sum256(signed)
					return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) == nil
				case *ecdsa.PublicKey:
					sum := sha256.Sum256(signed)
					return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
				case ed25519.PublicKey:
					return ed25519.Verify(key, signed, sig)
				}
				return false
			}
			ctx := b.Context()
			var rawTimes, ourTimes []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				good := raw()
				middle := time.Now()
				_, err := s.v.Verify(ctx, token)
				ourTimes = append(ourTimes, time.Since(middle))
				rawTimes = append(rawTimes, middle.Sub(start))
				if err != nil || !good {
					b.Fatal(errors.Join(err, errors.New("not verified")))
				}
			}
			rawTime, ourTime := median(rawTimes), median(ourTimes)
			b.ReportMetric(rawTime, "ns/raw")
			b.ReportMetric(ourTime, "ns/verify")
			b.ReportMetric(ourTime/rawTime, "x-raw")
		})
	}
}

func median(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)/2].Nanoseconds())
}
