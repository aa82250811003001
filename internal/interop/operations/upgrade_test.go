//go:build interop

package operations

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/verifier"
)

// The timeline of keys is short enough to rotate them within the test.
var timeline = []string{"SIGNET_KEYS_PROPAGATION=10s", "SIGNET_KEYS_JWKS_MAX_AGE=1s", "SIGNET_CLOCK_SKEW=4s",
	"SIGNET_KEYS_ALGORITHMS=RS256,EdDSA"}

// F-34: v0.1.0 serves, the schema is migrated under it, this version starts beside it, clients go
// through both, the old one leaves, and comes back.
func TestF34ThePreviousVersionBesideThisOne(t *testing.T) {
	t.Parallel()
	old, database := previous(t), pgtest.URL(t)
	s := newService(t, database, timeline...)
	s.env = append(s.env, "SIGNET_KEYS_ENCRYPTION_KEY_FILE="+s.newKEK(t, "kek"))
	u := &upgrade{service: s, programs: [2]string{old, programs.signet}, began: time.Now()}

	t.Log("v0.1.0 alone")
	u.replicas[0] = s.start(t, "the old replica", old, nil, "--migrate")
	u.settle(t)
	if _, said, err := s.try(programs.signet, nil, "serve"); err == nil || !strings.Contains(said, "signet migrate up") {
		t.Errorf("this version started on the schema of before: %v %s", err, said)
	}

	t.Log("the schema is migrated while it serves")
	before := u.loadUntil(t, func() {
		s.run(t, programs.signet, nil, "migrate", "up")
		if status := s.run(t, programs.signet, nil, "migrate", "status"); !strings.Contains(status, "0017_audit_months") {
			t.Errorf("migrate status: %s", status)
		}
	})
	t.Logf("%d requests meanwhile, none failed", before)
	u.months(t, database)

	t.Log("both at once")
	u.replicas[1] = s.start(t, "the new replica", programs.signet, nil)
	both := u.loadUntil(t, func() {
		u.realClients(t)
		for a := range 2 {
			u.crosswise(t, a, 1-a)
		}
		for a := range 2 {
			u.rotate(t, a)
		}
	})
	t.Logf("%d requests meanwhile, none failed; %d answers asked to wait", both, busy.Load())

	t.Log("this version alone")
	s.end(t, u.replicas[0])
	u.goOn(t, u.replicas[1])
	t.Log("v0.1.0 beside it once more, then alone")
	u.replicas[0] = s.start(t, "the old replica again", old, nil)
	u.crosswise(t, 0, 1)
	s.end(t, u.replicas[1])
	u.goOn(t, u.replicas[0])
	s.end(t, u.replicas[0])
	for _, one := range u.replicas {
		noErrors(t, one)
	}
}

// A database that this version made, on which nobody did anything yet but log in, serves v0.1.0.
func TestF34BackToThePreviousVersion(t *testing.T) {
	t.Parallel()
	old, database := previous(t), pgtest.URL(t)
	s := newService(t, database, timeline...)
	s.env = append(s.env, "SIGNET_KEYS_ENCRYPTION_KEY_FILE="+s.newKEK(t, "kek"))
	u := &upgrade{service: s, programs: [2]string{old, programs.signet}, began: time.Now()}
	u.replicas[1] = s.start(t, "the new replica", programs.signet, nil, "--migrate")
	u.settle(t)
	s.end(t, u.replicas[1])
	if _, said, err := s.try(old, nil, "migrate", "up"); err != nil {
		t.Errorf("v0.1.0 has nothing to migrate, and fails: %v %s", err, said)
	}
	u.replicas[0] = s.start(t, "the old replica", old, nil, "--migrate")
	u.goOn(t, u.replicas[0])

	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer conn.Close(t.Context())
	var written int
	must(t, conn.QueryRow(t.Context(), fmt.Sprintf(`SELECT count(*) FROM audit_events_%s WHERE at > $1`,
		u.began.UTC().Format("2006_01")), time.Now().Add(-time.Minute).UnixMicro()).Scan(&written))
	if written == 0 && time.Now().UTC().Month() == u.began.UTC().Month() {
		t.Error("v0.1.0 writes no entry into this month's part of the audit log")
	}
	u.replicas[1] = s.start(t, "the new replica again", programs.signet, nil)
	u.crosswise(t, 0, 1)
	u.crosswise(t, 1, 0)
	s.end(t, u.replicas[0])
	s.end(t, u.replicas[1])
	noErrors(t, u.replicas[0])
	noErrors(t, u.replicas[1])
}

