//go:build interop

package operations

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/mail/mailtest"
	"github.com/signet-id/signet/verifier"
)

// upgrade is a service of two versions: 0 is the old one, 1 the new one.
type upgrade struct {
	*service
	programs [2]string
	replicas [2]*replica
	began    time.Time
	turn     int
	people   int // who signed up
	mail     *mailtest.Server

	// What began at the first replica, and lives until the end.
	apps        map[string]app
	web         app    // of apps
	ada         tokens // of the account API
	shop        tokens // of the app
	browser     *browser
	second      []*authenticator
	admin       tokens
	firstAccess string
}

// newUpgrade returns a service without replicas, on a database (none is the embedded one), with the
// program of the old version.
func newUpgrade(t *testing.T, database string) (u *upgrade, s *service, old string) {
	t.Helper()
	old, s = previous(t), newService(t, database, timeline...)
	s.issuer = strings.Replace(s.issuer, "127.0.0.1", "localhost", 1) // passkeys need a name
	s.env = append(s.env, "SIGNET_ISSUER="+s.issuer)
	u = &upgrade{service: s, programs: [2]string{old, programs.signet}, began: time.Now()}
	u.withMail(t)
	return u, s, old
}

// next returns the address of the replica whose turn it is.
func (u *upgrade) next() string {
	u.turn++
	one := u.replicas[u.turn%2]
	if one == nil {
		one = u.replicas[(u.turn+1)%2]
	}
	return one.url
}

func (u *upgrade) person() string {
	u.people++
	return fmt.Sprintf("person-%d@example.com", u.people)
}

// settle makes accounts, apps and sessions, at the one replica that there is.
func (u *upgrade) settle(t *testing.T) {
	t.Helper()
	at, program := u.next(), u.programs[0]
	if u.replicas[0] == nil {
		program = u.programs[1]
	}
	u.register(t, program)
	must(t, u.signUp(at, "ada@example.com"))
	var err error
	u.ada, err = u.logIn(at, "ada@example.com")
	must(t, err)
	u.browser = newBrowser()
	u.shop, err = u.login(u.next, u.browser, "ada@example.com")
	must(t, err)
	u.firstAccess = u.shop.Access
	u.second = u.importPeople(t, program, "second", 2)
	cmd := u.command(program, nil, "users", "create", "--email", "root@example.com", "--admin", "--password-file", "-")
	cmd.Stdin = strings.NewReader(password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a := u.must(t, at, request{path: "/v1/login", want: http.StatusOK,
		json: map[string]string{"email": "root@example.com", "password": password, "scope": "profile admin"}})
	a.read(t, &u.admin)
}

// login logs in to the web app at the pages and redeems the code, each request at the next address.
func (u *upgrade) login(next func() string, b *browser, email string) (tokens, error) {
	v := newVerifier()
	code, err := u.authorize(next, b, &u.web, email, v)
	if err != nil {
		return tokens{}, err
	}
	return u.redeem(next(), &u.web, code, v)
}

// loadUntil lets clients use all replicas through the balancer until act has ended, and returns the
// number of their requests, of which none may fail.
func (u *upgrade) loadUntil(t *testing.T, act func()) int64 {
	t.Helper()
	l := u.startLoad(t, u.issuer, "load-"+u.person())
	l.goOn(t, 20)
	act()
	l.goOn(t, 20)
	return l.end(t)
}

// register registers the apps of the scripts in ../node, with the operator's command.
func (u *upgrade) register(t *testing.T, program string) {
	t.Helper()
	out, err := exec.Command("node", "../node/keys.js").Output()
	if err != nil {
		t.Fatalf("node ../node/keys.js: %v (make interop installs its packages)", err)
	}
	var keys struct {
		Public  json.RawMessage
		Private []json.RawMessage
	}
	must(t, json.Unmarshal(out, &keys))
	jwks := filepath.Join(t.TempDir(), "jwks.json")
	must(t, os.WriteFile(jwks, keys.Public, 0o600))
	machine := []string{"--grant-type", "client_credentials", "--resource", resource, "--auth-method"}
	u.apps = map[string]app{}
	for _, c := range []struct {
		id, redirect string
		args         []string
	}{
		{"basic", "https://basic.test/callback", append(machine, "client_secret_basic")},
		{"post", "https://post.test/callback", append(machine, "client_secret_post")},
		{"jwt", "https://jwt.test/callback", append(machine, "private_key_jwt", "--jwks-file", jwks)},
		{"tenant", "https://tenant.test/callback?tenant=one", append(machine, "client_secret_post")},
		{"spa", "http://127.0.0.1:4000/callback", []string{"--auth-method", "none"}},
		{"box", "https://box.test/callback", []string{"--auth-method", "none", "--grant-type", "device_code"}},
	} {
		made := app{RedirectURI: c.redirect, Bye: "https://" + c.id + ".test/bye"}
		args := append([]string{"clients", "create", "--json", "--client-id", c.id, "--name", c.id,
			"--redirect-uri", c.redirect, "--post-logout-redirect-uri", made.Bye,
			"--grant-type", "authorization_code", "--grant-type", "refresh_token"}, c.args...)
		must(t, json.Unmarshal([]byte(u.run(t, program, nil, args...)), &made))
		u.apps[c.id] = made
	}
	jwt := u.apps["jwt"]
	jwt.Keys = keys.Private
	u.apps["jwt"], u.web = jwt, u.apps["basic"]
}

// realClients let web apps on public libraries do everything that they do, each request at the next
// replica. A script prints each of its steps; the last one is the same in all.
func (u *upgrade) realClients(t *testing.T) {
	t.Helper()
	for _, command := range [][]string{
		{programs.app}, {"node", "../node/openid-client.js"}, {"node", "../node/oauth4webapi.js"},
	} {
		email := u.person()
		must(t, u.signUp(u.next(), email))
		input, err := json.Marshal(map[string]any{"issuer": u.issuer, "resource": resource,
			"user": map[string]string{"email": email, "password": password}, "clients": u.apps})
		must(t, err)
		cmd := exec.Command(command[0], command[1:]...)
		var out, said bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(input, '\n')), &out, &said
		if err := cmd.Run(); err != nil || !strings.HasSuffix(out.String(), "\nlogout by the app\n") {
			t.Fatalf("%s: %v after\n%s%s", cmd, err, &out, &said)
		}
	}
}

