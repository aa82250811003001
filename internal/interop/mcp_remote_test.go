//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/testport"
)

// remote is mcp-remote, through which programs that speak MCP over standard input and output use
// servers that are elsewhere. It keeps the tokens in a directory, and opens a browser for a login.
type remote struct {
	*testing.T
	dir     string
	command []string // with its arguments
	env     []string

	in  *json.Encoder
	out *bufio.Scanner
	end func()
	id  int
}

// opened lists the addresses at which a browser was opened.
func (r *remote) opened() []string {
	r.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "opened"))
	if err != nil && !os.IsNotExist(err) {
		r.Fatal(err)
	}
	return strings.Fields(string(text))
}

// start starts the program, or starts it again, and has it connect.
func (r *remote) start() {
	r.Helper()
	if r.end != nil {
		r.end()
	}
	cmd := exec.Command(r.command[0], r.command[1:]...)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stderr = r.env, &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		r.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.Fatal(err)
	}
	r.in, r.out = json.NewEncoder(in), bufio.NewScanner(out)
	r.end = func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
		if r.Failed() {
			r.Logf("mcp-remote says:\n%s", &stderr)
		}
		r.end = nil
	}
	r.ask("initialize", map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": map[string]any{},
		"clientInfo": map[string]any{"name": "editor", "version": "1"},
	}, nil)
	r.send(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"})
}

func (r *remote) send(message map[string]any) {
	r.Helper()
	if err := r.in.Encode(message); err != nil {
		r.Fatal(err)
	}
}

// ask sends a request and waits for its answer.
func (r *remote) ask(method string, params, result any) {
	r.Helper()
	r.id++
	r.send(map[string]any{"jsonrpc": "2.0", "id": r.id, "method": method, "params": params})
	for r.out.Scan() {
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  json.RawMessage
		}
		if err := json.Unmarshal(r.out.Bytes(), &answer); err != nil {
			r.Fatalf("%v: %s", err, r.out.Bytes())
		}
		if answer.ID != r.id {
			continue
		}
		if answer.Error != nil {
			r.Fatalf("%s: %s", method, answer.Error)
		}
		if result != nil {
			if err := json.Unmarshal(answer.Result, result); err != nil {
				r.Fatalf("%s: %v: %s", method, err, answer.Result)
			}
		}
		return
	}
	r.Fatalf("mcp-remote ended before it answered %s", method)
}

func (r *remote) call(tool string, arguments, result any) {
	r.Helper()
	var answer struct {
		Content json.RawMessage
		Kept    json.RawMessage `json:"structuredContent"`
		IsError bool
	}
	r.ask("tools/call", map[string]any{"name": tool, "arguments": arguments}, &answer)
	if answer.IsError {
		r.Fatalf("%s: %s", tool, answer.Content)
	}
	if err := json.Unmarshal(answer.Kept, result); err != nil {
		r.Fatalf("%s: %v: %s", tool, err, answer.Kept)
	}
}

func (r *remote) whoami() (me whoami) {
	r.Helper()
	r.call("whoami", map[string]any{}, &me)
	return me
}

// spoil puts something in the place of the access token that no server takes, as if the token had
// expired. The program must not run.
func (r *remote) spoil() {
	r.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "*", "*_tokens.json"))
	if err != nil || len(files) != 1 {
		r.Fatalf("mcp-remote keeps tokens in %q: %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		r.Fatal(err)
	}
	var kept map[string]any
	if err := json.Unmarshal(text, &kept); err != nil || kept["access_token"] == nil {
		r.Fatalf("%v: %s", err, text)
	}
	kept["access_token"] = "expired"
	if text, err = json.Marshal(kept); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		r.Fatal(err)
	}
}

// A program that speaks MCP over its standard input and output reaches the tools through mcp-remote,
// which opens a browser for the login.
func TestMCPRemoteLogsAPersonIn(t *testing.T) {
	for _, way := range mcpWays[1:] {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			s, known := way.start(t, sqlite)
			_, port, err := net.SplitHostPort(testport.Address(t))
			if err != nil {
				t.Fatal(err)
			}
			c := mcpClient{Server: s.URL, SDK: "mcp-remote", RedirectURI: "http://localhost:" + port + "/oauth/callback"}
			known(t, &c)
			u := s.person(t, "ada")

			r := &remote{T: t, dir: t.TempDir()}
			r.command = []string{"node", "node/node_modules/mcp-remote/dist/proxy.js", s.URL, port,
				"--auth-timeout", "120"} // a busy machine takes longer than 30 s for a login
			if c.Metadata != "" {
				r.command = append(r.command, "--client-metadata-url", c.Metadata)
			}
			visit, err := filepath.Abs("node/visit.js")
			if err != nil {
				t.Fatal(err)
			}
			person, err := json.Marshal(u)
			if err != nil {
				t.Fatal(err)
			}
			browser := filepath.Join(r.dir, "browser")
			script := fmt.Sprintf("#!/bin/sh\necho \"$1\" >>%q\nexec node %q \"$1\"\n", filepath.Join(r.dir, "opened"), visit)
			if err := os.WriteFile(browser, []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			// Nothing of a desktop's environment: a real browser would be opened there.
			r.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "MCP_REMOTE_CONFIG_DIR=" + r.dir,
				"BROWSER=" + browser, "PERSON_ISSUER=" + s.issuer, "PERSON=" + string(person)}
			t.Cleanup(func() {
				if r.end != nil {
					r.end()
				}
			})

			r.start()
			me := r.whoami()
			if me.Sub == "" || me.ClientID == "" || c.Metadata != "" && me.ClientID != c.Metadata {
				t.Fatalf("the tool says %+v", me)
			}
			if opened := r.opened(); len(opened) != 1 || !strings.HasPrefix(opened[0], s.issuer+"/oauth2/authorize?") {
				t.Fatalf("a browser was opened at %q", opened)
			}

			t.Log("started again, with a token that has expired")
			r.end()
			r.spoil()
			r.start()
			if again := r.whoami(); again != me || len(r.opened()) != 1 {
				t.Errorf("after a refresh: %+v; a browser was opened at %q", again, r.opened())
			}

			t.Log("a tool that needs another scope")
			var kept struct{ Notes []string }
			r.call("note", map[string]any{"text": "remember"}, &kept)
			if len(kept.Notes) != 1 || len(r.opened()) != 2 {
				t.Errorf("the notes are %q; a browser was opened at %q", kept.Notes, r.opened())
			}

			t.Log("what was allowed is taken back")
			r.end() // it refreshes by itself, too
			s.withdraw(t, u, me.ClientID)
			r.spoil()
			r.start()
			if again := r.whoami(); again.Sub != me.Sub || len(r.opened()) != 3 {
				t.Errorf("after what was allowed was taken back: %+v; a browser was opened at %q", again, r.opened())
			}
		})
	}
}
