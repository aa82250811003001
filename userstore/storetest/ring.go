package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/keys"
)

func (f *fixture) key(id, alg string, seq int64) keys.Key {
	return keys.Key{ID: id, Algorithm: alg, Seq: seq, Sealed: "sealed " + id,
		Public:    json.RawMessage(`{"kid":"` + id + `"}`),
		CreatedAt: f.now, ActivateAt: f.now.Add(time.Hour)}
}

func storedKey(k keys.Key) keys.Key {
	for _, at := range []*time.Time{&k.CreatedAt, &k.ActivateAt, &k.RetireAt, &k.RemoveAt, &k.RevokedAt} {
		if !at.IsZero() {
			*at = stored(*at)
		}
	}
	return k
}

func (f *fixture) ring(t *testing.T, want keys.Ring) {
	t.Helper()
	got, err := f.LoadRing(t.Context())
	must(t, err)
	for i := range want.Keys {
		want.Keys[i] = storedKey(want.Keys[i])
	}
	equal(t, "ring", got, want)
	v, err := f.RingVersion(t.Context())
	must(t, err)
	equal(t, "version", v, want.Version)
}

func ringRoundTrip(t *testing.T, f *fixture) {
	f.ring(t, keys.Ring{})
	// Stored in any order, read back by algorithm and seq.
	rs1, rs2, ed1 := f.key("rs1", "RS256", 1), f.key("rs2", "RS256", 2), f.key("ed1", "EdDSA", 1)
	rs2.RetireAt, rs2.RemoveAt, rs2.RevokedAt = f.now.Add(2*time.Hour), f.now.Add(3*time.Hour), f.now.Add(4*time.Hour)
	must(t, f.ChangeRing(t.Context(), 0, keys.Change{Algorithms: []string{"RS256", "EdDSA"},
		RefreshSecret: "secret", FactorSecret: "factors", Insert: []keys.Key{rs2, rs1, ed1}}))
	f.ring(t, keys.Ring{Version: 1, Algorithms: []string{"RS256", "EdDSA"},
		RefreshSecret: "secret", FactorSecret: "factors", Keys: []keys.Key{ed1, rs1, rs2}})

	rs1.RetireAt, rs1.RemoveAt, rs1.Sealed = f.now.Add(time.Hour), f.now.Add(2*time.Hour), ""
	rs3, ed2 := f.key("rs3", "RS256", 3), f.key("ed2", "EdDSA", 1) // ed2 takes ed1's place
	change := rs1
	change.Algorithm, change.Seq, change.Public = "ES256", 99, json.RawMessage(`{}`) // an update leaves these alone
	must(t, f.ChangeRing(t.Context(), 1, keys.Change{Insert: []keys.Key{rs3, ed2}, Update: []keys.Key{change},
		Delete: []string{"ed1", "rs2", "gone"}}))
	f.ring(t, keys.Ring{Version: 2, Algorithms: []string{"RS256", "EdDSA"},
		RefreshSecret: "secret", FactorSecret: "factors", Keys: []keys.Key{ed2, rs1, rs3}})

	must(t, f.ChangeRing(t.Context(), 2, keys.Change{}))
	must(t, f.ChangeRing(t.Context(), 3, keys.Change{Algorithms: []string{"EdDSA"}, RefreshSecret: "other",
		Delete: []string{"rs1", "rs3", "ed2"}}))
	want := keys.Ring{Version: 4, Algorithms: []string{"EdDSA"}, RefreshSecret: "other", FactorSecret: "factors"}
	f.ring(t, want)

	parameters := keys.Parameters{Rotation: 1, Propagation: 2 * time.Hour, JWKSMaxAge: 3 * time.Second, ClockSkew: 4,
		LongestLifetime: 43800 * time.Hour, RefreshAbsolute: 6}
	must(t, f.ChangeRing(t.Context(), 4, keys.Change{Parameters: &parameters}))
	want.Version, want.Parameters = 5, parameters
	f.ring(t, want)
	is(t, f.ChangeRing(t.Context(), 4, keys.Change{Parameters: &keys.Parameters{}}), keys.ErrConflict)
	must(t, f.ChangeRing(t.Context(), 5, keys.Change{RefreshSecret: "third"}))
	want.Version, want.RefreshSecret = 6, "third"
	f.ring(t, want)
	must(t, f.ChangeRing(t.Context(), 6, keys.Change{FactorSecret: "other factors"}))
	want.Version, want.FactorSecret = 7, "other factors"
	f.ring(t, want)
	is(t, f.ChangeRing(t.Context(), 6, keys.Change{FactorSecret: "late"}), keys.ErrConflict)
	f.ring(t, want)
}