// F-34: the file of v0.1.0 goes on under this version, and back.
func TestF34AFileOfThePreviousVersion(t *testing.T) {
	t.Parallel()
	old := previous(t)
	s := newService(t, "", timeline...)
	u := &upgrade{service: s, programs: [2]string{old, programs.signet}, began: time.Now()}
	u.replicas[0] = s.start(t, "the old server", old, nil, "--migrate")
	u.settle(t)
	if _, said, err := s.try(programs.signet, nil, "serve"); err == nil || !strings.Contains(said, "another server uses") {
		t.Errorf("this version started beside the old one on one file: %v %s", err, said)
	}
	s.end(t, u.replicas[0])
	keys := s.run(t, old, nil, "keys", "export")
	u.replicas[1] = s.start(t, "the new server", programs.signet, nil, "--migrate")
	if now := s.run(t, programs.signet, nil, "keys", "export"); now != keys {
		t.Errorf("the key set was %s and is %s", keys, now)
	}
	u.goOn(t, u.replicas[1])
	s.end(t, u.replicas[1])
	u.replicas[0] = s.start(t, "the old server again", old, nil)
	u.goOn(t, u.replicas[0])
	s.end(t, u.replicas[0])
	noErrors(t, u.replicas[0])
	noErrors(t, u.replicas[1])
}

// upgrade is a service of two versions: 0 is the old one, 1 the new one.
type upgrade struct {
	*service
	programs [2]string
	replicas [2]*replica
	began    time.Time
	turn     int
	people   int // who signed up

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
	} {
		made := app{RedirectURI: c.redirect, Bye: "https://" + c.id + ".test/bye"}
		args := append([]string{"clients", "create", "--json", "--client-id", c.id, "--name", c.id, "--redirect-uri", c.redirect,
			"--post-logout-redirect-uri", made.Bye, "--grant-type", "authorization_code", "--grant-type", "refresh_token"}, c.args...)
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
	for _, command := range [][]string{{programs.app}, {"node", "../node/openid-client.js"}, {"node", "../node/oauth4webapi.js"}} {
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

// crosswise begins everything at replica a and goes on with it at replica b.
func (u *upgrade) crosswise(t *testing.T, a, b int) {
	t.Helper()
	at, other := u.replicas[a].url, u.replicas[b].url
	email := u.person()
	must(t, u.signUp(at, email))
	k, err := u.logIn(other, email)
	must(t, err)
	u.verified(t, k, a)

	// The pages: each request at the other replica, and the code as well.
	v, turn := newVerifier(), 0
	alternate := func() string { turn++; return []string{at, other}[turn%2] }
	person := newBrowser()
	code, err := u.authorize(alternate, person, &u.web, email, v)
	must(t, err)
	shop, err := u.redeem(alternate(), &u.web, code, v)
	must(t, err)
	u.verified(t, shop, a)
	u.verified(t, shop, b)
	v = newVerifier()
	code, err = u.authorize(func() string { return at }, person, &u.web, email, v) // the session shows no page
	must(t, err)
	copied, err := u.redeem(other, &u.web, code, v)
	must(t, err)
	u.must(t, at, request{path: "/oauth2/token", app: &u.web, want: http.StatusBadRequest, form: url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {u.web.RedirectURI}, "code_verifier": {v}}})
	u.refused(t, other, copied) // the second use of the code has ended what came of it

	// Rotation in turn; each step is repeated at the other replica, as after a lost answer.
	for _, session := range []tokens{k, shop} {
		first := session
		for range 4 {
			next, err := u.refresh(alternate(), session)
			must(t, err)
			again, err := u.refresh(alternate(), session)
			must(t, err)
			if part(again.Refresh, 1)["jti"] != part(next.Refresh, 1)["jti"] {
				t.Fatal("one refresh token has two successors")
			}
			alternate() // now the other one begins
			session = again
		}
		u.verified(t, session, a)
		u.refused(t, other, first) // was used long ago: the session ends, at both
		u.refused(t, at, session)
	}

	// What ends at a has ended at b.
	shop, err = u.login(alternate, person, email)
	must(t, err)
	active := func(where string, want bool) {
		t.Helper()
		var got struct{ Active bool }
		u.must(t, where, request{path: "/oauth2/introspect", app: &u.web, form: url.Values{"token": {shop.Refresh}}, want: http.StatusOK}).read(t, &got)
		if got.Active != want {
			t.Fatalf("introspection at %s answers %t", where, got.Active)
		}
	}
	active(other, true)
	u.must(t, at, request{path: "/oauth2/revoke", app: &u.web, form: url.Values{"token": {shop.Refresh}}, want: http.StatusOK})
	active(other, false)
	u.refused(t, other, shop)
	k, err = u.logIn(at, email)
	must(t, err)
	u.must(t, other, request{path: "/v1/profile", get: true, bearer: k.Access, want: http.StatusOK})
	u.must(t, at, request{path: "/v1/logout", bearer: k.Access, want: http.StatusNoContent})
	u.must(t, other, request{path: "/v1/profile", get: true, bearer: k.Access, want: http.StatusUnauthorized})
	u.refused(t, other, k)

	if one := u.second[a]; one.ready() {
		_, err = u.logInWithCode(alternate, one, "")
		must(t, err)
	}
	u.administer(t, a, b, part(k.Access, 1)["sub"].(string))
}

// administer changes a user at a and reads it, with its entry of the audit log, at b.
func (u *upgrade) administer(t *testing.T, a, b int, id string) {
	t.Helper()
	at, other := u.replicas[a].url, u.replicas[b].url
	var err error
	u.admin, err = u.refresh(at, u.admin)
	must(t, err)
	name := fmt.Sprint("Grace ", u.turn, a, time.Now().UnixNano())
	u.must(t, at, request{path: "/v1/admin/users/" + id, method: http.MethodPatch, bearer: u.admin.Access,
		json: map[string]string{"family_name": name}, want: http.StatusOK})
	var user struct {
		Family string `json:"family_name"`
	}
	u.must(t, other, request{path: "/v1/admin/users/" + id, get: true, bearer: u.admin.Access, want: http.StatusOK}).read(t, &user)
	var log struct {
		Events []struct {
			Event   string
			Changes []struct{ Field, After string }
		}
	}
	u.must(t, other, request{path: "/v1/admin/audit?limit=1&event=user_updated&target=" + id, get: true, bearer: u.admin.Access,
		want: http.StatusOK}).read(t, &log)
	if user.Family != name || len(log.Events) != 1 || len(log.Events[0].Changes) != 1 || log.Events[0].Changes[0].After != name {
		t.Fatalf("the other replica shows %q and %+v, not %q", user.Family, log, name)
	}
	// Both programs read one log.
	args := []string{"audit", "--json", "--user", id}
	if mine, others := u.run(t, u.programs[a], nil, args...), u.run(t, u.programs[b], nil, args...); mine != others || mine == "" {
		t.Fatalf("the versions read other audit logs:\n%s\n%s", mine, others)
	}
}

// verified checks an access token with the key set of a replica.
func (u *upgrade) verified(t *testing.T, k tokens, by int) {
	t.Helper()
	v, err := verifier.New(verifier.Config{Issuer: u.issuer, Audience: []string{u.issuer}, JWKSURL: u.replicas[by].url + "/.well-known/jwks.json",
		Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	if _, err := v.Verify(t.Context(), k.Access); err != nil {
		t.Fatalf("by the key set of %s: %v", u.replicas[by].name, err)
	}
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
				u.verified(t, k, 1-a)
				return true
			})
		}
		if kid == u.keyAt(t, 0) || u.keyAt(t, 0) != u.keyAt(t, 1) {
			t.Fatal("the replicas do not agree on the active key")
		}
	}
}

