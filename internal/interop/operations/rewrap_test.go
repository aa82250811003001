//go:build interop

package operations

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgproxy"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/verifier"
)

// The steps of docs/operators.md, "The key-encryption key", with two replicas that clients use all the
// time: refreshes, logins with a second factor, recovery codes. `signet keys rewrap` is killed before
// and after each of its statements, and run again.
func TestAnotherKeyEncryptionKeyUnderLiveReplicas(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t, pgtest.Options{}).URL(t) // the proxy needs its socket
	k := newRewrap(t, database)
	a := k.start(t, "a", programs.signet, k.with(k.old, ""), "--migrate")
	b := k.start(t, "b", programs.signet, k.with(k.old, ""))
	k.prepare(t)
	l := k.load(t)
	l.goOn(t, 20)

	t.Log("step 2: every server gets the new one as the previous one")
	a, b = k.replace(t, a, k.old, k.new), k.replace(t, b, k.old, k.new)
	t.Log("step 3: the other way round")
	a, b = k.replace(t, a, k.new, k.old), k.replace(t, b, k.new, k.old)
	forgotten := k.start(t, "forgotten at steps 2 and 3", programs.signet, k.with(k.old, ""))
	k.leave(forgotten)
	t.Log("step 4, killed at each statement")
	proxy := pgproxy.New(t, database)
	killed := 0
	for at := 1; ; at++ {
		before := k.killedAt(t, proxy, at, pgproxy.Cut)
		after := k.killedAt(t, proxy, at, pgproxy.Lose)
		l.goOn(t, 5)
		if !before && !after {
			break
		}
		killed++
	}
	k.isDone(t)
	k.mustNotServe(t, forgotten)
	t.Log("step 5: the old one is taken away")
	a, b = k.replace(t, a, k.new, ""), k.replace(t, b, k.new, "")
	k.everybody(t)
	l.goOn(t, 20)
	n := l.end(t)
	t.Logf("%d acts, %d of them with a second factor, none failed; %d answers asked to wait; killed at %d statements",
		n, k.seconds.Load(), busy.Load(), killed)
	if killed < 5 || k.seconds.Load() < 20 {
		t.Errorf("killed at %d statements, %d second factors: that proves nothing", killed, k.seconds.Load())
	}
	k.refusesTheOldKey(t)
	noErrors(t, a)
	noErrors(t, b)
}

// The same with one server on SQLite, which begins at step 3. The command is killed at random moments.
func TestAnotherKeyEncryptionKeyOnSQLite(t *testing.T) {
	t.Parallel()
	k := newRewrap(t, "")
	one := k.start(t, "one", programs.signet, k.with(k.old, ""), "--migrate")
	k.prepare(t)
	one = k.replace(t, one, k.new, k.old)
	l := k.load(t)
	l.goOn(t, 20)

	// Back and forth, for the server has both.
	from, to, killed := k.old, k.new, 0
	for round := 0; killed < 5 && round < 40; round++ {
		begins := time.Now()
		k.run(t, programs.signet, k.with(to, from), "keys", "rewrap")
		took := time.Since(begins)
		from, to = to, from

		cmd := k.command(programs.signet, k.with(to, from), "keys", "rewrap")
		must(t, cmd.Start())
		time.Sleep(time.Duration(float64(took) * (0.4 + 0.6*rand.Float64())))
		_ = cmd.Process.Kill()
		if cmd.Wait() != nil {
			killed++
		}
		if under := k.sealedUnder(t); len(under) != 1 {
			t.Fatalf("a rewrap that was killed left secrets under %q", under)
		}
	}
	k.run(t, programs.signet, k.with(k.new, k.old), "keys", "rewrap")
	k.isDone(t)
	l.goOn(t, 20)
	n := l.end(t)
	one = k.replace(t, one, k.new, "")
	k.everybody(t)
	t.Logf("%d acts, %d of them with a second factor, none failed; killed %d times", n, k.seconds.Load(), killed)
	if killed < 5 || k.seconds.Load() < 10 {
		t.Errorf("killed %d times, %d second factors: that proves nothing", killed, k.seconds.Load())
	}
	k.end(t, one)
	k.refusesTheOldKey(t)
	noErrors(t, one)
}

