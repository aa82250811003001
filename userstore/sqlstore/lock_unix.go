//go:build unix

package sqlstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockFile makes this process the one server of a SQLite file, until unlock is called or the
// process ends, however it ends. It locks the file path.lock, which stays there, empty.
func lockFile(path string) (unlock func(), err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // one file has one lock, whatever its name here
	}
	// A link could make the process create a file anywhere.
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("lock the database: %s.lock is a symbolic link, and links are not followed there: remove it", path)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the database: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (%s): stop that server, or give this one a data_dir of its own", ErrLocked, path)
		}
		return nil, fmt.Errorf("lock the database %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
