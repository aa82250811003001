package keys

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
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
	if err := json.Unmarshal(doc.Body, &published); err != nil || len(published.Keys) != 4 || published.Keys[0].Alg != "RS256" || published.Keys[2].Alg != "EdDSA" {
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

func TestKeyEncryptionKey(t *testing.T) {
	c, generate := newClock(), keystest.Generator()
	wrongText := jose.NewKEK()
	wrong, err := jose.ParseKEK(wrongText)
	if err != nil {
		t.Fatal(err)
	}
	right := testKEK(t)

	t.Run("without one the first start says how to make one, and makes no keys", func(t *testing.T) {
		m := replica(t, &memStore{}, c, generate)
		m.KEKs = nil
		wants(t, m.Start(t.Context()), "signet keys new-kek", "keys.encryption_key")
		if m.Store.(*memStore).ring.Version != 0 {
			t.Error("keys were made")
		}
	})
	t.Run("without the right one a start names the one it needs, by its id", func(t *testing.T) {
		store := &memStore{}
		started(t, store, c, generate)
		for _, given := range [][]jose.KEK{nil, {wrong}} {
			m := replica(t, store, c, generate)
			m.KEKs = given
			err := m.Start(t.Context())
			wants(t, err, right.ID, "keys.encryption_key")
			if err := m.LoadView(t.Context()); err != nil {
				t.Errorf("LoadView needs no key-encryption key: %v", err)
			}
			if _, ok := m.KnownKey(store.ring.Keys[0].ID); !ok || !errors.Is(m.Ready(), ErrSealed) {
				t.Errorf("after LoadView: %v, %v", ok, m.Ready())
			}
			if _, err := m.RefreshJTI([16]byte{}, 1); !errors.Is(err, ErrNotReady) {
				t.Errorf("a jti without the secret: %v", err)
			}
			if strings.Contains(err.Error(), keystest.KEK) || strings.Contains(err.Error(), wrongText) {
				t.Errorf("the error holds a key: %v", err)
			}
			// … and nothing is written that the others could not open.
			version := store.ring.Version
			if _, err := m.Revoke(t.Context(), []string{store.ring.Keys[0].ID}, false); err == nil {
				t.Error("revoke made a successor that nobody can open")
			}
			if _, err := m.Rewrap(t.Context()); err == nil {
				t.Error("rewrap without the old key worked")
			}
			if store.ring.Version != version {
				t.Error("the store was changed")
			}
		}
	})
	t.Run("a private half under another key's name is not used", func(t *testing.T) {
		store := &memStore{}
		started(t, store, c, generate)
		store.ring.Keys[0].Sealed = store.ring.Keys[1].Sealed
		if err := replica(t, store, c, generate).Start(t.Context()); err == nil {
			t.Error("it is")
		}
		// Not even a key that an attacker who has the KEK sealed for this name.
		other, _ := GenerateKey(jose.EdDSA)
		der, err := x509.MarshalPKCS8PrivateKey(other)
		if err != nil {
			t.Fatal(err)
		}
		if store.ring.Keys[0].Sealed, err = jose.Seal(der, right, store.ring.Keys[0].ID); err != nil {
			t.Fatal(err)
		}
		wants(t, replica(t, store, c, generate).Start(t.Context()), "another key than its name says")
	})
	t.Run("rewrap under live replicas", func(t *testing.T) {
		store := &memStore{}
		old := started(t, store, c, generate)
		old.KEKs = []jose.KEK{right, wrong} // the new KEK opens already
		operator := replica(t, store, c, generate)
		operator.KEKs = []jose.KEK{wrong, right}
		jti, _ := old.RefreshJTI([16]byte{}, 1)

		r, err := operator.Rewrap(t.Context())
		if err != nil || !r.Changed {
			t.Fatalf("%+v, %v", r, err)
		}
		wants(t, errors.New(r.Message), "4 private keys", wrong.ID)
		for _, k := range r.Keys {
			if k.SealedUnder != wrong.ID {
				t.Errorf("%s is sealed under %s", k.KeyID, k.SealedUnder)
			}
		}
		if r, err := operator.Rewrap(t.Context()); err != nil || r.Changed || !strings.Contains(r.Message, "Nothing changed") {
			t.Errorf("again: %+v, %v", r, err)
		}
		if err := old.Step(t.Context()); err != nil || old.Ready() != nil {
			t.Errorf("a live replica: %v, %v", err, old.Ready())
		}
		if again, err := old.RefreshJTI([16]byte{}, 1); err != nil || again != jti {
			t.Errorf("the refresh secret changed: %v", err)
		}
		after := replica(t, store, c, generate)
		after.KEKs = []jose.KEK{wrong} // the old KEK is removed
		if err := after.Start(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a replica that cannot open the next keys is not ready and tells why, but publishes them", func(t *testing.T) {
		store := &memStore{}
		behind := started(t, store, c, generate)
		operator := replica(t, store, c, generate)
		operator.KEKs = []jose.KEK{wrong, right}
		if _, err := operator.Revoke(t.Context(), nil, true); err != nil {
			t.Fatal(err)
		}
		if err := behind.Step(t.Context()); err != nil || behind.Ready() != nil {
			t.Fatalf("a replica with a newer key-encryption key sealed under it before the rewrap: %v, %v", err, behind.Ready())
		}
		if _, err := operator.Rewrap(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := operator.Revoke(t.Context(), nil, true); err != nil {
			t.Fatal(err)
		}
		wants(t, behind.Step(t.Context()), wrong.ID)
		wants(t, behind.Ready(), wrong.ID)
		if err := behind.Ready(); !errors.Is(err, ErrSealed) || errors.Is(err, ErrStale) || errors.Is(err, ErrClock) {
			t.Errorf("not told apart from other reasons: %v", err)
		}
		if s, err := behind.Signer("RS256"); !errors.Is(err, ErrNotReady) {
			t.Errorf("it signs with %v, %v", s, err)
		}
		if doc, err := behind.JWKS(); err != nil || len(kids(t, doc)) != 4 {
			t.Errorf("its JWKS: %v", err)
		}
		// The missing key is configured, and the replica recovers.
		behind.KEKs = []jose.KEK{right, wrong}
		if err := behind.Step(t.Context()); err != nil || behind.Ready() != nil {
			t.Errorf("with the key: %v, %v", err, behind.Ready())
		}
	})
}

func TestStaleView(t *testing.T) {
	setup := func(t *testing.T) (*memStore, *clock, *Manager) {
		c, store := newClock(), &memStore{}
		return store, c, started(t, store, c, keystest.Generator())
	}
	down := errors.New("the store is down")

	t.Run("F-22 signs until the stale limit, publishes until another could sign with an unknown key", func(t *testing.T) {
		store, c, m := setup(t)
		store.failing = down
		for _, s := range []struct {
			move              time.Duration
			signs, publishes_ bool
		}{
			{6 * time.Minute, true, true},
			{time.Microsecond, false, true},
			{48*time.Minute - time.Microsecond, false, true},
			{time.Microsecond, false, false},
		} {
			c.Move(s.move)
			if err := m.Step(t.Context()); !errors.Is(err, down) {
				t.Fatalf("Step: %v", err)
			}
			if _, err := m.Signer("RS256"); (err == nil) != s.signs || err != nil && !errors.Is(err, ErrNotReady) {
				t.Errorf("at %v Signer: %v", c.Now(), err)
			}
			if err := m.Ready(); (err == nil) != s.signs || err != nil && !errors.Is(err, ErrStale) {
				t.Errorf("at %v Ready: %v", c.Now(), err)
			}
			if _, err := m.JWKS(); (err == nil) != s.publishes_ || err != nil && !errors.Is(err, ErrNotReady) {
				t.Errorf("at %v JWKS: %v", c.Now(), err)
			}
		}
		store.failing = nil
		if err := m.Step(t.Context()); err != nil || m.Ready() != nil {
			t.Errorf("after the outage: %v, %v", err, m.Ready())
		}
	})
	t.Run("F-32 a replica that was frozen signs nothing until it has read the store", func(t *testing.T) {
		_, c, m := setup(t)
		c.Move(7 * time.Minute)
		if _, err := m.Signer("RS256"); !errors.Is(err, ErrNotReady) {
			t.Errorf("after the thaw: %v", err)
		}
		if err := m.Step(t.Context()); err != nil || m.Ready() != nil {
			t.Errorf("after the next poll: %v, %v", err, m.Ready())
		}
	})
	t.Run("a poll that takes long makes no view look younger than its beginning", func(t *testing.T) {
		_, c, m := setup(t)
		m.Store = &slowStore{Store: m.Store, slow: func() { c.Move(5 * time.Minute) }}
		if err := m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Move(time.Minute)
		if _, err := m.Signer("RS256"); err != nil {
			t.Errorf("6 minutes after the poll began: %v", err)
		}
		c.Move(time.Second)
		if _, err := m.Signer("RS256"); err == nil {
			t.Error("it signs, though the poll began before the stale limit")
		}
	})
	t.Run("a poll that is overtaken does not bring the older view back", func(t *testing.T) {
		store, c, m := setup(t)
		operator := replica(t, store, c, keystest.Generator())
		operator.Generate = m.Generate
		slow := &slowStore{Store: m.Store}
		slow.slow = func() {
			slow.slow = nil
			c.Move(2 * time.Hour)
			if _, err := operator.Rotate(t.Context(), false); err != nil {
				t.Error(err)
			}
			if err := m.Step(t.Context()); err != nil { // begins later, ends sooner
				t.Error(err)
			}
		}
		m.Store = slow
		before := m.view.Load().set.ring.Version
		// The slow poll has read the old version before it was overtaken.
		if err := m.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := m.view.Load(); got.set.ring.Version == before || !got.readAt.Equal(c.Now()) {
			t.Errorf("the view is version %d of %v", got.set.ring.Version, got.readAt)
		}
	})
}

// slowStore runs slow after the version was read, before the answer arrives.
type slowStore struct {
	Store
	slow func()
}

func (s *slowStore) RingVersion(ctx context.Context) (int64, error) {
	version, err := s.Store.RingVersion(ctx)
	if s.slow != nil {
		s.slow()
	}
	return version, err
}

func TestClockCheck(t *testing.T) {
	base := newClock()
	var offset time.Duration
	setup := func(t *testing.T) (*memStore, *Manager) {
		offset = 0
		store := &memStore{}
		m := replica(t, store, base, keystest.Generator())
		m.Now = func() time.Time { return base.Now().Add(offset) }
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return store, m
	}

	for _, c := range []struct {
		name   string
		offset time.Duration
		ok     bool
	}{
		{"half of the skew ahead", 30 * time.Second, true},
		{"half of the skew behind", -30 * time.Second, true},
		{"a little more", 30*time.Second + time.Millisecond, false},
		{"a little more behind", -30*time.Second - time.Millisecond, false},
		{"F-26 an hour ahead", time.Hour, false},
		{"F-26 an hour behind", -time.Hour, false},
		{"F-26 a day ahead", 24 * time.Hour, false},
		{"F-26 40 days ahead: nothing rotates or retires", 40 * 24 * time.Hour, false},
		{"F-26 a day behind", -24 * time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, m := setup(t)
			version, before := store.ring.Version, mustJWKS(t, m)
			offset = c.offset
			if doc, err := m.JWKS(); err == nil && doc.ETag != before.ETag {
				t.Error("before the next poll the JWKS has changed")
			}
			if err := m.Step(t.Context()); (err == nil) != c.ok {
				t.Fatalf("Step: %v", err)
			}
			if _, err := m.Signer("EdDSA"); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrNotReady) {
				t.Errorf("Signer: %v", err)
			}
			if err := m.Ready(); (err == nil) != c.ok {
				t.Errorf("Ready: %v", err)
			}
			if mustJWKS(t, m).ETag != before.ETag {
				t.Error("the JWKS has changed")
			}
			if _, err := m.Rotate(t.Context(), true); (err == nil) != c.ok {
				t.Errorf("Rotate: %v", err)
			}
			if _, err := m.Revoke(t.Context(), nil, true); (err == nil) != c.ok {
				t.Errorf("Revoke: %v", err)
			}
			if !c.ok && store.ring.Version != version {
				t.Error("a machine with a wrong clock wrote instants into the store")
			}
			offset = 0
			if err := m.Step(t.Context()); err != nil || m.Ready() != nil {
				t.Errorf("with the clock set right: %v, %v", err, m.Ready())
			}
		})
	}

	t.Run("F-26 a jump between two polls withdraws no key whose tokens live", func(t *testing.T) {
		store, m := setup(t)
		m.Policy.LongestLifetime = 30 * time.Minute
		base.Move(720 * time.Hour)
		if err := m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := mustJWKS(t, m)
		offset = 50 * time.Minute // past remove_at, and not too old to be shown
		if now := m.now(); now.Before(store.ring.Keys[0].RemoveAt) {
			t.Fatalf("%v is before remove_at %v", now, store.ring.Keys[0].RemoveAt)
		}
		if mustJWKS(t, m).ETag != before.ETag {
			t.Error("the retiring key was withdrawn")
		}
		if _, ok := m.PublishedKey(store.ring.Keys[0].ID); !ok {
			t.Error("the retiring key is not accepted")
		}
	})
	t.Run("a start with a wrong clock fails", func(t *testing.T) {
		_, m := setup(t)
		offset = time.Minute
		wants(t, m.Start(t.Context()), "1m0s ahead of the database's", "NTP")
	})
	t.Run("a start without the database's clock fails", func(t *testing.T) {
		_, m := setup(t)
		m.DatabaseNow = nil
		wants(t, m.Start(t.Context()), "DatabaseNow")
	})
	t.Run("a database that takes too long to tell the time tells nothing", func(t *testing.T) {
		_, m := setup(t)
		m.DatabaseNow = func(context.Context) (time.Time, error) {
			base.Move(31 * time.Second)
			return base.Now(), nil
		}
		wants(t, m.Step(t.Context()), "31s")
	})
	t.Run("a wrong clock stops the signing even if the ring cannot be read", func(t *testing.T) {
		store, m := setup(t)
		offset, store.failing = time.Minute, errors.New("down")
		if m.Step(t.Context()) == nil {
			t.Error("Step worked")
		}
		if _, err := m.Signer("RS256"); !errors.Is(err, ErrNotReady) {
			t.Errorf("Signer: %v", err)
		}
	})
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
