//go:build unix

package sqlstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// Killed after any batch, the copy goes on; until it is complete no server starts on it.
func TestACopyGoesOnAfterEveryInterruption(t *testing.T) {
	t.Parallel()
	path, url := sqltest.SQLitePath(t), pgtest.URL(t)
	fillTables(t, path, 10)
	unfinished := 0
	for reports, step := 1, 1; ; reports += step {
		ctx, cancel := context.WithCancel(t.Context())
		from, to := open(t, path, sqlstore.Options{}), open(t, url, sqlstore.Options{})
		seen := 0
		var last int64
		result, err := from.CopyTo(ctx, to, sqlstore.CopyOptions{Batch: 7, Report: func(done, total int64) {
			if done > 2*total/3 {
				step = 9 // it is verified by now
			}
			if done != last && done > total/3 {
				if seen++; seen == reports {
					cancel()
				}
			}
			last = done
		}})
		cancel()
		from.Close()
		check := to.CheckSchema(t.Context())
		to.Close()
		if err == nil {
			if !result.Resumed || result.Already {
				t.Errorf("%+v", result)
			}
			if check != nil {
				t.Error(check)
			}
			break
		}
		if unfinished++; !errors.Is(check, sqlstore.ErrCopyUnfinished) {
			t.Fatalf("after interruption %d a server would start: %v, %v", unfinished, err, check)
		}
	}
	t.Logf("%d interruptions", unfinished)
	if unfinished < len(sqlstore.CopiedTables) {
		t.Errorf("only %d interruptions", unfinished)
	}
	sameCells(t, path, url)
}

// A copy whose connections are ended by the server, at any moment.
func TestACopyThroughLostConnections(t *testing.T) {
	t.Parallel()
	path, url := sqltest.SQLitePath(t), pgtest.URL(t)
	fillTables(t, path, 60)
	admin := session(t, url)
	ctx, stop := context.WithCancel(t.Context())
	var killer sync.WaitGroup
	killer.Go(func() {
		for ctx.Err() == nil {
			_, _ = admin.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'signet' AND random() < 0.3`)
			select {
			case <-ctx.Done():
			case <-time.After(3 * time.Millisecond):
			}
		}
	})
	failed, done := 0, false
	for try := 0; try < 60 && !done; try++ {
		from := open(t, path, sqlstore.Options{})
		if to, err := sqlstore.Open(t.Context(), url, sqlstore.Options{MaxConns: 2}); err == nil {
			_, err = from.CopyTo(t.Context(), to, sqlstore.CopyOptions{Batch: 5})
			to.Close()
			done = err == nil
		}
		from.Close()
		if !done {
			failed++
		}
	}
	stop()
	killer.Wait()
	if failed == 0 {
		t.Error("no copy was interrupted")
	}
	if !done {
		from, to := open(t, path, sqlstore.Options{}), open(t, url, sqlstore.Options{})
		if _, err := from.CopyTo(t.Context(), to, sqlstore.CopyOptions{}); err != nil {
			t.Fatalf("after %d interruptions: %v", failed, err)
		}
	}
	sameCells(t, path, url)
}

// Two copies into one database: one of them is refused, and the other one is complete.
func TestTwoCopiesIntoOneDatabase(t *testing.T) {
	t.Parallel()
	path, url := sqltest.SQLitePath(t), sqltest.PostgresURL(t)
	fillTables(t, path, 10)
	admin := session(t, url)
	psql(t, admin, `SELECT pg_advisory_lock(`+sqlstore.MigrationLock+`)`)
	from, to := open(t, path, sqlstore.Options{}), open(t, url, sqlstore.Options{})
	short, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	says(t, sqlstore.CopyLocked(short, from, to), "another command migrates this database")
	psql(t, admin, `SELECT pg_advisory_unlock_all()`)
	if _, err := from.CopyTo(t.Context(), to, sqlstore.CopyOptions{}); err != nil {
		t.Error(err)
	}
	sameCells(t, path, url)
}
