package sqlstore

import (
	"os"
	"path/filepath"
	"time"
)

// Stats describes the pool of connections, now and since it was opened.
type Stats struct {
	InUse, Idle, Max int           // now; SQLite's one writer and its readers together
	Waits            int64         // calls that waited for a connection
	Waited           time.Duration // the sum of their waits
	// Log is the size of the file of SQLite's log, in bytes; 0 on PostgreSQL. The file keeps the
	// size that it had, and is cut to 64 MiB at most when the log begins anew.
	Log int64
}

// Stats returns the numbers for metrics.
func (db *DB) Stats() Stats {
	switch e := db.engine.(type) {
	case *postgres:
		s := e.pool.Stat()
		return Stats{
			InUse: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Max: int(s.MaxConns()),
			Waits: e.waits.Load(), Waited: time.Duration(e.waited.Load()),
		}
	case *sqliteEngine:
		r, w := e.reader.Stats(), e.writer.Stats()
		return Stats{
			Log:   e.logSize(),
			InUse: r.InUse + w.InUse, Idle: r.Idle + w.Idle, Max: readers + 1,
			Waits: r.WaitCount + w.WaitCount, Waited: r.WaitDuration + w.WaitDuration,
		}
	}
	return Stats{}
}

// logSize returns the size of the log's file, which is beside the file that a link leads to.
func (e *sqliteEngine) logSize() int64 {
	path, err := filepath.EvalSymlinks(e.path)
	if err != nil {
		return 0
	}
	log, err := os.Stat(path + "-wal")
	if err != nil { // nothing was written yet
		return 0
	}
	return log.Size()
}
