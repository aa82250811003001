//go:build unix

package issuer_test

import (
	"testing"

	"github.com/signet-id/signet/internal/cputime"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkRefreshCost measures what one refresh costs the process: memory, and the time of its
// cores. PostgreSQL is another process. The first row is a refresh without status lists and proofs,
// which has to cost no more than before there were any; the others say what these cost where they are
// used.
func BenchmarkRefreshCost(b *testing.B) {
	for engine, open := range sqltest.Engines {
		for _, row := range []struct {
			name string
			of   func(b *testing.B, w *world) refreshing
		}{
			{"neither", func(_ *testing.B, w *world) refreshing { return w.refresh }},
			{"status lists", func(_ *testing.B, w *world) refreshing { w.statusLists(); return w.refresh }},
			{"at the token endpoint", func(_ *testing.B, w *world) refreshing { return w.refreshesWith(nil) }},
			{"with a proof", func(b *testing.B, w *world) refreshing { return w.refreshesWith(manyProofs(b, w)) }},
		} {
			b.Run(engine+"/"+row.name, func(b *testing.B) {
				w := newWorld(b, open(b))
				w.AccessAlg = jose.EdDSA
				token, refresh := w.login("profile email").RefreshToken, row.of(b, w)
				cputime.Loop(b, func() {
					r, err := refresh(token)
					if err != nil {
						b.Fatal(err)
					}
					token = r.RefreshToken
				})
			})
		}
	}
}

// manyProofs makes more proofs than a measurement of a few seconds needs, so that it counts what it takes to
// check them alone. A client that runs out of them is refused, because its grant is bound.
func manyProofs(b *testing.B, w *world) (proofs []string) {
	key := dpoptest.NewKey(b)
	for range 20_000 {
		proofs = append(proofs, w.keyProof(key))
	}
	return proofs
}
