package keys

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// planned applies a plan as a store would, with made-up material.
func planned(t *testing.T, ring Ring, p Policy, now time.Time, req request) Ring {
	t.Helper()
	c, err := plan(ring, p, now, req)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Insert {
		k := &c.Insert[i]
		k.ID, k.Sealed = fmt.Sprintf("%s-%d", k.Algorithm, k.Seq), "sealed"
	}
	after := ring.with(c)
	// Planning is stable: at the same instant there is nothing more to change.
	if again, err := plan(after, p, now, request{}); err != nil || !again.empty() {
		t.Fatalf("a second plan wants %+v, %v", again, err)
	}
	return after
}

// line formats the keys of alg as `seq:state@activate-retire/remove`, in hours from noon.
func line(ring Ring, alg string, now time.Time) string {
	hours := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return strings.TrimSuffix(fmt.Sprintf("%.1f", at.Sub(noon).Hours()), ".0")
	}
	var keys []string
	for _, k := range ring.Keys {
		if k.Algorithm != alg {
			continue
		}
		text := fmt.Sprintf("%d:%s@%s-%s/%s", k.Seq, k.State(now), hours(k.ActivateAt), hours(k.RetireAt), hours(k.RemoveAt))
		if k.Sealed == "" {
			text += " wiped"
		}
		keys = append(keys, text)
	}
	return strings.Join(keys, ", ")
}

// round is a policy whose instants are whole tenths of hours: stale limit 1 h,
// retired keys stay published for 2 + 0.5 + 1 h and keep their private half 1.5 h.
func round() Policy {
	return Policy{
		Algorithms: []string{"RS256", "EdDSA"}, Rotation: 100 * time.Hour, Propagation: 10 * time.Hour, JWKSMaxAge: time.Hour,
		ClockSkew: 30 * time.Minute, LongestLifetime: 2 * time.Hour, RefreshAbsolute: 200 * time.Hour,
	}
}

func firstRing(t *testing.T) Ring {
	return planned(t, Ring{}, round(), noon, request{algorithms: round().Algorithms})
}

