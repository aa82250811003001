//go:build interop

package interop

import (
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/interop/browser"
	"github.com/signet-id/signet/internal/testport"
)

// besideAddress returns the pairs of a strings.Replacer that replaces port 7070 by the port of the
// server beside Signet.
func (d *document) besideAddress(t *testing.T) []string {
	t.Helper()
	_, port, _ := net.SplitHostPort(testport.Address(t))
	d.beside = "localhost:" + port
	return []string{"localhost:7070", d.beside, "127.0.0.1:7070", "127.0.0.1:" + port}
}

// serveBeside starts a script that runs a server beside Signet, in the place of the app before, and
// waits until it listens.
func (d *document) serveBeside(t *testing.T, where, script string) {
	t.Helper()
	end(&d.running)
	d.running, d.appLog = d.start(t, where, script)
	d.poll(t, where, func() bool {
		conn, err := net.DialTimeout("tcp", d.beside, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// poll waits for something that a program does which was started in the background.
func (d *document) poll(t *testing.T, where string, done func() bool) {
	t.Helper()
	for late := time.Now().Add(5 * time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(late) || d.running != 0 && syscall.Kill(d.running, 0) != nil {
			log, _ := os.ReadFile(d.appLog)
			t.Fatalf("%s does not go on:\n%s", where, log)
		}
	}
}

var toOpen = regexp.MustCompile(`(?m)^Open (http\S+)$`)

// login runs a program of the user Ada, who opens in her browser every address that the program
// says, logs in where she is asked to, and allows what it asks for. It returns what the program
// printed.
func (d *document) login(t *testing.T, where, command string, tab *browser.Tab) string {
	t.Helper()
	program, output := d.start(t, where, "exec "+command+"\n")
	defer end(&program)
	printed := func() string {
		text, _ := os.ReadFile(output) // the shell may not have made the file yet
		return string(text)
	}
	opened := 0
	d.poll(t, where+": "+command, func() bool {
		if addresses := toOpen.FindAllStringSubmatch(printed(), -1); len(addresses) > opened {
			opened++
			tab.Open(addresses[opened-1][1])
			tab.Wait(`document.querySelector('#login-submit, #consent-approve')`)
			var anonymous bool
			if tab.Eval(`document.querySelector('#login-submit') !== null`, &anonymous); anonymous {
				logIn(tab, "ada@example.com", "correct horse battery staple")
			}
			tab.Wait(`document.querySelector('#consent-approve')`)
			tab.Loads(func() { tab.Click("#consent-approve") })
			return false
		}
		return syscall.Kill(program, 0) != nil
	})
	if program = 0; opened == 0 {
		t.Errorf("%s: nobody had to log in", where)
	}
	return printed()
}

// runOrLogIn runs a block of the kinds run and login.
func (d *document) runOrLogIn(t *testing.T, where, info, command string, person func() *browser.Tab) string {
	t.Helper()
	if strings.HasSuffix(info, " login") {
		return d.login(t, where, command, person())
	}
	return d.bash(t, where, command)
}
