// Package scripttest runs scripts of commands as the users of the program type them.
package scripttest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/signet-id/signet/cmd/signet/internal/watch"
	"github.com/signet-id/signet/internal/testport"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// Run runs the scripts of a folder with the real binary. In addition to testscript's own commands they
// have:
//
//	ready                        waits until $BASE/readyz says yes
//	http [-bearer T] METHOD URL [BODY]
//	                             a request; prints status and body. A URL that starts with / is under $BASE.
//	                             Fails from 400 on; with ! it must be refused.
//	take VAR PATH                sets VAR to a member of the JSON printed last: access_token, keys.0.kid
//	claim VAR TOKEN NAME         sets VAR to a member of a token's header or payload
//	until REGEXP PROGRAM ARGS…   runs a program until it prints what is looked for
//	welcome FILE                 runs the curl commands that a first start prints
//	secret VALUE…                plants secrets; tokens that `take` saw are planted, too
//	nosecrets FILE…              O-03: no planted secret is in these files
//	refused FILE REGEXP          users import refuses the file on one line that matches and prints nothing of it
//	mode FILE OCTAL              the file's permissions
//	mailserver                   a mail server with TLS, a user and a password; sets SIGNET_MAIL_SMTP, writes password.txt and ca.pem
//	mailserver REPLY             what it says to a recipient from now on, such as 450; 250 accepts
//	letters N [REGEXP [VAR]]     waits until the mail server has accepted N letters, of which the last one matches;
//	                             sets VAR to what the group in REGEXP found
//	freeaddr VAR                 an address of this machine that no other program listens on
func Run(t *testing.T, folder string) {
	testscript.Run(t, testscript.Params{
		Dir:                 folder,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			address := testport.Address(t)
			e.Setenv("SIGNET_LISTEN", address)
			e.Setenv("SIGNET_METRICS_LISTEN", testport.Address(t))
			e.Setenv("BASE", "http://"+address)
			e.Setenv("SIGNET_LOG_LEVEL", "debug")
			e.Setenv("SIGNET_HTTP_DRAIN_NOTICE", "0s") // there is no balancer
			e.Vars = append(e.Vars, watch.Env()...)
			e.Values[secretsKey] = &secrets{}
			if strings.Contains(e.WorkDir, "postgres") {
				e.Setenv("POSTGRES", pgtest.URL(t))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": cmdReady, "http": cmdHTTP, "take": cmdTake, "claim": cmdClaim, "until": cmdUntil, "welcome": cmdWelcome,
			"refused": cmdRefused,
			"secret":  cmdSecret, "nosecrets": cmdNoSecrets, "mode": cmdMode,
			"mailserver": cmdMailServer, "letters": cmdLetters,
			"freeaddr": func(ts *testscript.TestScript, _ bool, args []string) { ts.Setenv(args[0], testport.Address(t)) },
		},
	})
}

// secrets are texts that no program may print.
type secrets struct {
	mu   sync.Mutex
	list []string
}

type secretsKeyType struct{}

var secretsKey secretsKeyType

func plant(ts *testscript.TestScript, values ...string) {
	s := ts.Value(secretsKey).(*secrets)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		if len(v) < 8 {
			ts.Fatalf("%q is too short to be looked for", v)
		}
		s.list = append(s.list, v)
		watch.Plant(v)
	}
}

func cmdSecret(ts *testscript.TestScript, _ bool, args []string) { plant(ts, args...) }

func cmdNoSecrets(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(secretsKey).(*secrets)
	if len(s.list) == 0 {
		ts.Fatalf("no secret was planted")
	}
	for _, name := range args {
		text := ts.ReadFile(name)
		if text == "" {
			ts.Fatalf("%s is empty: nothing was looked at", name)
		}
		for _, secret := range s.list {
			if strings.Contains(text, secret) {
				ts.Fatalf("O-03 %s holds the secret %q", name, secret)
			}
		}
	}
}

func cmdRefused(ts *testscript.TestScript, _ bool, args []string) {
	for _, extra := range [][]string{nil, {"--json"}, {"--dry-run"}} {
		if ts.Exec("signet", append([]string{"users", "import", args[0]}, extra...)...) == nil {
			ts.Fatalf("users import took %s", args[0])
		}
		out, said := ts.ReadFile("stdout"), ts.ReadFile("stderr")
		if len(extra) == 0 && !regexp.MustCompile("(?m)"+args[1]).MatchString(said) {
			ts.Fatalf("it said %q, not %s", said, args[1])
		}
		if last := strings.Split(strings.TrimSpace(said), "\n"); !strings.HasPrefix(last[len(last)-1], "signet: ") {
			ts.Fatalf("the last line is no sentence of ours: %q", said)
		}
		for _, secret := range ts.Value(secretsKey).(*secrets).list {
			if strings.Contains(out+said, secret) {
				ts.Fatalf("it printed %q of the file: %s%s", secret, out, said)
			}
		}
	}
}