func (u *upgrade) keyAt(t *testing.T, a int) string {
	t.Helper()
	k, err := u.logIn(u.replicas[a].url, "ada@example.com")
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

// months checks that the audit log consists of months, with all that was written before, and that
// v0.1.0 removes old entries there as it did. Its sweeper comes every five minutes only, so that its
// statement is taken from its sources.
func (u *upgrade) months(t *testing.T, database string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass`)
	must(t, err)
	parts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	if !slices.Contains(parts, "audit_events_before") || !slices.Contains(parts, "audit_events_other") {
		t.Errorf("the audit log has the parts %q", parts)
	}
	count := func() (n int) {
		must(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM audit_events WHERE name = 'user_created'`).Scan(&n))
		return n
	}
	before := count()
	if before == 0 {
		t.Error("the entries of before are gone")
	}
	_, err = conn.Exec(t.Context(), `INSERT INTO audit_events SELECT at - $1, id || 'old', name, outcome, reason, actor_type, actor_id,
		target_type, target_id, client_id, session_id, address, user_agent, request_id, changes FROM audit_events`, threeYears)
	must(t, err)
	source, err := os.ReadFile(filepath.Join(programs.dir, "previous", "userstore", "sqlstore", "audit.go"))
	must(t, err)
	statement := regexp.MustCompile("(?s)const removeEvents = `(.*?)`").FindSubmatch(source)
	if statement == nil {
		t.Fatal("v0.1.0 removes old entries by another statement")
	}
	for removed := int64(200); removed == 200; {
		tag, err := conn.Exec(t.Context(), string(statement[1]), time.Now().UnixMicro()-threeYears/2, 200)
		must(t, err)
		removed = tag.RowsAffected()
	}
	if after := count(); after < before || after >= 2*before {
		t.Errorf("of %d entries and their copies of three years ago %d are left", before, after)
	}
}

const threeYears = int64(3 * 365 * 24 * time.Hour / time.Microsecond)

// noErrors reads the log of a server: nothing may have failed for a reason of its own.
func noErrors(t *testing.T, one *replica) {
	t.Helper()
	if said := grep(t, one.log, `"level":"ERROR"`); said != "" {
		t.Errorf("%s logged:\n%s", one.name, said)
	}
}
