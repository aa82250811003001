//go:build interop

// Package browser drives a real Chromium, so that tests see pages as people do. Keys and clicks
// take the same path as a person's, and everything that the browser refuses to load is reported.
//
// Start starts a Browser, and its method Tab opens a window with cookies of its own. A Tab opens
// pages and reads them, types and clicks, takes pictures as a Device shows them, and can have a
// virtual Authenticator for passkeys. Operations that fail end the test.
//
// The package speaks the DevTools protocol over two pipes, which needs no port and no library. It
// has only the parts of the protocol that the tests need; Tab.Do calls the others.
package browser

import (
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience is the time limit of every operation; the machine may be busy.
const patience = 60 * time.Second

// Browser is a running Chromium with a profile of its own.
type Browser struct {
	to io.Writer

	mu      sync.Mutex
	last    int
	answers map[int]chan answer
	tabs    map[string]*Tab // by session
	ended   error           // set when the browser has ended
}

// Start starts a browser, which runs until the test ends. arguments are added to its command line.
// A missing browser fails the test.
func Start(t testing.TB, arguments ...string) *Browser {
	t.Helper()
	program := find(t)
	fromTest, toBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromBrowser, toTest, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{
		"--headless", "--remote-debugging-pipe", "--user-data-dir=" + t.TempDir(),
		"--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
		"--password-store=basic", "--lang=en-US", "--force-color-profile=srgb",
		// A browser ignores clicks on a page that it has not drawn yet; tests are quicker than people.
		"--allow-pre-commit-input",
		// Names that end in .test resolve to this machine, and no other name resolves.
		"--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
	}, arguments...)...)
	cmd.ExtraFiles = []*os.File{fromTest, toTest} // the browser's descriptors 3 and 4
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fromTest.Close()
	toTest.Close()

	b := &Browser{to: toBrowser, answers: make(map[int]chan answer), tabs: make(map[string]*Tab)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.read(fromBrowser)
	}()
	t.Cleanup(func() {
		_, _ = b.call("", "Browser.close", nil)
		exited := make(chan error, 1)
		go func() { exited <- cmd.Wait() }()
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-exited
		}
		toBrowser.Close()
		fromBrowser.Close()
		<-ended
	})
	return b
}

func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("Chromium is missing. On Debian: apt-get install chromium")
	return ""
}
