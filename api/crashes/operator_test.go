package crashes_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/totp"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// quick are algorithms whose keys are made in no time.
var quick = []string{jose.EdDSA, jose.ES256}

// keyAct is what an operator, or the time, does to the signing keys.
type keyAct struct {
	name string
	wait time.Duration // before it
	do   func(ctx context.Context, m *keys.Manager) error
	// atOnce: a key may sign that no verifier had the time to learn, for the one before is revoked.
	atOnce bool
}

var keyActs = []keyAct{
	{"the rotation that is due", 721 * time.Hour, func(ctx context.Context, m *keys.Manager) error {
		return m.Step(ctx)
	}, false},
	{"a rotation by command", 0, func(ctx context.Context, m *keys.Manager) error {
		_, err := m.Rotate(ctx, false)
		return err
	}, false},
	{"a revocation", 0, func(ctx context.Context, m *keys.Manager) error {
		signer, err := m.Signer(jose.ES256)
		if err == nil {
			_, err = m.Revoke(ctx, []string{signer.KeyID()}, false)
		}
		return err
	}, true},
	{"a revocation of all keys", 0, func(ctx context.Context, m *keys.Manager) error {
		_, err := m.Revoke(ctx, nil, true)
		return err
	}, true},
}

// F-20: every statement of every change of the signing keys fails. What is left is the ring before the
// change or after it: each algorithm has one key that signs and one successor, all replicas publish the
// same, and no key signs that was not published for as long as verifiers may keep what they read. The
// repeated act succeeds.
func TestF20EveryStatementOfEveryChangeOfKeys(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(*testing.T) *store) {
		st := open(t)
		o := between(st)
		o.Configure = func(r *apitest.Replica) { r.Keys.Policy.Algorithms = quick } // hundreds of keys are made
		s := apitest.New(t, o)
		victim, survivor := s.Replicas[0].Keys, s.Replicas[1].Keys
		published := map[string]time.Time{} // when each key was first published by both
		steps := func(t *testing.T) {
			t.Helper()
			for _, m := range []*keys.Manager{victim, survivor} {
				if err := m.Step(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		points := 0
		for _, act := range keyActs {
			due := func(t *testing.T) int64 {
				// The keys of the acts before are removed, so that each act has as many statements as the first.
				s.Clock.Move(2000 * time.Hour)
				steps(t)
				look(t, s, published, true)
				for range 12 { // two hours, as a server polls
					s.Clock.Move(10 * time.Minute)
					steps(t)
					look(t, s, published, false)
				}
				s.Clock.Move(act.wait)
				return ringVersion(t, st)
			}
			before := due(t)
			st.arm(statement{}, none)
			if err := act.do(t.Context(), victim); err != nil {
				t.Fatalf("%s: %v", act.name, err)
			}
			ran := st.disarm()
			n := len(ran.statements)
			if n == 0 || ringVersion(t, st) != before+1 {
				t.Fatalf("%s: %d statements, %d changes", act.name, n, ringVersion(t, st)-before)
			}
			steps(t)
			look(t, s, published, act.atOnce)
			for _, p := range ran.points(st.faults) {
				t.Run(fmt.Sprintf("%s, statement %d of %d %s", act.name, p.number, n, p.fault), func(t *testing.T) {
					points++
					before := due(t)
					st.arm(p.statement, p.fault)
					err := act.do(t.Context(), victim)
					if !st.disarm().met {
						t.Errorf("the act does not run %s", p.sql)
					}
					done := ringVersion(t, st) - before
					wholeOrNot(t, p, done, err)
					if err != nil && done == 0 {
						if err := act.do(t.Context(), survivor); err != nil {
							t.Fatalf("by another replica: %v", err)
						}
					}
					steps(t)
					look(t, s, published, act.atOnce)
				})
			}
		}
		t.Logf("%d acts, %d points", len(keyActs), points)
	})
}

// wholeOrNot checks what a change of the signing keys that met a fault has left: done is how many changes
// the database has of it.
func wholeOrNot(t *testing.T, p point, done int64, err error) {
	t.Helper()
	switch {
	case p.fault == again && err != nil:
		t.Errorf("%v, where the database would take the statement again", err)
	case err == nil && done != 1, done != 0 && done != 1:
		t.Errorf("%d changes and %v", done, err)
	}
}

func ringVersion(t *testing.T, st *store) int64 {
	t.Helper()
	v, err := st.direct.RingVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// look checks the signing keys of both replicas after they polled.
func look(t *testing.T, s *apitest.Server, published map[string]time.Time, atOnce bool) {
	t.Helper()
	now := s.Clock.Now()
	ring, err := s.DB.LoadRing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := []*keys.Manager{s.Replicas[0].Keys, s.Replicas[1].Keys}
	for _, m := range all {
		if err := m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, alg := range quick {
		states := map[keys.State]int{}
		for _, k := range ring.Keys {
			if k.Algorithm != alg {
				continue
			}
			state := k.State(now)
			states[state]++
			if state == keys.Pending || state == keys.Active {
				for _, m := range all {
					if _, ok := m.PublishedKey(k.ID); !ok {
						t.Errorf("%s is %s, and not published", k.ID, state)
					}
				}
				if published[k.ID].IsZero() {
					published[k.ID] = now
				}
			}
		}
		if states[keys.Pending] != 1 || states[keys.Active] != 1 {
			t.Errorf("%s has keys in the states %v", alg, states)
		}
		for _, m := range all {
			signer, err := m.Signer(alg)
			if err != nil {
				t.Fatal(err)
			}
			since, known := published[signer.KeyID()]
			if !known || !atOnce && now.Sub(since) < m.Policy.JWKSMaxAge {
				t.Errorf("%s signs with a key that is published since %v (now %v)", alg, since, now)
			}
		}
	}
	one, err := all[0].JWKS()
	if err != nil {
		t.Fatal(err)
	}
	if two, err := all[1].JWKS(); err != nil || !bytes.Equal(one.Body, two.Body) {
		t.Errorf("the replicas publish different keys: %v", err)
	}
}

// F-16 for an import: a batch is stored as a whole or not at all, with its second factors and the
// entries of the audit log, and the batch that is imported again is there once.
func TestF16EveryStatementOfAnImport(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(*testing.T) *store) {
		st := open(t)
		s := apitest.New(t, between(st))
		runs := 0
		batch := func() ([]userstore.User, map[int]userstore.ImportedFactors) {
			runs++
			var users []userstore.User
			for n := range 3 {
				users = append(users, userstore.User{Email: fmt.Sprintf("n%04d-%d@example.test", runs, n), IsActive: true})
			}
			app := &userstore.ImportedTOTP{LastCounter: -1,
				Key: totp.Key{Secret: []byte("twenty planted bytes"), Algorithm: "SHA1", Digits: 6, Period: 30}}
			return users, map[int]userstore.ImportedFactors{1: {TOTP: app}}
		}
		run := func(replica int, users []userstore.User, factors map[int]userstore.ImportedFactors) error {
			done, err := (&userstore.Importer{Accounts: s.Replicas[replica].Accounts}).Import(t.Context(), users, factors)
			for _, d := range done {
				if d.Err != nil {
					t.Errorf("refused: %v", d.Err)
				}
			}
			return err
		}
		before := st.count()
		st.arm(statement{}, none)
		first, factors := batch()
		if err := run(0, first, factors); err != nil {
			t.Fatal(err)
		}
		ran := st.disarm()
		n := len(ran.statements)
		whole := st.count().Since(before)
		if n < 3 || whole["users"] != 3 || whole["authenticator_apps"] != 1 || whole["audit_events"] != 3 {
			t.Fatalf("%d statements, %s", n, whole)
		}
		points := ran.points(st.faults)
		for _, p := range points {
			users, factors := batch()
			before := st.count()
			st.arm(p.statement, p.fault)
			err := run(0, users, factors)
			st.disarm()
			switch acts := st.count().Since(before); {
			case p.fault == again && err != nil:
				t.Errorf("statement %d %s: %v", p.number, p.fault, err)
			case err == nil && !maps.Equal(acts, whole), len(acts) > 0 && !maps.Equal(acts, whole):
				t.Errorf("statement %d %s: %v, and done by half: %s more", p.number, p.fault, err, acts.Since(whole))
			}
			if err := run(1, users, factors); err != nil {
				t.Errorf("statement %d %s: imported again: %v", p.number, p.fault, err)
			}
			if acts := st.count().Since(before); !maps.Equal(acts, whole) {
				t.Errorf("statement %d %s: imported twice, there is %s more", p.number, p.fault, acts.Since(whole))
			}
		}
		t.Logf("%d points", len(points))
	})
}

// F-16 for `signet grants revoke --all`: whatever happens to one of its statements, no grant of before
// lives when it succeeded, at once or when the operator gave it again; what it did is in the audit log.
func TestF16EveryStatementOfRevokingEverything(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(*testing.T) *store) {
		st := open(t)
		s := apitest.New(t, between(st))
		u := s.SignUp("alice")
		revoke := func(db *sqlstore.DB) error {
			return db.RevokeAll(t.Context(), s.Clock.Now(), audit.New(t.Context(), s.Clock.Now(), audit.GrantsRevoked, audit.Target{}))
		}
		// begin makes a grant with a place, and returns what has to end.
		begin := func() (tokens apitest.Tokens, place int64) {
			t.Helper()
			tokens = s.Login(u)
			view, err := st.direct.GrantBySession(t.Context(), tokens.SessionID())
			if err == nil {
				place, err = st.direct.ReservePlaces(t.Context(), 1)
			}
			if err == nil {
				_, err = st.direct.PlaceGrant(t.Context(), view.Grant.ID, 1, place)
			}
			if err != nil {
				t.Fatal(err)
			}
			return tokens, place
		}
		revoked := func(place int64) bool {
			t.Helper()
			p, err := st.direct.RevokedPlaces(t.Context(), place, place)
			if err != nil {
				t.Fatal(err)
			}
			return place < p.CutoffIndex
		}
		begin()
		st.arm(statement{}, none)
		if err := revoke(st.faulty); err != nil {
			t.Fatal(err)
		}
		ran := st.disarm()
		if n := len(ran.statements); n < 5 {
			t.Fatalf("%d statements", n)
		}
		points := ran.points(st.faults)
		for _, p := range points {
			what := fmt.Sprintf("statement %d %s", p.number, p.fault)
			tokens, place := begin()
			before := st.count()
			st.arm(p.statement, p.fault)
			err := revoke(st.faulty)
			if !st.disarm().met {
				t.Errorf("%s: the statement did not run", what)
			}
			recorded := st.count().Since(before)["audit_events"]
			if p.fault == again && err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if begun := revoked(place); begun != (recorded == 1) || err == nil && !begun {
				t.Errorf("%s: %v, begun %v, %d entries of the audit log", what, err, begun, recorded)
			}
			if err != nil {
				if err := revoke(st.direct); err != nil {
					t.Fatalf("%s: given again: %v", what, err)
				}
			}
			for range s.Replicas {
				s.Refresh(tokens.Refresh).Want(401, "token_invalid")
			}
			if !revoked(place) {
				t.Errorf("%s: the status lists show the grant", what)
			}
			tokens = s.Login(u)
			s.Refresh(tokens.Refresh).Want(200, "")
		}
		t.Logf("%d points", len(points))
	})
}
