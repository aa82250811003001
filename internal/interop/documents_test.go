//go:build interop

package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/interop/browser"
	"github.com/signet-id/signet/internal/testport"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// The documents are run from top to bottom, each in a folder and a bash of its own, with `signet`
// on the path. The info string of a fenced block names its kind:
//
//	sh              run; every command, curl included, must succeed
//	sh refused      like sh, but curl may be refused: only its output matters
//	sh serve        started in the background; stops at the next block of this kind
//	go              a whole program: built.  go run: built and run
//	sh beside       started in the background, a server at localhost:7070
//	js run, python run
//	                run, with the variables that the shell has exported
//	js login, python login
//	                like run; the user Ada opens the addresses that it prints behind "Open", and
//	                logs in there: see login_document_test.go
//	sh api, apache api
//	                a resource server at localhost:3000, which hostile and honest tokens are sent to:
//	                see resource_servers_test.go
//	js app, go app, html app, apache app, sh app
//	                a whole app at localhost:3000, in which a person logs in and out: see app_test.go
//	… file NAME     written to the folder, for an app that has several files
//	html page       a page that Apache serves to everybody.  html page app: only to users who have logged in
//	yaml config     a configuration that `signet config` must accept
//	… output        the output of the block before it. "…" stands for any part of a line
//
// Blocks of other kinds are not run. Only addresses are replaced: localhost:8080, localhost:3000,
// localhost:7070 and the documents' PostgreSQL URL become the addresses of this test.
var documents = []documentOn{
	{"README.md", sqlite},
	{"docs/admin-api.md", sqlite},
	{"docs/client-apps.md", sqlite},
	{"docs/conformance.md", sqlite},
	{"docs/libraries.md", sqlite},
	{"docs/libraries.md", postgres},
	{"docs/mcp.md", sqlite},
	{"docs/operators.md", sqlite},
	{"docs/pages.md", sqlite},
	{"docs/products/django.md", postgres},
	{"docs/resource-servers.md", sqlite},
	{"docs/resource-servers/apache.md", sqlite},
	{"docs/resource-servers/django.md", sqlite},
	{"docs/resource-servers/express.md", sqlite},
	{"docs/resource-servers/fastapi.md", sqlite},
	{"docs/resource-servers/fastify.md", sqlite},
	{"docs/resource-servers/kubernetes.md", sqlite},
}

type documentOn struct{ name, store string }

const documentedPostgres = "postgres://signet@localhost/signet"

func TestDocumentsAreTrue(t *testing.T) { runDocuments(t, documents) }

// runDocuments runs each document. programs are on the path beside signet.
func runDocuments(t *testing.T, documents []documentOn, programs ...string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	chromium := sync.OnceValue(func() *browser.Browser { return browser.Start(t) })
	for _, on := range documents {
		name := on.name
		t.Run(name+" on "+on.store, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			d := open(t, root, string(text), on.store, programs...)
			var printed string
			person := sync.OnceValue(func() *browser.Tab { return chromium().Tab(t) })
			for _, b := range blocks(string(text)) {
				where := fmt.Sprintf("%s:%d (%s)", name, b.line, b.info)
				b.text = d.localize(b.text)
				switch {
				case b.info == "sh":
					printed = d.bash(t, where, b.text)
				case b.info == "sh refused":
					printed = d.bash(t, where, "CURL_HOME=/nonexistent\n"+b.text+"CURL_HOME="+d.dir+"\n")
				case b.info == "sh serve":
					d.serve(t, where, b.text)
				case strings.HasSuffix(b.info, " output"):
					if !matches(printed, b.text) {
						t.Fatalf("%s: the command before it printed\n%s\nbut the document says\n%s", where, printed, b.text)
					}
				case b.info == "go" || b.info == "go run":
					program := d.build(t, where, ".", b.text)
					if b.info == "go run" {
						printed = d.bash(t, where, program)
					}
				case b.info == "sh api":
					d.api(t, where, name, b.text)
				case b.info == "apache api":
					d.api(t, where, name, d.apache(t, b.text, "headers", "oauth2")+"\n")
				case b.info == "sh beside":
					d.serveBeside(t, where, b.text)
				case b.info == "js run" || b.info == "js login":
					d.write(t, "snippet.mjs", b.text)
					printed = d.runOrLogIn(t, where, b.info, "node snippet.mjs", person)
				case b.info == "python run" || b.info == "python login":
					d.write(t, "snippet.py", b.text)
					printed = d.runOrLogIn(t, where, b.info, "python snippet.py", person)
				case strings.Contains(b.info, " file "):
					_, name, _ := strings.Cut(b.info, " file ")
					d.write(t, name, b.text)
				case strings.HasPrefix(b.info, "html page"):
					d.page(t, b.info, b.text)
				case strings.HasSuffix(b.info, " app"):
					for _, text := range variants(b) {
						d.app(t, where, b.info, text)
						visit(t, chromium().Tab(t), d.origin)
						d.received(t, where, text)
					}
				case b.info == "yaml config":
					d.write(t, "snippet.yaml", b.text)
					d.bash(t, where, "signet config --config snippet.yaml")
				}
			}
		})
	}
}

