package jose

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"testing"
	"time"
)

const benchPayload = `{"iss":"https://issuer.example","sub":"248289761001","aud":["https://api.example"],"exp":1799999999,"iat":1799999399,"jti":"5b1rEWqRRkJeLT8nAx9Zbg","client_id":"signet","scope":"openid profile email","sid":"5b1rEWqRRkJeLT8nAx9Zbg","auth_time":1799999000,"acr":"1","amr":["pwd"],"roles":["admin"]}`

// compare times two operations in turns, so that other load of the machine hits both, and reports
// the ratio of the second to the first, by medians.
func compare(b *testing.B, raw, ours func() error) {
	var rawTimes, ourTimes []time.Duration
	for b.Loop() {
		start := time.Now()
		err := raw()
		middle := time.Now()
		if err == nil {
			err = ours()
		}
		end := time.Now()
		if err != nil {
			b.Fatal(err)
		}
		rawTimes = append(rawTimes, middle.Sub(start))
		ourTimes = append(ourTimes, end.Sub(middle))
	}
	rawTime, ourTime := median(rawTimes), median(ourTimes)
	b.ReportMetric(rawTime, "ns/raw")
	b.ReportMetric(ourTime, "ns/ours")
	b.ReportMetric(ourTime/rawTime, "x-raw")
}

// BenchmarkSign: a complete token from a prepared payload against the bare
// primitive over bytes of the same length.
func BenchmarkSign(b *testing.B) {
	for _, alg := range algorithms {
		b.Run(alg, func(b *testing.B) {
			s, k := newSigner(b, alg)
			_ = k
			message, options := []byte(sign(b, s, benchPayload)), s.options
			payload := []byte(benchPayload)
			compare(b, func() error {
				m := message
				if options.HashFunc() != crypto.Hash(0) {
					digest := sha256.Sum256(message)
					m = digest[:]
				}
				_, err := s.key.Sign(rand.Reader, m, options)
				return err
			}, func() error {
				_, err := s.Sign("at+jwt", payload)
				return err
			})
		})
	}
}

// BenchmarkParseAndVerify measures the way from the compact string to a verified payload.
func BenchmarkParseAndVerify(b *testing.B) {
	for _, alg := range algorithms {
		b.Run(alg, func(b *testing.B) {
			s, k := newSigner(b, alg)
			token := sign(b, s, benchPayload)
			parsed, err := Parse(token)
			if err != nil {
				b.Fatal(err)
			}
			compare(b, func() error { return parsed.Verify(k) }, func() error { return verify(token, k) })
		})
	}
}

func BenchmarkParse(b *testing.B) {
	s, _ := newSigner(b, RS256)
	token := sign(b, s, benchPayload)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(token); err != nil {
			b.Fatal(err)
		}
	}
}

func median(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)/2].Nanoseconds())
}