// rewrap is a service that gets another key-encryption key.
type rewrap struct {
	*service
	database string
	old, new string // files

	working, waiting []*authenticator // those that the load uses, and those that log in at the end
	recovery         map[*authenticator][]string
	seconds          atomic.Int64 // logins with a second factor
}

func newRewrap(t *testing.T, database string) *rewrap {
	t.Helper()
	s := newService(t, database)
	if database == "" {
		database = filepath.Join(s.dir, "data", "signet.db")
	}
	return &rewrap{service: s, database: database, old: s.newKEK(t, "encryption_key"), new: s.newKEK(t, "new_key"),
		recovery: map[*authenticator][]string{}}
}

// with returns the settings of the two keys. No file: the setting is not given.
func (k *rewrap) with(key, previous string) []string {
	env := []string{"SIGNET_KEYS_ENCRYPTION_KEY_FILE=" + key}
	if previous != "" {
		env = append(env, "SIGNET_KEYS_ENCRYPTION_KEY_PREVIOUS_FILE="+previous)
	}
	return env
}

// replace restarts a server with other keys, as a supervisor does.
func (k *rewrap) replace(t *testing.T, one *replica, key, previous string) *replica {
	t.Helper()
	k.end(t, one)
	return k.start(t, one.name, programs.signet, k.with(key, previous))
}

// prepare makes people with authenticator apps, two of whom have recovery codes as well.
func (k *rewrap) prepare(t *testing.T) {
	t.Helper()
	k.env = append(k.env, k.with(k.old, "")...) // of commands that follow; servers have their own
	all := k.importPeople(t, programs.signet, "second", 30)
	k.working, k.waiting = all[:20], all[20:]
	for _, a := range k.waiting[:2] {
		got, err := k.logInWithCode(k.front, a, "")
		must(t, err)
		var proof struct{ Proof string }
		k.must(t, k.issuer, request{path: "/v1/profile/prove", bearer: got.Access, want: http.StatusOK,
			json: map[string]string{"code": a.code()}}).read(t, &proof)
		var made struct {
			Codes []string `json:"recovery_codes"`
		}
		k.must(t, k.issuer, request{path: "/v1/profile/factors/recovery-codes", bearer: got.Access,
			json: map[string]string{"proof": proof.Proof}, want: http.StatusOK}).read(t, &made)
		if k.recovery[a] = made.Codes; len(made.Codes) < 5 {
			t.Fatalf("%d recovery codes", len(made.Codes))
		}
	}
}

func (k *rewrap) front() string { return k.issuer }

// load uses all that the key-encryption key protects: signing keys, the refresh secret, the factor
// secret.
func (k *rewrap) load(t *testing.T) *load {
	t.Helper()
	l := k.startLoad(t, k.issuer, "load@example.com")
	v, err := verifier.New(verifier.Config{Issuer: k.issuer, Audience: []string{k.issuer},
		JWKSURL: k.issuer + "/.well-known/jwks.json"})
	must(t, err)
	must(t, k.signUp(k.issuer, "verified@example.com"))
	session, err := k.logIn(k.issuer, "verified@example.com")
	must(t, err)
	l.loop(50*time.Millisecond, func(int) (err error) {
		if session, err = k.refresh(k.issuer, session); err == nil {
			_, err = v.Verify(t.Context(), session.Access)
		}
		return err
	})
	for n := range 2 {
		half := k.working[n*10 : n*10+10]
		l.loop(150*time.Millisecond, func(n int) error {
			a := half[n%len(half)]
			if !a.ready() {
				return nil
			}
			defer k.seconds.Add(1)
			_, err := k.logInWithCode(k.front, a, "")
			return err
		})
	}
	return l
}

// everybody shows that no factor is lost: those who waited log in, some by a recovery code.
func (k *rewrap) everybody(t *testing.T) {
	t.Helper()
	for _, a := range k.waiting {
		recovery := ""
		if codes := k.recovery[a]; len(codes) > 0 {
			recovery = codes[0]
		}
		_, err := k.logInWithCode(k.front, a, recovery)
		must(t, err)
		k.seconds.Add(1)
	}
}

