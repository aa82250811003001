package inspect

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
)

// Keys are the keys with which signatures are checked.
type Keys struct {
	Set  []byte // the JWK set, as a resource server gets it
	ByID map[string]Key
}

// Key is one key of Keys.
type Key struct {
	jose.PublicKey
	State     string // for people
	Published bool
}

// OwnKeys returns the keys in the manager's store, with their state at now. Keys.ByID is nil if the
// store has no keys.
func OwnKeys(ctx context.Context, manager *keys.Manager, now time.Time) (k Keys, err error) {
	report, err := manager.Timeline(ctx)
	if err != nil || len(report.Keys) == 0 {
		return k, err
	}
	if err := manager.LoadView(ctx); err != nil {
		return k, err
	}
	document, err := manager.JWKS()
	if err != nil {
		return k, err
	}
	k.Set, k.ByID = document.Body, map[string]Key{}
	for _, info := range report.Keys {
		public, known := manager.KnownKey(info.KeyID)
		if !known {
			continue
		}
		key := Key{PublicKey: public, Published: info.State != keys.Removed, State: "published, " + string(info.State)}
		switch {
		case !info.RevokedAt.IsZero():
			key.State = "revoked " + readable.Ago(info.RevokedAt.Sub(now))
		case !key.Published:
			key.State = "no longer published, since " + readable.Instant(info.RemoveAt)
		}
		k.ByID[info.KeyID] = key
	}
	return k, nil
}

// ForeignKeys reads a JWK set that another server publishes. skipped has an error for each key of
// the set that cannot be used.
func ForeignKeys(set []byte) (k Keys, skipped []error, err error) {
	list, skipped, err := jose.ParseKeySet(set)
	if err != nil {
		return k, nil, err
	}
	k.Set, k.ByID = set, map[string]Key{}
	for _, public := range list {
		k.ByID[public.ID] = Key{PublicKey: public, State: "in the JWK set", Published: true}
	}
	return k, skipped, nil
}

// ReadOnly is a key manager that never changes the store, even when the issuer calls Step.
type ReadOnly struct{ *keys.Manager }

// Step only reads.
func (r ReadOnly) Step(ctx context.Context) error { return r.LoadView(ctx) }

var _ issuer.Keys = ReadOnly{}
