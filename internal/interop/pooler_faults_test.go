//go:build interop && linux

package interop

import (
	"testing"
	"time"

	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// PgBouncer in transaction mode is killed, and then PostgreSQL behind it, while clients sign up and
// refresh at the real binary. Nothing that was acknowledged is lost, and no client that repeats its
// request loses its session.
func TestF01F02PgBouncerIsKilled(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Options{})
	direct := server.URL(t)
	// Otherwise PgBouncer waits 15 s before it tries a server again that it did not reach.
	pooler := pgtest.StartPgBouncer(t, direct, append([]string{"server_login_retry = 1"}, few...)...)
	r := newRestored(t)
	r.serve(t, pooler.URL)
	r.ways = []way3{{name: "PgBouncer", replicas: []string{r.issuer}}}
	load := r.begin(t)
	for range 2 {
		load.goesOn(t)
		noFault(t, pooler.Kill())
		eventually(t, "the replica is not ready without PgBouncer", func() bool { return !r.ready(r.issuer) })
		began := time.Now()
		noFault(t, pooler.Resume())
		load.recovers(t, "PgBouncer killed", began)

		load.goesOn(t)
		noFault(t, server.Stop())
		eventually(t, "the replica is not ready without PostgreSQL", func() bool { return !r.ready(r.issuer) })
		began = time.Now()
		noFault(t, server.Resume())
		load.recovers(t, "PostgreSQL killed behind PgBouncer", began)
	}
	load.end(t, direct)
}
