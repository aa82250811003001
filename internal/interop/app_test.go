//go:build interop

package interop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
	"github.com/signet-id/signet/internal/testport"
)

// appAddress returns the pairs of a strings.Replacer that replaces localhost:3000 by the app's own
// address.
func (d *document) appAddress(t *testing.T) []string {
	t.Helper()
	_, port, _ := net.SplitHostPort(testport.Address(t))
	d.origin = "http://localhost:" + port
	return []string{
		"localhost:3000", "localhost:" + port, "localhost%3A3000", "localhost%3A" + port,
		"listen(3000,", "listen(" + port + ",", "port: 3000", "port: " + port, "port=3000", "port=" + port,
		"<VirtualHost *:3000>",
		"<VirtualHost *:" + port + ">",
		`"localhost", 3000`, `"localhost", ` + port, "/var/www/html", filepath.Join(d.dir, "www"),
	}
}

// page writes a page for the Apache that is started later.
func (d *document) page(t *testing.T, info, text string) {
	t.Helper()
	name := filepath.Join("www", strings.TrimPrefix(info, "html page"), "index.html")
	d.write(t, strings.ReplaceAll(name, " ", ""), text)
}

// variants returns an app as it is in the document, and its variants that are tested as well:
// Apache also receives a real form_post, which the page's script sends.
func variants(b block) []string {
	if b.info != "apache app" {
		return []string{b.text}
	}
	return []string{b.text, strings.Replace(b.text, "  OIDCScope ", "  OIDCResponseMode form_post\n  OIDCScope ", 1)}
}

// app starts an app of the document, in the place of the one before, and waits until it answers.
func (d *document) app(t *testing.T, where, info, text string) {
	t.Helper()
	end(&d.running)
	d.steps++
	var command string
	switch info {
	case "js app":
		name := fmt.Sprintf("app%d.mjs", d.steps)
		d.write(t, name, text)
		command = "exec node " + name
	case "go app":
		command = "exec " + d.build(t, where, "internal/interop/goclient", text)
	case "html app":
		folder := fmt.Sprintf("app%d", d.steps)
		d.write(t, folder+"/index.html", text)
		bundle := "oidc-client-ts.min.js"
		if err := os.Symlink(filepath.Join(d.root, "internal/interop/node/node_modules/oidc-client-ts/dist/browser", bundle),
			filepath.Join(d.dir, folder, bundle)); err != nil {
			t.Fatal(err)
		}
		command = "exec python3 -m http.server --bind localhost --directory " + folder + " " +
			d.origin[strings.LastIndexByte(d.origin, ':')+1:]
	case "apache app":
		command = d.apache(t, text, "auth_openidc", "include")
	case "sh app":
		command = text
	default:
		t.Fatalf("%s: there is no such kind of app", where)
	}
	d.running, d.appLog = d.start(t, where, command+"\n")
	d.await(t, where, d.running, d.appLog, d.origin+"/", "") // an app may print anything
}

// This is the part of the configuration that Debian or a machine's administrator provides, around
// the document's.
const aroundApache = `
ServerRoot %[1]q
DefaultRuntimeDir %[1]q
PidFile "%[1]s/apache.pid"
Mutex file:%[1]s default
ErrorLog /dev/stderr
CustomLog /dev/stdout "%%m %%U"
Listen 127.0.0.1:%[2]s
ServerName localhost
%[3]s
TypesConfig /dev/null
AddType text/html .html
DirectoryIndex index.html
%[4]s
<Directory "%[1]s/www">
  Require all granted
</Directory>
Include "%[1]s/site.conf"
`

