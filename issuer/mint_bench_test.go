package issuer

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
)

// BenchmarkAccessToken compares a complete access token, claims and all, with the
// bare signature: aims are 1.06 times for RS256, 1.5 times for EdDSA. Each token is
// followed by one signature, so that both meet the same machine; the median of
// each is compared.
func BenchmarkAccessToken(b *testing.B) {
	for _, alg := range []string{jose.RS256, jose.EdDSA} {
		b.Run(alg, func(b *testing.B) {
			key, err := keystest.Generator()(alg)
			if err != nil {
				b.Fatal(err)
			}
			ring := newFixedKeys(b, alg, key)
			now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
			i := &Issuer{
				Admission: NoAdmission, Cache: NoClientCache,
				URL: "https://id.example.test", Keys: ring, Now: func() time.Time { return now }, NewID: randomID,
				AccessAlg: alg, AccessLifetime: 10 * time.Minute, RefreshIdle: time.Hour,
			}
			a := Authorization{
				Grant: userstore.Grant{
					SessionID: randomID(), UserID: randomID(), ClientID: "signet", AuthTime: now, AMR: []string{"pwd"},
					ACR:        userstore.OneFactor,
					Generation: 1, RotatedAt: now, ExpiresAt: now.Add(time.Hour),
				},
				Client: userstore.Client{FirstParty: true}, Roles: []string{"editor"},
				Scopes: []string{"openid", "profile", "email"},
			}
			var tokens, raws []time.Duration
			for b.Loop() {
				start := time.Now()
				s, err := i.signers()
				if err != nil {
					b.Fatal(err)
				}
				token, err := i.mint(b.Context(), now, s, Authorization{Grant: a.Grant, Client: a.Client, Roles: a.Roles, Scopes: a.Scopes[1:]})
				if err != nil {
					b.Fatal(err)
				}
				tokens = append(tokens, time.Since(start))

				// The primitive alone, over what was just signed.
				message, options := []byte(token.AccessToken[:len(token.AccessToken)-86]), crypto.SignerOpts(crypto.Hash(0))
				if alg == jose.RS256 {
					digest := sha256.Sum256(message)
					message, options = digest[:], crypto.SHA256
				}
				start = time.Now()
				if _, err := key.Sign(rand.Reader, message, options); err != nil {
					b.Fatal(err)
				}
				raws = append(raws, time.Since(start))
			}
			slices.Sort(tokens)
			slices.Sort(raws)
			token, raw := tokens[len(tokens)/2], raws[len(raws)/2]
			b.ReportMetric(float64(token)/float64(raw), "×raw")
			b.ReportMetric(float64(token.Nanoseconds()), "ns/token")
			b.ReportMetric(float64(raw.Nanoseconds()), "ns/raw")
		})
	}
}

func randomID() string {
	var raw [16]byte
	rand.Read(raw[:])
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