// ringWithoutFactorSecret is a ring that a server of an older version made: the column has its
// default.
func ringWithoutFactorSecret(t *testing.T, f *fixture) {
	k := f.key("rs1", "RS256", 1)
	must(t, f.ChangeRing(t.Context(), 0, keys.Change{RefreshSecret: "s", Insert: []keys.Key{k}}))
	want := keys.Ring{Version: 1, RefreshSecret: "s", Keys: []keys.Key{k}}
	f.ring(t, want)
	// Of several servers that find none, one makes it.
	var made [4]string
	equal(t, "winners", winners(t, len(made), keys.ErrConflict, func(i int) error {
		secret := fmt.Sprintf("made by %d", i)
		err := f.ChangeRing(t.Context(), 1, keys.Change{FactorSecret: secret})
		if err == nil {
			made[i] = secret
		}
		return err
	}), 1)
	want.Version, want.FactorSecret = 2, strings.Join(made[:], "")
	f.ring(t, want)
}

func ringConflict(t *testing.T, f *fixture) {
	k := f.key("rs1", "RS256", 1)
	must(t, f.ChangeRing(t.Context(), 0, keys.Change{RefreshSecret: "s", FactorSecret: "f", Insert: []keys.Key{k}}))
	want := keys.Ring{Version: 1, RefreshSecret: "s", FactorSecret: "f", Keys: []keys.Key{k}}
	for _, version := range []int64{0, 2, -1} {
		is(t, f.ChangeRing(t.Context(), version, keys.Change{RefreshSecret: "x", FactorSecret: "x",
			Algorithms: []string{"x"},
			Delete:     []string{"rs1"}}), keys.ErrConflict)
		f.ring(t, want)
	}
	// A key with another key's id, or place, was planned on another ring.
	is(t, f.ChangeRing(t.Context(), 1, keys.Change{RefreshSecret: "x", FactorSecret: "x",
		Insert: []keys.Key{f.key("rs1", "RS256", 2)}}), keys.ErrConflict)
	is(t, f.ChangeRing(t.Context(), 1, keys.Change{RefreshSecret: "x",
		Insert: []keys.Key{f.key("rs2", "RS256", 2), f.key("other", "RS256", 1)}}), keys.ErrConflict)
	f.ring(t, want)
	if err := f.ChangeRing(t.Context(), 1, keys.Change{RefreshSecret: "x", FactorSecret: "x",
		Update: []keys.Key{f.key("unknown", "RS256", 7)}}); err == nil {
		t.Error("a key that is not there was updated")
	}
	f.ring(t, want)
}

func raceRing(t *testing.T, f *fixture) {
	for version := range int64(15) {
		equal(t, "winners", winners(t, 4, keys.ErrConflict, func(int) error {
			return f.ChangeRing(t.Context(), version, keys.Change{Insert: []keys.Key{f.key(id(), "RS256", version+1)}})
		}), 1)
	}
	ring, err := f.LoadRing(t.Context())
	must(t, err)
	if ring.Version != 15 || len(ring.Keys) != 15 {
		t.Errorf("version %d with %d keys", ring.Version, len(ring.Keys))
	}
}
