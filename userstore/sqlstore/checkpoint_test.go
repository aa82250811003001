//go:build unix

package sqlstore_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// scratch returns a store with a table for rows of ten pages each, and the path of its file.
func scratch(t *testing.T) (*sqlstore.DB, string) {
	t.Helper()
	path := sqltest.SQLitePath(t)
	db, err := sqlstore.Open(t.Context(), path, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	write(t, db, "CREATE TABLE scratch (x)", 1)
	return db, path
}

func write(t *testing.T, db *sqlstore.DB, statement string, times int) {
	t.Helper()
	for range times {
		if err := sqlstore.Exec(t.Context(), db, statement); err != nil {
			t.Fatal(err)
		}
	}
}

const tenPages = "INSERT INTO scratch VALUES (zeroblob(40000))"

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestTheLogIsWrittenBack(t *testing.T) {
	t.Run("not within a commit", func(t *testing.T) {
		db, path := scratch(t)
		sqlstore.StopCheckpoints(db)
		before := size(t, path)
		write(t, db, tenPages, 300)
		if now := size(t, path); now != before {
			t.Errorf("the file grew from %d to %d bytes while nothing wrote the log back", before, now)
		}
		if log := db.Stats().Log; log < 300*40_000 {
			t.Errorf("the log of 12 MB has %d bytes", log)
		}
	})
	t.Run("beside the requests", func(t *testing.T) {
		db, path := scratch(t)
		before := size(t, path)
		write(t, db, tenPages, 300)
		for deadline := time.Now().Add(time.Minute); size(t, path) < before+300*40_000; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the file has %d bytes, and had %d before 12 MB were written", size(t, path), before)
			}
		}
	})
}

// TestALongLogBeginsAnew: while others go on writing, something new always stands in the log.
func TestALongLogBeginsAnew(t *testing.T) {
	db, _ := scratch(t)
	sqlstore.StopCheckpoints(db)
	write(t, db, tenPages, sqlstore.LongLog/10+1)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		for ctx.Err() == nil {
			if err := sqlstore.Exec(t.Context(), db, "INSERT INTO scratch VALUES (1)"); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	pages, held := sqlstore.Checkpoint(t.Context(), db)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if pages < sqlstore.LongLog || held {
		t.Fatalf("%d pages, held: %t", pages, held)
	}
	write(t, db, tenPages, 1)
	if pages, _ = sqlstore.Checkpoint(t.Context(), db); pages >= sqlstore.LongLog {
		t.Errorf("the log has %d pages and goes on", pages)
	}
}

// TestABackupHoldsTheLog: a reader that stays keeps nobody from writing.
func TestABackupHoldsTheLog(t *testing.T) {
	db, path := scratch(t)
	sqlstore.StopCheckpoints(db)
	reader := raw(t, path)
	execute(t, reader, "BEGIN", "SELECT count(*) FROM scratch")
	write(t, db, tenPages, sqlstore.LongLog/10+1)
	if pages, held := sqlstore.Checkpoint(t.Context(), db); pages < sqlstore.LongLog || !held {
		t.Fatalf("%d pages, held: %t", pages, held)
	}
	write(t, db, tenPages, 1)
	execute(t, reader, "COMMIT")
	if _, held := sqlstore.Checkpoint(t.Context(), db); held {
		t.Fatal("the log is held when the reader has ended")
	}
	write(t, db, tenPages, 1)
	if pages, _ := sqlstore.Checkpoint(t.Context(), db); pages >= sqlstore.LongLog {
		t.Errorf("the log has %d pages and goes on", pages)
	}
}