type block struct {
	info, text string
	line       int
}

func blocks(markdown string) []block {
	var all []block
	var b *block
	for i, line := range strings.Split(markdown, "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case b == nil && isFence:
			b = &block{info: fence, line: i + 1}
		case b != nil && isFence:
			all, b = append(all, *b), nil
		case b != nil:
			b.text += line + "\n"
		}
	}
	return all
}

// matches compares texts without the spaces at the ends of lines; … is a wildcard.
func matches(printed, want string) bool {
	var pattern []string
	for _, line := range strings.Split(strings.TrimSpace(want), "\n") {
		pattern = append(pattern, strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(line, " ")), "…", `.*`)+`[ \t\r]*`)
	}
	return regexp.MustCompile(`^` + strings.Join(pattern, "\n") + `$`).MatchString(strings.TrimSpace(printed))
}

// patientCurl is a curl that sends a request again that is answered with 503, as docs/client-apps.md
// says that clients do: a busy machine answers so. The documents have no 503 of their own.
const patientCurl = `curl() {
  local dir=$(mktemp -d) status
  case " $* " in (*" @- "*) cat >$dir/in ;; (*) : >$dir/in ;; esac
  for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    status=0
    command curl "$@" <$dir/in >$dir/out 2>$dir/err || status=$?
    grep -q 'error: 503$' $dir/err || grep -q '"status": *503' $dir/out || break
    sleep 1
  done
  cat $dir/err >&2
  cat $dir/out
  rm -r $dir
  return $status
}`

// document is the folder, the shell and the server of one document.
type document struct {
	root, dir string
	listen    string
	mint      *mint // at the issuer's address, in documents with a resource server
	replace   *strings.Replacer
	in        *bufio.Writer
	out       *bufio.Scanner
	server    int // the server's process group; 0: none
	serverLog string
	origin    string // of the app
	beside    string // the address of the server beside Signet
	running   int    // the app's process group; 0: none
	appLog    string
	steps     int
}