func TestPlan(t *testing.T) {
	at := func(hours float64) time.Time { return noon.Add(time.Duration(hours * float64(time.Hour))) }
	type step struct {
		at   float64
		req  request
		want string // the RS256 keys afterwards
	}
	rotate := func(seq int64) request { return request{rotate: map[string]int64{"RS256": seq}} }
	revoke := func(kids ...string) request { return request{revoke: kids} }

	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"the first start makes an active key and its successor", []step{
			{0, request{}, "1:active@-0.5-99.5/103, 2:pending@99.5-/"},
		}},
		{"the schedule: takeover, wiping, removal, deletion", []step{
			{99.4, request{}, "1:active@-0.5-99.5/103, 2:pending@99.5-/"},
			{99.5, request{}, "1:retiring@-0.5-99.5/103, 2:active@99.5-199.5/203, 3:pending@199.5-/"},
			{100.9, request{}, "1:retiring@-0.5-99.5/103, 2:active@99.5-199.5/203, 3:pending@199.5-/"},
			{101, request{}, "1:retiring@-0.5-99.5/103 wiped, 2:active@99.5-199.5/203, 3:pending@199.5-/"},
			{103, request{}, "1:removed@-0.5-99.5/103 wiped, 2:active@99.5-199.5/203, 3:pending@199.5-/"},
			{299.9, request{},
				"1:removed@-0.5-99.5/103 wiped, 2:removed@99.5-199.5/203 wiped, 3:active@199.5-309.9/313.4, 4:pending@309.9-/"},
		}},
		{"a store that was off for months wakes with the successor active", []step{
			{9000, request{}, "2:active@99.5-9010/9013.5, 3:pending@9010-/"},
		}},
		{"rotate before the successor has propagated: then", []step{
			{4, rotate(1), "1:active@-0.5-10/13.5, 2:pending@10-/"},
			{5, rotate(1), "1:active@-0.5-10/13.5, 2:pending@10-/"},
			{10, request{}, "1:retiring@-0.5-10/13.5, 2:active@10-110/113.5, 3:pending@110-/"},
		}},
		{"rotate after that: now, and the loser of the race finds it done", []step{
			{50, rotate(1), "1:retiring@-0.5-50/53.5, 2:active@50-150/153.5, 3:pending@150-/"},
			{50, rotate(1), "1:retiring@-0.5-50/53.5, 2:active@50-150/153.5, 3:pending@150-/"},
		}},
		{"rotate of a store that nobody stepped for months", []step{
			{9000, rotate(2), "2:active@99.5-9010/9013.5, 3:pending@9010-/"},
		}},
		{"revoke the active key: the pending one signs by every clock, propagated or not", []step{
			{1, revoke("RS256-1"), "1:removed@-0.5-1/4.5 wiped, 2:active@0.5-100.5/104, 3:pending@100.5-/"},
		}},
		{"revoke the pending key: the end of the active one follows the new successor", []step{
			{95, revoke("RS256-2"), "1:active@-0.5-105/108.5, 2:removed@99.5-95/98.5 wiped, 3:pending@105-/"},
		}},
		{"revoke both: a fresh key signs at once", []step{
			{1, revoke("RS256-1", "RS256-2"),
				"1:removed@-0.5-1/4.5 wiped, 2:removed@99.5-1/4.5 wiped, 3:active@0.5-100.5/104, 4:pending@100.5-/"},
		}},
		{"revoke a retired key: its end stays", []step{
			{99.5, request{}, "1:retiring@-0.5-99.5/103, 2:active@99.5-199.5/203, 3:pending@199.5-/"},
			{100, revoke("RS256-1"), "1:removed@-0.5-99.5/103 wiped, 2:active@99.5-199.5/203, 3:pending@199.5-/"},
		}},
		{"revoke a key that retired a moment ago: clocks that are behind go on with its successor too", []step{
			{50, rotate(1), "1:retiring@-0.5-50/53.5, 2:active@50-150/153.5, 3:pending@150-/"},
			{50.1, revoke("RS256-1"), "1:removed@-0.5-50/53.5 wiped, 2:active@49.6-150/153.5, 3:pending@150-/"},
		}},
		{"revoke a key that retired long ago, right after a rotation: nothing is made earlier", []step{
			{50, rotate(1), "1:retiring@-0.5-50/53.5, 2:active@50-150/153.5, 3:pending@150-/"},
			{100, rotate(2), "1:removed@-0.5-50/53.5 wiped, 2:retiring@50-100/103.5, 3:active@100-200/203.5, 4:pending@200-/"},
			{100.1, revoke("RS256-1"),
				"1:removed@-0.5-50/53.5 wiped, 2:retiring@50-100/103.5, 3:active@100-200/203.5, 4:pending@200-/"},
		}},
		{"revoke twice changes nothing", []step{
			{1, revoke("RS256-2"), "1:active@-0.5-99.5/103, 2:removed@99.5-1/4.5 wiped, 3:pending@99.5-/"},
			{2, revoke("RS256-2"), "1:active@-0.5-99.5/103, 2:removed@99.5-1/4.5 wiped, 3:pending@99.5-/"},
		}},
		{"an algorithm taken away: the active key retires, the pending one is dropped", []step{
			{3, request{algorithms: []string{"EdDSA"}}, "1:retiring@-0.5-3/6.5"},
			{204.4, request{}, "1:removed@-0.5-3/6.5 wiped"},
			{204.5, request{}, ""},
		}},
		{"… unless it is about to sign: replicas that have not heard may use it", []step{
			{98.5, request{algorithms: []string{"EdDSA"}}, "1:retiring@-0.5-98.5/102, 2:pending@99.5-99.5/103"},
			{99.5, request{}, "1:retiring@-0.5-98.5/102, 2:retiring@99.5-99.5/103"},
			{101, request{}, "1:retiring@-0.5-98.5/102 wiped, 2:retiring@99.5-99.5/103 wiped"},
		}},
		{"… and added again: its new first key waits out propagation", []step{
			{3, request{algorithms: []string{"EdDSA"}}, "1:retiring@-0.5-3/6.5"},
			{4, request{algorithms: []string{"EdDSA", "RS256"}}, "1:retiring@-0.5-3/6.5, 2:pending@14-/"},
			{14, request{}, "1:removed@-0.5-3/6.5 wiped, 2:active@14-114/117.5, 3:pending@114-/"},
		}},
		{"revoke of an added key that does not sign yet: the next one waits again", []step{
			{3, request{algorithms: []string{"EdDSA"}}, "1:retiring@-0.5-3/6.5"},
			{4, request{algorithms: []string{"EdDSA", "RS256"}}, "1:retiring@-0.5-3/6.5, 2:pending@14-/"},
			{6, revoke("RS256-2"), "1:retiring@-0.5-3/6.5 wiped, 2:removed@14-6/9.5 wiped, 3:pending@16-/"},
		}},
		{"… by a replica whose clock is behind one that sees it signing: the successor takes its place as early", []step{
			{3, request{algorithms: []string{"EdDSA"}}, "1:retiring@-0.5-3/6.5"},
			{4, request{algorithms: []string{"EdDSA", "RS256"}}, "1:retiring@-0.5-3/6.5, 2:pending@14-/"},
			{14, request{}, "1:removed@-0.5-3/6.5 wiped, 2:active@14-114/117.5, 3:pending@114-/"},
			{13.9, revoke("RS256-2"), "1:removed@-0.5-3/6.5 wiped, 2:removed@14-13.9/17.4 wiped, 3:pending@24-/"},
		}},
		{"a key that was stored late counts its propagation from then", []step{
			{98, revoke("RS256-2"), "1:active@-0.5-108/111.5, 2:removed@99.5-98/101.5 wiped, 3:pending@108-/"},
			{101, request{late: []string{"RS256-3"}}, "1:active@-0.5-111/114.5, 2:removed@99.5-98/101.5 wiped, 3:pending@111-/"},
			{102, rotate(1), "1:active@-0.5-111/114.5, 2:removed@99.5-98/101.5 wiped, 3:pending@111-/"},
		}},
		{"all clocks set back by days: the latest keys sign on, retired ones stay wiped", []step{
			{99.5, request{}, "1:retiring@-0.5-99.5/103, 2:active@99.5-199.5/203, 3:pending@199.5-/"},
			{101, request{}, "1:retiring@-0.5-99.5/103 wiped, 2:active@99.5-199.5/203, 3:pending@199.5-/"},
			{30, request{}, "1:active@-0.5-99.5/103 wiped, 2:active@29.5-199.5/203, 3:pending@199.5-/"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ring := firstRing(t)
			for _, s := range c.steps {
				ring = planned(t, ring, round(), at(s.at), s.req)
				if got := line(ring, "RS256", at(s.at)); got != s.want {
					t.Fatalf("at %v h:\n got %s\nwant %s", s.at, got, s.want)
				}
			}
		})
	}
}