// apache writes a configuration around the document's, with the modules that it needs, and returns the
// command that runs it in the foreground.
func (d *document) apache(t *testing.T, site string, more ...string) string {
	t.Helper()
	var modules strings.Builder
	for _, name := range append([]string{"mpm_event", "authn_core", "authz_core", "authz_user", "alias", "dir", "mime"}, more...) {
		fmt.Fprintf(&modules, "LoadModule %s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", name)
	}
	user := ""
	if os.Geteuid() == 0 { // Apache then serves as another user, who must be able to read the pages
		user = "User www-data\nGroup www-data"
		for dir := filepath.Join(d.dir, "www"); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		err := filepath.WalkDir(filepath.Join(d.dir, "www"), func(path string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				return os.Chmod(path, 0o755)
			} else if err == nil {
				return os.Chmod(path, 0o644)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	d.write(t, "site.conf", site)
	d.write(t, "apache.conf",
		fmt.Sprintf(aroundApache, d.dir, d.origin[strings.LastIndexByte(d.origin, ':')+1:], modules.String(), user))
	return "exec /usr/sbin/apache2 -f " + filepath.Join(d.dir, "apache.conf") + " -DFOREGROUND"
}

// received checks that the Apache that expects a form_post got one; otherwise the visit would not
// prove anything.
func (d *document) received(t *testing.T, where, text string) {
	t.Helper()
	log, err := os.ReadFile(d.appLog)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "form_post") != strings.Contains(string(log), "POST /app/oidc") {
		t.Errorf("%s: the response came in another mode than was asked for:\n%s", where, log)
	}
}

// visit is a visit of the user Ada to an app with her browser. She logs in, sees her name, stays
// logged in, and logs out of the app and of Signet.
func visit(t *testing.T, tab *browser.Tab, origin string) {
	t.Helper()
	tab.Open(origin + "/")
	tab.Wait(`document.querySelector('#login')`)
	tab.Click("#login")
	logIn(tab, "ada@example.com", "correct horse battery staple")
	tab.Wait(`document.querySelector('#hello, #consent-approve')`)
	var asked bool
	tab.Eval(`document.querySelector('#consent-approve') !== null`, &asked)
	if asked {
		tab.Click("#consent-approve")
	}
	tab.Wait(`document.querySelector('#hello')`)
	// An app may know no more of her than her address.
	if got := strings.TrimSpace(tab.Text("#hello")); got != "Hello, Ada" && got != "Hello, ada@example.com" {
		t.Errorf("%s says %q", tab.URL(), got)
	}
	if !strings.HasPrefix(tab.URL(), origin+"/") || strings.Contains(tab.URL(), "code=") {
		t.Errorf("the login ended at %s", tab.URL())
	}
	if tab.Eval(`document.querySelector('#transfer') !== null`, &asked); asked { // she has no second factor
		tab.Loads(func() { tab.Click("#transfer") })
		tab.Wait(`document.querySelector('#note')?.textContent === 'This needs a second factor. Set one up, and log in again.'`)
	}
	tab.Open(tab.URL())
	tab.Wait(`document.querySelector('#logout')`)
	tab.Click("#logout")
	tab.Wait(`location.origin === '` + origin +
		`' && document.querySelector('#login') || document.querySelector('#logout-confirm')`)
	if tab.Eval(`document.querySelector('#logout-confirm') !== null`,
		&asked); asked { // the app did not name the user, so the browser is not sent back
		tab.Click("#logout-confirm")
		tab.Wait(`document.body.className === 'page-signed_out'`)
		tab.Open(origin + "/")
	}
	tab.Wait(`location.origin === '` + origin + `' && document.querySelector('#login')`)
	tab.Click("#login")
	tab.Wait(`document.querySelector('#email')`) // she is logged out of Signet as well, not only of the app
	for _, said := range tab.Said() {
		if strings.HasPrefix(said, "security") {
			t.Errorf("the browser refused something: %s", said)
		}
	}
}

// logIn fills in the hosted login page.
func logIn(tab *browser.Tab, email, password string) {
	tab.Wait(`document.querySelector('#login-submit')`)
	tab.Type("#email", email)
	tab.Type("#password", password)
	tab.Click("#login-submit")
}