// killedAt runs the command and kills it at a statement: before the server has it (Cut), or when the
// server has executed it (Lose). It reports whether the command came so far. Whatever it did, all
// secrets are sealed under one key.
func (k *rewrap) killedAt(t *testing.T, proxy *pgproxy.Proxy, at int, fault pgproxy.Fault) bool {
	t.Helper()
	env := append(k.with(k.new, k.old), "SIGNET_DATABASE_URL="+proxy.URL)
	cmd := k.command(programs.signet, env, "keys", "rewrap")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	var killed atomic.Bool
	proxy.Arm(at, fault, "", func() {
		killed.Store(true)
		_ = cmd.Process.Kill()
	})
	err := cmd.Run()
	proxy.Disarm()
	if err != nil && !killed.Load() {
		t.Fatalf("signet keys rewrap: %v %s", err, &said)
	}
	if under := k.sealedUnder(t); len(under) != 1 {
		t.Fatalf("a rewrap that was killed at its statement %d left secrets under %q", at, under)
	}
	return killed.Load()
}

// sealedUnder returns the ids of the key-encryption keys that seal something.
func (k *rewrap) sealedUnder(t *testing.T) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	db, err := sqlstore.Open(ctx, k.database, sqlstore.Options{MustExist: true, MaxConns: 1})
	must(t, err)
	defer db.Close()
	ring, err := db.LoadRing(ctx)
	must(t, err)
	ids, sealed := map[string]bool{}, []string{ring.RefreshSecret, ring.FactorSecret}
	for _, key := range ring.Keys {
		if key.Sealed != "" {
			sealed = append(sealed, key.Sealed)
		}
	}
	if len(sealed) != 6 { // two secrets, and an active key and its successor of each algorithm
		t.Fatalf("%d secrets are sealed", len(sealed))
	}
	for _, one := range sealed {
		id, err := jose.SealedUnder(one)
		must(t, err)
		ids[id] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// isDone checks that everything is sealed under the new key.
func (k *rewrap) isDone(t *testing.T) {
	t.Helper()
	said := k.run(t, programs.signet, k.with(k.new, k.old), "keys", "rewrap")
	if !strings.Contains(said, "Nothing changed") {
		t.Errorf("the rewrap was not complete: %s", said)
	}
	if under := k.sealedUnder(t); !slices.Equal(under, []string{k.id(t, k.new)}) {
		t.Errorf("the secrets are sealed under %q", under)
	}
}

func (k *rewrap) id(t *testing.T, file string) string {
	t.Helper()
	kek, err := jose.ParseKEK(k.text(t, file))
	must(t, err)
	return kek.ID
}

func (k *rewrap) text(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	return strings.TrimSpace(string(text))
}

// mustNotServe waits until a replica that runs with the old key only says that it cannot serve, and
// its log which key it needs.
func (k *rewrap) mustNotServe(t *testing.T, one *replica) {
	t.Helper()
	eventually(t, one.name+" is not ready", func() bool {
		a, err := k.askOnce(one.url, request{path: "/readyz", get: true})
		must(t, err)
		return a.status == http.StatusServiceUnavailable && strings.Contains(string(a.body), "sealed")
	})
	if grep(t, one.log, k.id(t, k.new)) == "" {
		t.Error("the log does not name the key that is missing")
	}
}

// refusesTheOldKey starts a server that has the old key only.
func (k *rewrap) refusesTheOldKey(t *testing.T) {
	t.Helper()
	_, said, err := k.try(programs.signet, append(k.with(k.old, ""), "SIGNET_LISTEN=127.0.0.1:0"), "serve")
	if _, ended := err.(*exec.ExitError); !ended {
		t.Fatalf("a server with the old key ended with %v", err)
	}
	for _, want := range []string{k.id(t, k.new), k.id(t, k.old), "keys.encryption_key"} {
		if !strings.Contains(said, want) {
			t.Errorf("the refusal does not name %s: %s", want, said)
		}
	}
	if strings.Contains(said, k.text(t, k.old)) {
		t.Error("the refusal shows the key")
	}
}
