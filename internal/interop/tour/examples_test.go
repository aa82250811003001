//go:build interop

package tour_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/interop/browser"
	"github.com/signet-id/signet/internal/testport"
)

const examples = "../../../docs/examples/"

// The examples that the tour is made of run by themselves, at an issuer that was set up as their
// README says.
func TestTheExamplesAtAnIssuerOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	for name, folder := range map[string]string{"signet": "../../../cmd/signet", "webapp": examples + "webapp", "api": examples + "api"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, name), folder).CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", folder, err, out)
		}
	}
	issuer, app, api := testport.Address(t), testport.Address(t), testport.Address(t)
	env := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "SIGNET_LISTEN="+issuer, "SIGNET_DATA_DIR="+filepath.Join(dir, "data"),
		"SIGNET_METRICS_LISTEN=", "SIGNET_HTTP_DRAIN_NOTICE=0s")
	_, port, _ := strings.Cut(issuer, ":")
	url := "http://localhost:" + port
	run(t, dir, env, "http://"+issuer+"/readyz", "signet", "serve")
	run(t, dir, env, "http://"+api+"/whoami", "api", "-listen", api, "-issuer", url, "-audience", url)

	// Other ports than in the README, which may be taken, and nothing else.
	readme, err := os.ReadFile(examples + "webapp/README.md")
	if err != nil {
		t.Fatal(err)
	}
	register := regexp.MustCompile(`(?s)    (signet clients create .*?)\n    go run`).FindSubmatch(readme)
	if register == nil {
		t.Fatal("the README of the web app registers no client")
	}
	cmd := exec.Command("sh", "-c", strings.ReplaceAll(string(register[1]), "127.0.0.1:3000", app))
	cmd.Env, cmd.Dir = env, dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run(t, dir, env, "http://"+app+"/", "webapp", "-listen", app, "-url", "http://"+app, "-issuer", url, "-api", "http://"+api+"/whoami")

	tab := browser.Start(t).Tab(t)
	tab.Open("http://" + app + "/")
	signUp(tab, "#login")
	tab.Wait(`document.querySelector('#hello')`)
	tab.Loads(func() { tab.Click("#call") })
	if answer := tab.Text("#answer"); !strings.HasPrefix(answer, "200 OK") || !strings.Contains(answer, `"client_id": "webapp"`) {
		t.Errorf("the API answered %q", answer)
	}
	tab.Click("#logout")
	tab.Wait(`location.origin === 'http://` + app + `' && document.querySelector('#login')`)
	tab.Click("#login")
	tab.Wait(`document.querySelector('#email')`) // the issuer's session has ended, too
	for _, said := range tab.Said() {
		t.Errorf("the browser says: %s", said)
	}
}

// run runs a program until the test ends, and waits until it answers.
func run(t *testing.T, dir string, env []string, answers, program string, args ...string) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(filepath.Join(dir, program), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s ended with %v: %s", program, err, &output)
			}
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("%s ignored SIGTERM: %s", program, &output)
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if resp, err := http.Get(answers); err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer: %s", program, &output)
		}
	}
}
