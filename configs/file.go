package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// maxFile bounds the configuration file and every other file that it names.
	maxFile = 1 << 20
	// pipeLimit is how long a pipe may keep us waiting.
	pipeLimit = 10 * time.Second
)

// ReadSmallFile reads a file that the configuration names, and no more of it than
// such a file can have: a device never ends. A pipe, such as a shell's <(command),
// is waited for, but not for ever.
func ReadSmallFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a folder; name a file in it")
	case info.Mode().IsRegular():
		return readBounded(path)
	}
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() { // to open a pipe waits for its writer, and nothing ends that
		text, err := readBounded(path)
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-time.After(pipeLimit):
		return nil, fmt.Errorf("it is a pipe or a device, and did not end within %s; name a file", pipeLimit)
	}
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = errors.New("it is larger than 1 MiB; name the right file")
	}
	if err != nil {
		return nil, err
	}
	return WithoutBOM(text)
}

// bom is what editors of Windows put before a text: U+FEFF in UTF-8.
var bom = []byte("\ufeff")

// WithoutBOM is the text of a file without the mark of its encoding, which is no part of a password,
// a key or an address. A file in UTF-16 is refused.
func WithoutBOM(text []byte) ([]byte, error) {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, errors.New("it is UTF-16; save it as UTF-8")
	}
	return bytes.TrimPrefix(text, bom), nil
}

// FileReason says why a file could not be used, in half a sentence for a person
// and without repeating its name.
func FileReason(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file; check the path"
	case errors.Is(err, fs.ErrPermission):
		return "this user may not use it; change its owner or mode"
	case errors.Is(err, syscall.ENOSPC):
		return "no space is left on the disk"
	case errors.Is(err, syscall.EROFS):
		return "the file system is read-only"
	case errors.Is(err, syscall.ENOTDIR):
		return "a file is where a folder should be; check the path"
	case errors.Is(err, syscall.EISDIR):
		return "it is a folder; name a file in it"
	}
	if pathError := (*fs.PathError)(nil); errors.As(err, &pathError) {
		err = pathError.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
