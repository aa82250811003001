//go:build interop

package operations

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is clients that send requests all the time. None may fail.
type load struct {
	done, stopped atomic.Int64
	all           sync.WaitGroup

	mu     sync.Mutex
	failed []error
}

// loop does an act again and again, with a pause that leaves the processors to others.
func (l *load) loop(pause time.Duration, act func(n int) error) {
	l.all.Go(func() {
		for n := 0; l.stopped.Load() == 0; n++ {
			if err := act(n); err != nil {
				l.mu.Lock()
				l.failed = append(l.failed, fmt.Errorf("%s: %w", time.Now().Format(time.StampMilli), err))
				l.mu.Unlock()
				return
			}
			l.done.Add(1)
			time.Sleep(pause)
		}
	})
}

// goOn waits until the clients have done so many more acts.
func (l *load) goOn(t *testing.T, acts int64) {
	t.Helper()
	goal := l.done.Load() + acts
	eventually(t, "the clients go on", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.done.Load() >= goal || len(l.failed) > 0
	})
}

// end stops the clients and returns how often they acted.
func (l *load) end(t *testing.T) int64 {
	t.Helper()
	l.stopped.Store(1)
	l.all.Wait()
	for _, err := range l.failed {
		t.Errorf("a request failed: %v", err)
	}
	l.failed = nil
	return l.done.Load()
}

// startLoad lets a new user and readers use an address until end, or the end of the test.
func (s *service) startLoad(t *testing.T, at, email string) *load {
	t.Helper()
	must(t, s.signUp(at, email))
	k, err := s.logIn(at, email)
	must(t, err)
	l := &load{}
	t.Cleanup(func() { l.end(t) })
	l.loop(20*time.Millisecond, func(int) (err error) { // writes, and signs
		k, err = s.refresh(at, k)
		return err
	})
	l.loop(50*time.Millisecond, func(int) error { // writes to the audit log
		_, err := s.logIn(at, email)
		return err
	})
	l.loop(100*time.Millisecond, func(n int) error { return s.signUp(at, fmt.Sprintf("%d-%s", n, email)) })
	l.loop(50*time.Millisecond, func(int) error {
		_, err := s.ask(at, request{path: "/.well-known/jwks.json", get: true, want: http.StatusOK})
		return err
	})
	return l
}

// grep returns the lines of a file that have a text.
func grep(t *testing.T, file, text string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	must(t, err)
	var found strings.Builder
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, text) {
			found.WriteString(line)
		}
	}
	return found.String()
}