func cmdReady(ts *testscript.TestScript, _ bool, _ []string) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodGet, ts.Getenv("BASE")+"/readyz", nil)
		ts.Check(err)
		req.Close = true
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
	}
	ts.Fatalf("the server is not ready after 30 s")
}

func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	bearer := ""
	if len(args) > 1 && args[0] == "-bearer" {
		bearer, args = args[1], args[2:]
	}
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: http [-bearer TOKEN] METHOD URL [BODY]")
	}
	url := args[1]
	if strings.HasPrefix(url, "/") {
		url = ts.Getenv("BASE") + url
	}
	var body io.Reader
	if len(args) == 3 {
		body = strings.NewReader(args[2])
	}
	req, err := http.NewRequest(args[0], url, body)
	ts.Check(err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	status, text := do(ts, req)
	fmt.Fprintf(ts.Stdout(), "%d\n%s\n", status, text)
	if (status >= 400) != neg {
		ts.Fatalf("%s %s: %d %s", args[0], url, status, text)
	}
}

func do(ts *testscript.TestScript, req *http.Request) (int, []byte) {
	// Each request has a new connection: a drain would wait for connections that are kept alive.
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	return resp.StatusCode, text
}

func cmdTake(ts *testscript.TestScript, _ bool, args []string) {
	var value any
	for d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout"))); ; { // a status is JSON, too
		var next any
		err := d.Decode(&next)
		if err == io.EOF {
			break
		}
		ts.Check(err)
		value = next
	}
	text := member(ts, value, args[1])
	ts.Setenv(args[0], text)
	if strings.HasSuffix(args[1], "_token") {
		plant(ts, text, text[strings.LastIndexByte(text, '.')+1:])
	}
}

func member(ts *testscript.TestScript, value any, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			ts.Check(err)
			if i >= len(v) {
				ts.Fatalf("%s: there are only %d members", path, len(v))
			}
			value = v[i]
		}
	}
	switch v := value.(type) {
	case nil:
		ts.Fatalf("there is no %s", path)
	case string:
		return v
	}
	return fmt.Sprint(value)
}

func cmdClaim(ts *testscript.TestScript, _ bool, args []string) {
	for segment := range strings.SplitSeq(args[1], ".") {
		text, err := base64.RawURLEncoding.DecodeString(segment)
		ts.Check(err)
		var members map[string]any
		if json.Unmarshal(text, &members) == nil && members[args[2]] != nil {
			ts.Setenv(args[0], fmt.Sprint(members[args[2]]))
			return
		}
	}
	ts.Fatalf("the token has no %s", args[2])
}

func cmdUntil(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile("(?s)" + args[0])
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ts.Exec(args[1], args[2:]...) == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%s did not print %s within a minute", strings.Join(args[1:], " "), args[0])
}

// cmdWelcome runs the commands of the welcome text, as a shell would.
func cmdWelcome(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "\\\n", " ")
	word := regexp.MustCompile(`'[^']*'|\S+`)
	ran := 0
	for line := range strings.SplitSeq(text, "\n") {
		words := word.FindAllString(strings.TrimSpace(line), -1)
		if len(words) == 0 || words[0] != "curl" {
			continue
		}
		var url, body, contentType string
		for i := 1; i < len(words); i++ {
			value := func() string { i++; return strings.Trim(words[i], "'") }
			switch words[i] {
			case "-H":
				_, contentType, _ = strings.Cut(value(), ": ")
			case "-d":
				body = value()
			default:
				url = words[i]
			}
		}
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
		ts.Check(err)
		req.Header.Set("Content-Type", contentType)
		status, answer := do(ts, req)
		fmt.Fprintf(ts.Stdout(), "%d\n%s\n", status, answer)
		if status >= 300 {
			ts.Fatalf("%s: %d %s", line, status, answer)
		}
		ran++
	}
	if ran != 2 {
		ts.Fatalf("the welcome shows %d commands", ran)
	}
}

func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("there is no %s", args[0])
	}
	for _, file := range files {
		info, err := os.Lstat(file)
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
			ts.Fatalf("%s has mode %s, not %s", file, got, args[1])
		}
	}
}
