package keys

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
)

// events returns the audit entries of r: one for each key that it makes, brings forward, revokes,
// wipes or deletes, and one for the algorithms. That a key retires when the next one signs follows
// from these and has no entry.
func (r ringChange) events(ctx context.Context, req request) []audit.Event {
	var out []audit.Event
	add := func(name audit.Name, kid, reason string, changes ...audit.Change) {
		e := audit.New(ctx, r.now, name, onKey(kid))
		e.Reason, e.Changes = reason, changes
		out = append(out, e)
	}
	if c := r.change.Algorithms; c != nil {
		add(audit.KeysChanged, "", "algorithms",
			audit.Change{Field: "algorithms", Before: strings.Join(r.before.Algorithms, " "), After: strings.Join(c, " ")})
	}
	if c := r.change.Parameters; c != nil && r.before.Parameters != (Parameters{}) {
		var changes []audit.Change
		before := r.before.Parameters.named()
		for i, p := range c.named() {
			if p.value != before[i].value {
				changes = append(changes, audit.Change{Field: p.name, Before: short(before[i].value), After: short(p.value)})
			}
		}
		add(audit.KeysChanged, "", "parameters", changes...)
	}
	if r.change.RefreshSecret != "" && r.before.RefreshSecret != "" {
		add(audit.KeysChanged, "", "refresh_secret")
	}
	if r.change.FactorSecret != "" && r.before.FactorSecret != "" {
		add(audit.KeysChanged, "", "factor_secret")
	}
	for _, k := range r.change.Insert {
		add(audit.KeysChanged, k.ID, "created",
			audit.Change{Field: "alg", After: k.Algorithm}, audit.Change{Field: "activate_at", After: rfc3339(k.ActivateAt)})
	}
	for _, k := range r.change.Update {
		old, _ := r.before.find(k.ID)
		_, asked := req.rotate[k.Algorithm]
		switch {
		case old.RevokedAt.IsZero() && !k.RevokedAt.IsZero():
			add(audit.KeysRevoked, k.ID, "")
		case old.Sealed != "" && k.Sealed == "":
			add(audit.KeysChanged, k.ID, "wiped")
		case asked && !old.ActivateAt.Equal(k.ActivateAt):
			add(audit.KeysRotated, k.ID, "",
				audit.Change{Field: "activate_at", Before: rfc3339(old.ActivateAt), After: rfc3339(k.ActivateAt)})
		}
	}
	for _, kid := range r.change.Delete {
		add(audit.KeysChanged, kid, "deleted")
	}
	return out
}

// rewrapped returns the audit entries of a change c that seals keys under another key-encryption
// key.
func rewrapped(ctx context.Context, now time.Time, ring Ring, c Change) []audit.Event {
	var out []audit.Event
	add := func(kid, reason, old, next string) {
		e := audit.New(ctx, now, audit.KeysRewrapped, onKey(kid))
		e.Reason = reason
		e.Changes = []audit.Change{{Field: "key_encryption_key", Before: kekID(old), After: kekID(next)}}
		out = append(out, e)
	}
	if c.RefreshSecret != "" {
		add("", "refresh_secret", ring.RefreshSecret, c.RefreshSecret)
	}
	if c.FactorSecret != "" {
		add("", "factor_secret", ring.FactorSecret, c.FactorSecret)
	}
	for _, k := range c.Update {
		i := slices.IndexFunc(ring.Keys, func(old Key) bool { return old.ID == k.ID })
		add(k.ID, "", ring.Keys[i].Sealed, k.Sealed)
	}
	return out
}

// kekID returns the id of the key-encryption key that something is sealed under.
func kekID(sealed string) string {
	id, _ := jose.SealedUnder(sealed)
	return id
}

func onKey(kid string) audit.Target {
	if kid == "" {
		return audit.Target{}
	}
	return audit.Target{Type: audit.OnKey, ID: kid}
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
