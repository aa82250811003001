//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// foreign is a running verifier. It keeps its key set in memory for longer than a test takes, so it
// only fetches when a token has an unknown kid or when the test expires its cache.
type foreign struct {
	name  string
	agent string // the User-Agent of its fetches
	in    io.Writer
	out   *bufio.Scanner
	log   *bytes.Buffer
}

// startForeign starts all verifiers for an issuer.
func startForeign(t *testing.T, issuer string) []*foreign {
	t.Helper()
	for _, need := range []string{"node/node_modules/jose", "python/.venv/installed"} {
		if _, err := os.Stat(need); err != nil {
			t.Fatalf("%v: run make interop, which installs the foreign libraries first", err)
		}
	}
	return []*foreign{
		run(t, "golang-jwt", "Go-http-client", binaries.golangjwt, issuer),
		run(t, "jose (Node)", "jose/", "node", "node/verify.js", issuer),
		run(t, "PyJWT (Python)", "Python-urllib/", "python/.venv/bin/python", "python/verify.py", issuer),
	}
}

func run(t *testing.T, name, agent, program string, args ...string) *foreign {
	t.Helper()
	cmd := exec.Command(program, args...)
	f := &foreign{name: name, agent: agent, log: new(bytes.Buffer)}
	cmd.Stderr = f.log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, f.log)
		}
	})
	f.in, f.out = in, bufio.NewScanner(out)
	f.out.Buffer(nil, 1<<20)
	return f
}

type request struct {
	Token    string `json:"token,omitempty"`
	Audience string `json:"audience,omitempty"`
	Typ      string `json:"typ,omitempty"`
	Reload   bool   `json:"reload,omitempty"`
}

func (f *foreign) ask(t *testing.T, r request) (claims map[string]any, refusal string) {
	t.Helper()
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("%s: %v\n%s", f.name, err, f.log)
	}
	if !f.out.Scan() {
		t.Fatalf("%s ended: %v\n%s", f.name, f.out.Err(), f.log)
	}
	var answer struct {
		Claims map[string]any
		Error  string
	}
	if err := json.Unmarshal(f.out.Bytes(), &answer); err != nil {
		t.Fatalf("%s: %v: %s", f.name, err, f.out.Bytes())
	}
	return answer.Claims, answer.Error
}

// expire expires the verifier's cache, so that it fetches the key set again.
func (f *foreign) expire(t *testing.T) {
	t.Helper()
	if _, refusal := f.ask(t, request{Reload: true}); refusal != "" {
		t.Fatalf("%s cannot fetch the key set: %s", f.name, refusal)
	}
}
