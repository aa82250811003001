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
	// maxFile limits the configuration file and every file that it names.
	maxFile = 1 << 20
	// pipeLimit is the longest wait for a pipe.
	pipeLimit = 10 * time.Second
)

// ReadSmallFile reads a file that the configuration names. It limits the size, because a device
// never ends. It waits for a pipe, such as a shell's <(command), but not for ever.
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

// bom is the byte order mark, U+FEFF in UTF-8, which editors on Windows put before a text.
var bom = []byte("\ufeff")

// WithoutBOM returns the text of a file without its byte order mark, which is not part of a
// password, a key or an address. It refuses a file in UTF-16.
func WithoutBOM(text []byte) ([]byte, error) {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, errors.New("it is UTF-16; save it as UTF-8")
	}
	return bytes.TrimPrefix(text, bom), nil
}

// FileReason returns why a file could not be used, as half a sentence for people that does not
// repeat the file's name.
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