// verified checks an access token with the key set of a replica.
func (u *upgrade) verified(t *testing.T, k tokens, by int) {
	t.Helper()
	if err := u.verify(t, k, by); err != nil {
		t.Fatalf("by the key set of %s: %v", u.replicas[by].name, err)
	}
}

func (u *upgrade) verify(t *testing.T, k tokens, by int) error {
	t.Helper()
	v, err := verifier.New(verifier.Config{Issuer: u.issuer, Audience: []string{u.issuer},
		JWKSURL: u.replicas[by].url + "/.well-known/jwks.json", Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	_, err = v.Verify(t.Context(), k.Access)
	return err
}

// rotate rotates and revokes keys with the program of one version. Both replicas follow.
func (u *upgrade) rotate(t *testing.T, by int) {
	t.Helper()
	email := u.person()
	must(t, u.signUp(u.next(), email))
	for _, command := range [][]string{{"keys", "rotate"}, {"keys", "revoke", "--all"}} {
		k, err := u.logIn(u.next(), email)
		must(t, err)
		kid := keyID(k.Access)
		u.run(t, u.programs[by], nil, command...)
		for a := range 2 {
			eventually(t, u.replicas[a].name+" signs with the next key", func() bool {
				next, err := u.refresh(u.replicas[a].url, k)
				must(t, err)
				if k = next; keyID(k.Access) == kid {
					return false
				}
				u.verified(t, k, a)
				if slices.Contains(command, "--all") { // the other one learns of a fresh key within a second or two
					eventually(t, "the other replica publishes the key", func() bool { return u.verify(t, k, 1-a) == nil })
				}
				u.verified(t, k, 1-a)
				return true
			})
		}
		if one, other := u.keyAt(t, 0, email), u.keyAt(t, 1, email); kid == one || one != other {
			t.Fatal("the replicas do not agree on the active key")
		}
	}
}

// keyAt returns the key with which a replica signs. It logs in as somebody whose sessions nobody counts on:
// the 50th newer one would end a session that was never refreshed.
func (u *upgrade) keyAt(t *testing.T, a int, email string) string {
	t.Helper()
	k, err := u.logIn(u.replicas[a].url, email)
	must(t, err)
	return keyID(k.Access)
}

// goOn uses at a replica all that began at the start.
func (u *upgrade) goOn(t *testing.T, one *replica) {
	t.Helper()
	at := func() string { return one.url }
	var err error
	u.ada, err = u.refresh(one.url, u.ada)
	must(t, err)
	u.shop, err = u.refresh(one.url, u.shop)
	must(t, err)
	u.admin, err = u.refresh(one.url, u.admin)
	must(t, err)
	u.must(t, one.url, request{path: "/v1/admin/users?limit=5", get: true, bearer: u.admin.Access, want: http.StatusOK})
	silent := *u.browser // knows no password: the session shows no page
	v := newVerifier()
	code, err := u.authorize(at, &silent, &u.web, "nobody@example.com", v)
	must(t, err)
	_, err = u.redeem(one.url, &u.web, code, v)
	must(t, err)
	for _, a := range u.second {
		if a.ready() {
			_, err = u.logInWithCode(at, a, "")
			must(t, err)
		}
	}
	_, err = u.logIn(one.url, "ada@example.com")
	must(t, err)
}

// noErrors reads the log of a server: nothing may have failed for a reason of its own.
func noErrors(t *testing.T, one *replica) {
	t.Helper()
	if said := grep(t, one.log, `"level":"ERROR"`); said != "" {
		t.Errorf("%s logged:\n%s", one.name, said)
	}
}