func TestPlanRaisesRemoveAt(t *testing.T) {
	ring, longer := firstRing(t), round()
	longer.LongestLifetime = 4 * time.Hour
	at := noon.Add(time.Hour)

	raised := planned(t, ring, longer, at, request{})
	if got, want := line(raised, "RS256", at), "1:active@-0.5-99.5/105, 2:pending@99.5-/"; got != want {
		t.Errorf("a longer lifetime: got %s, want %s", got, want)
	}
	if c, _ := plan(raised, round(), at, request{}); !c.empty() {
		t.Errorf("a shorter lifetime would change %+v: remove_at is never lowered", c)
	}
	// A replica that does not know of the longer lifetime rotates: tokens of the
	// others must outlive the key's end all the same.
	at = noon.Add(20 * time.Hour)
	rotated := planned(t, raised, round(), at, request{rotate: map[string]int64{"RS256": 1, "EdDSA": 1}})
	if got, want := line(rotated, "RS256", at),
		"1:retiring@-0.5-20/25.5, 2:active@20-120/123.5, 3:pending@120-/"; got != want {
		t.Errorf("rotated by a replica with shorter lifetimes: got %s, want %s", got, want)
	}
	if c, _ := plan(rotated, longer, at, request{}); len(c.Update) != 2 {
		t.Errorf("keys that have retired must stay as they are, the active ones be raised: %+v", c)
	}
}

func TestPlanRefusesToGoWithoutASigningKey(t *testing.T) {
	_, err := plan(firstRing(t), round(), noon, request{algorithms: []string{"ES256"}})
	if err == nil || !strings.Contains(err.Error(), "keep one of EdDSA, RS256 in the list") {
		t.Errorf("going over to an algorithm without a key: %v", err)
	}
	if _, err := plan(firstRing(t), round(), noon, request{algorithms: []string{"ES256", "EdDSA"}}); err != nil {
		t.Errorf("with one that stays: %v", err)
	}
}

func TestPlanGoesOverToAnAlgorithmThatSignsByEveryClock(t *testing.T) {
	p := round()
	ring := planned(t, firstRing(t), p, noon, request{algorithms: []string{"EdDSA", "RS256", "ES256"}})
	signs := noon.Add(p.Propagation)
	ring = planned(t, ring, p, signs, request{})
	if _, err := plan(ring, p, signs.Add(p.ClockSkew-1), request{algorithms: []string{"ES256"}}); err == nil {
		t.Error("a replica whose clock is behind has no active key then")
	}
	now := signs.Add(p.ClockSkew)
	over := planned(t, ring, p, now, request{algorithms: []string{"ES256"}})
	// … and a replica whose clock is behind neither moves the key's end nor hastens anything.
	if c, err := plan(over, p, now.Add(-p.ClockSkew), request{}); err != nil || !c.empty() {
		t.Errorf("a replica whose clock is behind wants %+v, %v", c, err)
	}
}

func TestPlanFollowsTheStoresAlgorithms(t *testing.T) {
	ring, p := firstRing(t), round()
	p.Algorithms = []string{"ES256"} // of an older or a newer configuration
	for hours := range 400 {
		now := noon.Add(time.Duration(hours) * time.Hour)
		ring = planned(t, ring, p, now, request{})
		if len(ring.Algorithms) != 2 || slices.ContainsFunc(ring.Keys, func(k Key) bool { return k.Algorithm == "ES256" }) {
			t.Fatalf("after %d h the algorithms are %v, though only a start may change them", hours, ring.Algorithms)
		}
		for _, alg := range ring.Algorithms {
			if _, ok := ring.active(alg, now); !ok {
				t.Fatalf("after %d h no %s key is active", hours, alg)
			}
		}
	}
}
