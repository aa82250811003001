//go:build chaos

package chaos

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/sqlstore/pgtest/patroni"
)

// cluster is a highly available PostgreSQL of three nodes, reached through HAProxy.
type cluster struct{ *patroni.Cluster }

func newCluster(t *testing.T) Database {
	t.Helper()
	c, err := patroni.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return cluster{c}
}

// On implements Database. The cluster's nodes are killed as processes, so that what they wrote is in
// the system's cache, and the tests' cluster leaves fsync off.
func (c cluster) On() []string { return []string{"synchronous_commit"} }

// Faults implements Database. Each of them waits until the cluster is whole again, since a second
// loss at once is more than a synchronous standby can bear.
func (c cluster) Faults(prober *Prober) Group {
	lose := func(lose, mend func(string) error) func(context.Context, *rand.Rand) error {
		return func(ctx context.Context, _ *rand.Rand) error {
			leader, err := c.Leader()
			if err != nil {
				return errNotNow
			}
			if err := lose(leader); err != nil {
				return err
			}
			failed := c.writable(ctx, prober)
			if err := mend(leader); err != nil {
				return err
			}
			if failed != nil {
				return failed
			}
			return c.Whole()
		}
	}
	return Group{"database", []Fault{
		{"leader killed", 60 * time.Second, lose(c.Kill, c.Revive)},
		{"leader frozen", 80 * time.Second, lose(c.Freeze, c.Thaw)},
		{"switchover", 70 * time.Second, func(ctx context.Context, _ *rand.Rand) error {
			standby, err := c.Synchronous()
			if err != nil || standby == "" {
				return errNotNow
			}
			if err := c.Switchover(standby); err != nil {
				return errNotNow // patronictl refuses while the cluster is busy
			}
			if err := c.writable(ctx, prober); err != nil {
				return err
			}
			return c.Whole()
		}},
		{"backends terminated", 30 * time.Second, func(ctx context.Context, random *rand.Rand) error {
			return terminate(ctx, c.URL(), 1+random.IntN(15))
		}},
	}}
}

// writable waits until a leader accepts connections through HAProxy, and then for the recovery.
func (c cluster) writable(ctx context.Context, prober *Prober) error {
	for ctx.Err() == nil {
		if accepts(ctx, c.URL()) {
			return prober.Recovered(ctx, time.Now())
		}
		pause(ctx, 20*time.Millisecond)
	}
	return nil
}

// accepts tells whether a database that can write is reached at address.
func accepts(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return false
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var standby bool
	err = conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby)
	return err == nil && !standby
}
