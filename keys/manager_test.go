package keys

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
)

func TestMain(m *testing.M) {
	if raceEnabled { // which makes TestLife ten times slower; more with -rapid.checks
		flag.Set("rapid.checks", "30")
	}
	flag.Parse()
	code := m.Run()
	// Stores and verifiers of tests close their connections late; only goroutines of this package
	// count.
	if err := goleak.Find(goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"),
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck")); err != nil && code == 0 {
		println(err.Error())
		code = 1
	}
	os.Exit(code)
}

func TestStart(t *testing.T) {
	c, store, generate := newClock(), &memStore{}, keystest.Generator()
	if m := replica(t, store, c, generate); m.Ready() == nil {
		t.Error("a manager that was not started is ready")
	}
	m := started(t, store, c, generate)

	for _, alg := range []string{"RS256", "EdDSA"} {
		s, err := m.Signer(alg)
		if err != nil || s.Algorithm() != alg {
			t.Fatalf("%s: %v", alg, err)
		}
		token, err := s.Sign("at+jwt", []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jose.Parse(token)
		if err != nil {
			t.Fatal(err)
		}
		key, ok := m.PublishedKey(parsed.Header.KeyID)
		if !ok || parsed.Verify(key) != nil {
			t.Errorf("a token of the first %s key does not verify under a published one", alg)
		}
	}
	doc, err := m.JWKS()
	if err != nil || len(kids(t, doc)) != 4 {
		t.Errorf("the JWKS of the first start lacks an active key and a successor for each algorithm: %s, %v", doc.Body, err)
	}
	var published struct {
		Keys []struct{ Alg string }
	}
	if err := json.Unmarshal(doc.Body, &published); err != nil || len(published.Keys) != 4 ||
		published.Keys[0].Alg != "RS256" || published.Keys[2].Alg != "EdDSA" {
		t.Errorf("the keys are not in the order of keys.algorithms: %s", doc.Body)
	}
	if got := m.ActiveAlgorithms(); !slices.Equal(got, []string{"RS256", "EdDSA"}) {
		t.Errorf("active: %v", got)
	}
	if got := m.RefreshAlgorithm(); got != "EdDSA" {
		t.Errorf("the cheapest algorithm: %s", got)
	}

	// Another start, another replica: the same ring, the same bytes, nothing written.
	version := store.ring.Version
	other := started(t, store, c, generate)
	if second, _ := other.JWKS(); !bytes.Equal(second.Body, doc.Body) || second.ETag != doc.ETag {
		t.Error("two replicas publish different bytes")
	}
	if store.ring.Version != version {
		t.Error("a start with nothing to do wrote to the store")
	}
}

func TestRefreshJTI(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	grant := [16]byte{1, 2, 3}
	jti, err := m.RefreshJTI(grant, 7)
	if err != nil {
		t.Fatal(err)
	}

	secret, err := jose.Open(store.ring.RefreshSecret, refreshSecretName, testKEK(t))
	if err != nil || len(secret) != 32 {
		t.Fatalf("the refresh secret in the store: %d bytes, %v", len(secret), err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(grant[:])
	mac.Write(binary.BigEndian.AppendUint64(nil, 7))
	if want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); jti != want {
		t.Errorf("jti %s, want %s", jti, want)
	}
	for _, other := range []struct {
		grant      [16]byte
		generation int64
	}{{grant, 8}, {[16]byte{1, 2, 4}, 7}, {grant, -7}} {
		if got, _ := m.RefreshJTI(other.grant, other.generation); got == jti {
			t.Errorf("%v has the same jti", other)
		}
	}
	if _, err := m.Revoke(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	if err := m.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, _ := m.RefreshJTI(grant, 7); again != jti {
		t.Error("a revocation changed the jti of refresh tokens: it logs everybody out")
	}
}

func TestJWKSChangesWithTheKeysOnly(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	first := mustJWKS(t, m)
	if again := mustJWKS(t, m); again != first {
		t.Error("the document is made anew for each request")
	}
	go1 := func(d time.Duration) {
		t.Helper()
		c.Move(d)
		if err := m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	go1(719 * time.Hour)
	if mustJWKS(t, m).ETag != first.ETag {
		t.Error("the bytes changed without a change of the keys")
	}
	go1(time.Hour) // the successors take over and theirs are made
	second := mustJWKS(t, m)
	if got := kids(t, second); len(got) != 6 || second.ETag == first.ETag {
		t.Errorf("with the retiring keys there are %d, ETag %s after %s", len(got), second.ETag, first.ETag)
	}
	retiring := kids(t, first)
	go1(7 * time.Minute) // wiped
	if store.ring.Keys[0].Sealed != "" || mustJWKS(t, m).ETag != second.ETag {
		t.Error("wiping the private halves must change the rows and not the document")
	}
	removeAt := store.ring.Keys[0].RemoveAt
	go1(removeAt.Sub(c.Now()) - time.Second)
	if mustJWKS(t, m).ETag != second.ETag {
		t.Error("a second too early")
	}
	version := store.ring.Version
	c.Move(time.Second) // without a step: it is a function of time
	third := mustJWKS(t, m)
	if got := kids(t, third); len(got) != 4 || third.ETag == second.ETag || third.ETag == first.ETag {
		t.Errorf("after remove_at there are %d keys", len(got))
	}
	if store.ring.Version != version {
		t.Error("the store was written for it")
	}
	for _, kid := range retiring {
		published := slices.Contains(kids(t, third), kid)
		if _, ok := m.PublishedKey(kid); ok != published {
			t.Errorf("PublishedKey and the JWKS differ about %s", kid)
		}
		if _, ok := m.KnownKey(kid); !ok {
			t.Errorf("%s does not verify refresh tokens any more", kid)
		}
	}
	if _, ok := m.KnownKey("nobody"); ok {
		t.Error("an unknown key is known")
	}
}

func TestRunLogsAnOutageOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		store := &memStore{}
		m := replica(t, store, newClock(), keystest.Generator())
		m.Policy.Algorithms = []string{"EdDSA"}
		m.Now = time.Now
		m.DatabaseNow = func(context.Context) (time.Time, error) { return time.Now(), nil }
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.Log = slog.New(slog.NewTextHandler(&log, nil))

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { m.Run(ctx); close(done) }()
		fail := func(err error) {
			store.mu.Lock()
			defer store.mu.Unlock()
			store.failing = err
		}
		for range 2 {
			fail(errors.New("no route to the database"))
			time.Sleep(90*time.Second + time.Millisecond)
			fail(nil)
			time.Sleep(10 * time.Second)
		}
		cancel()
		<-done
		for text, want := range map[string]int{"no route to the database": 2, "current again": 2, "after=1m30s": 2} {
			if got := strings.Count(log.String(), text); got != want {
				t.Errorf("%q was logged %d times, want %d:\n%s", text, got, want, &log)
			}
		}
		if err := m.Ready(); err != nil {
			t.Error(err)
		}
	})
}

// wants checks that an error's text has the wanted parts.
func wants(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error lacks %q: %v", text, err)
		}
	}
}

func mustJWKS(t *testing.T, m *Manager) *Document {
	t.Helper()
	doc, err := m.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	kids(t, doc)
	return doc
}
