//go:build unix

package issuer_test

import (
	"testing"

	"github.com/signet-id/signet/internal/cputime"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkRefreshCost measures what one refresh costs the process: memory, and the time of its
// cores. PostgreSQL is another process.
func BenchmarkRefreshCost(b *testing.B) {
	for engine, open := range sqltest.Engines {
		b.Run(engine, func(b *testing.B) {
			w := newWorld(b, open(b))
			w.AccessAlg = jose.EdDSA
			token := w.login("profile email").RefreshToken
			cputime.Loop(b, func() {
				r, err := w.refresh(token)
				if err != nil {
					b.Fatal(err)
				}
				token = r.RefreshToken
			})
		})
	}
}