func open(t *testing.T, root, text, store string, programs ...string) *document {
	t.Helper()
	d := &document{root: root, dir: t.TempDir(), listen: testport.Address(t)}
	_, port, _ := net.SplitHostPort(d.listen)
	issuer := "http://localhost:" + port
	if slices.ContainsFunc(blocks(text), func(b block) bool { return strings.HasSuffix(b.info, " api") }) {
		d.mint = openMint(t, d.listen)
		issuer = d.mint.issuer
	}
	replace := append([]string{"http://localhost:8080", issuer, "localhost:8080", "localhost:" + port}, d.appAddress(t)...)
	replace = append(replace, d.besideAddress(t)...)
	if strings.Contains(text, documentedPostgres) {
		replace = append(replace, documentedPostgres, pgtest.URL(t))
	}
	d.replace = strings.NewReplacer(replace...)

	// The folder looks like a clone of the repository, as the README expects.
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch e.Name() {
		case ".git", "data", "signet":
		default:
			if err := os.Symlink(filepath.Join(root, e.Name()), filepath.Join(d.dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Symlink(filepath.Join(root, "internal/interop/node/node_modules"),
		filepath.Join(d.dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	d.write(t, ".curlrc", "fail-with-body\nshow-error\n")
	d.write(t, "signet-path/.keep", "")
	for _, program := range append(programs, binaries.signet) {
		if err := os.Symlink(program, filepath.Join(d.dir, "signet-path", filepath.Base(program))); err != nil {
			t.Fatal(err)
		}
	}

	cmd := exec.Command("bash", "--noprofile", "--norc")
	cmd.Dir = d.dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SIGNET_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	for key, value := range database(t, store) {
		cmd.Env = append(cmd.Env, "SIGNET_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))+"="+value)
	}
	cmd.Env = append(cmd.Env, "CURL_HOME="+d.dir,
		"SIGNET_HTTP_DRAIN_NOTICE=0s", "SIGNET_LISTEN="+d.listen, "SIGNET_METRICS_LISTEN="+testport.Address(t),
		"PATH="+strings.Join([]string{filepath.Join(d.dir, "signet-path"),
			filepath.Join(root, "internal/interop/python/.venv/bin"), os.Getenv("PATH")}, ":"))
	if strings.Contains(text, "Cargo.toml") { // what it builds of is pinned, and built once
		lock, err := os.ReadFile(filepath.Join(root, "internal/interop/axum/Cargo.lock"))
		if err != nil {
			t.Fatal(err)
		}
		d.write(t, "Cargo.lock", string(lock))
		cmd.Env = append(cmd.Env, "CARGO_TARGET_DIR="+filepath.Join(root, "internal/interop/axum/target"))
	}
	if d.mint != nil {
		cmd.Env = append(cmd.Env, "SIGNET_ISSUER="+d.mint.issuer)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.in, d.out = bufio.NewWriter(in), bufio.NewScanner(out)
	fmt.Fprintln(d.in, patientCurl)
	t.Cleanup(func() {
		if t.Failed() && d.appLog != "" {
			app, _ := os.ReadFile(d.appLog)
			server, _ := os.ReadFile(d.serverLog)
			t.Logf("The app said:\n%s\nThe server said:\n%s", app, server)
		}
		end(&d.running)
		end(&d.server)
		in.Close()
		cmd.Wait()
	})
	if store == postgres {
		d.bash(t, "before the document", "signet migrate up\n")
	}
	return d
}

func (d *document) localize(text string) string { return d.replace.Replace(text) }

func (d *document) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// send sends one line to the shell and returns its one line of answer. It returns false when the
// shell has ended because a command failed.
func (d *document) send(line string) (string, bool) {
	fmt.Fprintln(d.in, line)
	if d.in.Flush() != nil || !d.out.Scan() {
		return "", false
	}
	return d.out.Text(), true
}

func (d *document) next(t *testing.T, script string) (file, output string) {
	t.Helper()
	d.steps++
	file = fmt.Sprintf("step%d", d.steps)
	d.write(t, file+".sh", script)
	return file, filepath.Join(d.dir, file+".out")
}

// bash runs a script in the shell of the document, stopping at the first failure.
func (d *document) bash(t *testing.T, where, script string) string {
	t.Helper()
	file, output := d.next(t, script)
	_, ok := d.send(fmt.Sprintf("set -eo pipefail; . ./%s.sh >%[1]s.out 2>&1 </dev/null; echo ok", file))
	printed, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		log, _ := os.ReadFile(d.serverLog)
		t.Fatalf("%s failed:\n%s\n%s\nThe server said:\n%s", where, script, printed, log)
	}
	return string(printed)
}

// serve starts a script that runs a server, and waits until the server is ready.
func (d *document) serve(t *testing.T, where, script string) {
	t.Helper()
	end(&d.server)
	d.server, d.serverLog = d.start(t, where, script)
	d.await(t, where, d.server, d.serverLog, "http://"+d.listen+"/readyz", d.listen)
}

// start starts a script beside the shell, in a process group of its own.
func (d *document) start(t *testing.T, where, script string) (group int, log string) {
	t.Helper()
	file, output := d.next(t, script)
	// -m gives the job a process group of its own, so that `go run` and its child end together.
	answer, ok := d.send(fmt.Sprintf("set -m; ( . ./%s.sh ) >%[1]s.out 2>&1 </dev/null & echo $!; set +m", file))
	group, err := strconv.Atoi(answer)
	if !ok || err != nil {
		t.Fatalf("%s did not start: %q", where, answer)
	}
	return group, output
}

// await waits until url answers 200 and the program has printed said, which proves that this
// program answers.
func (d *document) await(t *testing.T, where string, group int, output, url, said string) {
	t.Helper()
	for late := time.Now().Add(8 * time.Minute); time.Now().Before(late); time.Sleep(100 * time.Millisecond) {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if printed, _ := os.ReadFile(output); resp.StatusCode == http.StatusOK && strings.Contains(string(printed), said) {
				return
			}
		}
		if syscall.Kill(group, 0) != nil {
			break
		}
	}
	log, _ := os.ReadFile(output)
	t.Fatalf("%s: %s does not answer:\n%s", where, url, log)
}

// end ends a process group, and waits for all of it: the shell ends before the server that it
// started has drained.
func end(group *int) {
	if *group == 0 {
		return
	}
	syscall.Kill(-*group, syscall.SIGTERM)
	for late := time.Now().Add(30 * time.Second); syscall.Kill(-*group, 0) == nil && time.Now().Before(late); {
		time.Sleep(20 * time.Millisecond)
	}
	*group = 0
}

// build compiles a program as if it was a part of a module: this one, or one in a folder of it.
func (d *document) build(t *testing.T, where, module, source string) string {
	t.Helper()
	d.steps++
	name := fmt.Sprintf("snippet%d", d.steps)
	d.write(t, name+".go", source)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(d.root, module, "internal", name, "main.go"): filepath.Join(d.dir, name+".go"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, name+".json", string(overlay))
	program := filepath.Join(d.dir, name)
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(d.dir, name+".json"), "-o", program, "./internal/"+name)
	cmd.Dir = filepath.Join(d.root, module)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s does not build: %v\n%s", where, err, out)
	}
	return program
}
