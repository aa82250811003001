package mail

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Files writes letters to a folder instead of sending them, for trials on one machine. Each letter
// is a file of mode 0600, written whole or not at all. Only the newest Keep letters are kept.
type Files struct {
	Folder string
	Keep   int // 0: 100

	mu sync.Mutex
}

// Name returns the name of a letter's file. The alphabetical order of names is the order of time.
func (f *Files) Name(l Letter) string {
	id, _, _ := strings.Cut(l.ID.String(), "@")
	return l.Date.UTC().Format("20060102T150405.000000Z-") + id + ".eml"
}

// Path returns the path of the file that Send writes.
func (f *Files) Path(l Letter) string { return filepath.Join(f.Folder, f.Name(l)) }

// Send writes a letter. The same letter is written to the same file again.
func (f *Files) Send(_ context.Context, l Letter) (answer string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.write(l); err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return "", &Fault{Reason: "it cannot be written to " + f.Folder + ": " + err.Error()}
	}
	return "written to " + f.Path(l), nil
}

func (f *Files) write(l Letter) (err error) {
	m, err := l.message()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.Folder, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(f.Folder, ".letter-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // after a success there is no such file
	if _, err = m.WriteTo(file); err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(file.Name(), f.Path(l)); err != nil {
		return err
	}
	return f.prune()
}

// prune removes the oldest letters beyond the number that is kept, and no other files.
func (f *Files) prune() error {
	entries, err := os.ReadDir(f.Folder)
	if err != nil {
		return err
	}
	var letters []string
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), ".letter-") && time.Since(info.ModTime()) > time.Hour {
			// This is the unfinished file of a killed process. If it stays, the next call tries
			// again.
			os.Remove(filepath.Join(f.Folder, e.Name())) //nolint:errcheck // see above
		}
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".eml") && !strings.HasPrefix(e.Name(), ".") {
			letters = append(letters, e.Name())
		}
	}
	slices.Sort(letters)
	keep := f.Keep
	if keep <= 0 {
		keep = 100
	}
	for _, name := range letters[:max(len(letters)-keep, 0)] {
		if err := os.Remove(filepath.Join(f.Folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
