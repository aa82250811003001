//go:build interop

package interop

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

const adaSignsUp = `{"email":"ada@example.com","password":"correct horse battery staple"}`

// openid-client polls while a person answers in a browser.
func TestOpenIDClientOnADevice(t *testing.T) {
	steps := []string{
		"discovery has the endpoint and the grant type",
		"a public client logs a person in",
		"it stays signed in",
		"the person is asked again, and says no",
		"a confidential client logs a person in",
		"a scope that is not the client's is refused",
	}
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, "")
			s.post(t, "/v1/signup", http.StatusCreated, adaSignsUp, nil)
			g := scriptInput{Issuer: s.issuer, Clients: map[string]registered{}, User: user{Email: "ada@example.com",
				Password: "correct horse battery staple"}}
			of := []string{"--grant-type", "device_code", "--grant-type", "refresh_token"}
			g.Clients["box"] = s.register(t, "box", "https://box.test/", of...)
			g.Clients["tv"] = s.register(t, "tv", "https://tv.test/", append(slices.Clone(of), "--auth-method", "none")...)
			if took := stepsOf(t, node("device.js")(t), g); !slices.Equal(took, steps) {
				t.Errorf("it took the steps %q, not %q", took, steps)
			}
		})
	}
}

// deviceProgram is docs/examples/device-login, built once.
var deviceProgram = sync.OnceValues(func() (string, error) {
	program := filepath.Join(binaries.dir, "device-login")
	build := exec.Command("go", "build", "-C", "../../docs/examples/device-login", "-o", program, ".") // a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	return program, nil
})

// The example's command line prints an address and a code; a person types the code in Chromium.
func TestTheExampleOfADeviceLogsAPersonIn(t *testing.T) {
	program, err := deviceProgram()
	if err != nil {
		t.Fatal(err)
	}
	chromium := browser.Start(t)
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, "")
			s.post(t, "/v1/signup", http.StatusCreated, adaSignsUp, nil)
			s.signet(t, "clients", "create", "--name", "Device login", "--client-id", "device-login", "--auth-method", "none",
				"--grant-type", "device_code", "--grant-type", "refresh_token")
			said, wait := s.onDevice(t, program)
			asked := regexp.MustCompile(`^Open (\S+) and type (\S+)$`).FindStringSubmatch(said())
			if asked == nil {
				t.Fatal("it names no address and code")
			}
			tab := chromium.Tab(t)
			tab.Open(asked[1])
			tab.Wait(`document.querySelector('#device-submit')`)
			tab.Type("#user_code", strings.ToLower(asked[2]))
			tab.Click("#device-submit")
			logIn(tab, "ada@example.com", "correct horse battery staple")
			tab.Wait(`document.querySelector('#device-approve')`)
			tab.Click("#device-approve")
			if line := said(); line != "or open "+asked[1]+"?user_code="+asked[2] {
				t.Errorf("then it says %q", line)
			}
			if line := said(); !strings.HasPrefix(line, "Signed in as ada@example.com (") {
				t.Errorf("at last it says %q", line)
			}
			if err := wait(); err != nil {
				t.Error(err)
			}

			// Another code, by its address; the person says no.
			said, wait = s.onDevice(t, program)
			said()
			tab.Open(strings.TrimPrefix(said(), "or open "))
			tab.Wait(`document.querySelector('#device-submit')`)
			tab.Click("#device-submit")
			tab.Wait(`document.querySelector('#device-deny')`)
			tab.Click("#device-deny")
			if err := wait(); err == nil || said() != "" {
				t.Errorf("after the person said no: %v", err)
			}
		})
	}
}

// onDevice starts the command line. said returns its next line, and wait waits until it ends.
func (s *server) onDevice(t *testing.T, program string) (said func() string, wait func() error) {
	t.Helper()
	cmd := exec.Command(program, "-issuer", s.issuer)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	said = func() string { lines.Scan(); return lines.Text() }
	return said, func() error {
		for lines.Scan() { // Wait closes the pipe
		}
		return cmd.Wait()
	}
}
