//go:build unix

package issuer_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkRefreshCost measures what one refresh costs the process: memory, and the time of its
// cores, which other programs on the machine hardly change. PostgreSQL is another process.
func BenchmarkRefreshCost(b *testing.B) {
	for _, store := range []struct {
		name string
		open func(testing.TB) *sqlstore.DB
	}{{"sqlite", sqltest.SQLite}, {"postgres", sqltest.Postgres}} {
		b.Run(store.name, func(b *testing.B) {
			w := newWorld(b, store.open(b))
			w.AccessAlg = jose.EdDSA
			token := w.login("profile email").RefreshToken
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				r, err := w.refresh(token)
				if err != nil {
					b.Fatal(err)
				}
				token = r.RefreshToken
			}
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
		})
	}
}

// cpuTime is the time that cores have spent on this process.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
