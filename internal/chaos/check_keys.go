package chaos

import "time"

// Timeline are the settings that decide when keys sign.
type Timeline struct {
	Propagation, MaxAge, Skew, Lifetime time.Duration
}

// endKeys demands a timeline without gaps: each algorithm has an active key and a successor at every
// instant, and no key signed before it had been published for long enough, but for a revocation.
func (c *Checker) endKeys(s State, t Timeline) {
	byID := map[string]KeyState{}
	of := map[string][]KeyState{}
	for _, k := range s.Keys {
		byID[k.ID], of[k.Algorithm] = k, append(of[k.Algorithm], k)
	}
	for _, act := range c.keyActs {
		if act.Act == KeyRevoking && byID[act.Key].Revoked.IsZero() {
			c.violated(Kept, "key revocation lost", "%s", act.Key)
		}
	}
	for _, r := range c.denied {
		if r.Code != "token_expired" && !byID[r.Key].endedBy(time.UnixMicro(r.At)) {
			c.violated(Answers, "live access token refused", "client %d: %s was answered with %d %s by replica %d",
				r.Client, r.Act, r.Status, r.Code, r.Replica)
		}
	}
	for alg, keys := range of {
		c.endTurns(alg, keys, s, t)
		last := keys[len(keys)-1]
		if len(keys) < 2 || !last.Revoked.IsZero() || !last.HasPrivate {
			c.violated(Whole, "no successor", "%s ends with %s", alg, last.ID)
		}
	}
}

// endedBy tells whether none of the key's tokens can have been live at an instant: it was revoked, or had
// been removed, which endTurns allows only when its last token has expired.
func (k KeyState) endedBy(at time.Time) bool {
	return !k.Revoked.IsZero() || !k.Remove.IsZero() && !at.Before(k.Remove)
}

// endTurns looks at each key and the one before it that signed.
func (c *Checker) endTurns(alg string, keys []KeyState, s State, t Timeline) {
	var before KeyState
	for n, k := range keys {
		if n > 0 && k.Seq <= keys[n-1].Seq {
			c.violated(Once, "two keys of one turn", "%s: %s and %s have seq %d", alg, keys[n-1].ID, k.ID, k.Seq)
		}
		if !k.Retire.IsZero() && !k.Retire.After(k.Activate) {
			continue // it was revoked before its turn
		}
		if k.Revoked.IsZero() && !k.Remove.IsZero() && k.Remove.Before(k.Retire.Add(t.Lifetime)) {
			c.violated(Verified, "removed while its tokens lived", "%s %s retired at %s and was removed at %s", alg, k.ID,
				k.Retire, k.Remove)
		}
		if n > 0 && k.Activate.Sub(k.Created) < t.Propagation && !c.afterRevoking(s, t, k) {
			c.violated(Verified, "signed before it was known", "%s %s was made at %s and signs from %s", alg, k.ID,
				k.Created, k.Activate)
		}
		if !before.Retire.IsZero() && before.Retire.Before(k.Activate) {
			c.violated(Verified, "no signing key", "%s: %s retired at %s, %s signs from %s", alg, before.ID, before.Retire,
				k.ID, k.Activate)
		}
		before = k
	}
}

// afterRevoking tells whether a key began to sign because another was revoked then. Its activation is
// set back by the clock skew, so that it signs at once on every replica.
func (c *Checker) afterRevoking(s State, t Timeline, k KeyState) bool {
	for _, other := range s.Keys {
		if other.Algorithm == k.Algorithm && !other.Revoked.IsZero() {
			if d := k.Activate.Sub(other.Revoked); d > -t.Skew-time.Second && d < 2*time.Second {
				return true
			}
		}
	}
	return false
}

// Failure is a verification that failed although the token's time was not over.
type Failure struct {
	Key      string
	Issued   time.Time
	Expires  time.Time
	At       time.Time
	Verifier int
	Reason   string
}

// excuse tells which revocation explains a failure: the token's key was revoked, or it had to sign
// before verifiers could know it, because the one before it was. Empty: none.
func (c *Checker) excuse(s State, t Timeline, f Failure) string {
	for _, k := range s.Keys {
		if k.ID != f.Key {
			continue
		}
		if !k.Revoked.IsZero() {
			return "revoked"
		}
		known := k.Created.Add(t.Propagation + t.MaxAge + t.Skew)
		if k.Activate.Sub(k.Created) < t.Propagation && c.afterRevoking(s, t, k) && f.At.Before(known) {
			return "early"
		}
	}
	return ""
}

// Failures judges failed verifications. It returns how many failed because the token's key had been
// revoked, and how many because its key had to sign too early after another was revoked.
func (c *Checker) Failures(s State, t Timeline, all []Failure) (revoked, early int) {
	for _, f := range all {
		switch c.excuse(s, t, f) {
		case "revoked":
			revoked++
		case "early":
			early++
		default:
			c.violated(Verified, "failed verification", "verifier %d at %s: key %s, issued %s, expires %s: %s",
				f.Verifier, f.At.Format(time.StampMilli), f.Key, f.Issued.Format(time.StampMilli),
				f.Expires.Format(time.StampMilli), f.Reason)
		}
	}
	return revoked, early
}
