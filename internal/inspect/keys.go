package inspect

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
)

// Keys are the keys that signatures are checked with.
type Keys struct {
	Set  []byte // as a JWK set, as a resource server gets them
	ByID map[string]Key
}

// Key is one of them.
type Key struct {
	jose.PublicKey
	State     string // for people
	Published bool
}

// OwnKeys are the keys that a store holds, as of now. Without an error and without keys the store
// holds none.
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

// ForeignKeys reads a JWK set that another server publishes. skipped are the keys in it that cannot
// be used.
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

// ReadOnly is a key manager that changes nothing, even when the issuer asks it to bring itself up
// to date.
type ReadOnly struct{ *keys.Manager }

// Step only reads.
func (r ReadOnly) Step(ctx context.Context) error { return r.LoadView(ctx) }

var _ issuer.Keys = ReadOnly{}
