package registration

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"

	"github.com/signet-id/signet/userstore/password"
)

// Registry holds the rules of clients, once for all callers that register them: operators at the
// command line, admins, later clients themselves. Fill in the fields, then use it from any number
// of goroutines.
//
// A client is checked when it is registered. The configuration can later take away a resource, a
// scheme or an algorithm; of these, an edit checks only the ones that it adds, so that a client can
// still be renamed when one of its resources is gone.
type Registry struct {
	Store  Store
	Hasher *password.Hasher // for chosen secrets
	Now    func() time.Time
	NewID  func() string // 128 random bits, base64url
	Log    *slog.Logger  // nil: nothing is logged

	// Of clients that register themselves; operators need none of these.
	Throttle   *userstore.Throttle // bounds registrations without a token
	UserScopes []string            // the scopes that concern users
	UnusedFor  time.Duration       // an unused client is deleted after that; zero: after UnusedFor
	// SelfMadeScopes are the scopes of the resources that are open to every such client.
	SelfMadeScopes []string

	Resources       []string // the registered resource servers
	ResponseTypes   []string // that are on beside code, in the spelling of ResponseTypes
	RedirectSchemes []string // one-word schemes that a public client's redirect URI may have; empty: none
	// SectorDocument fetches the document at a sector_identifier_uri; nil: no client may have one.
	SectorDocument func(ctx context.Context, uri string) ([]byte, error)
	// Algorithms returns the enabled algorithms that have an active key. No client is registered
	// for another.
	Algorithms func(ctx context.Context) ([]string, error)
}

// Store is what a Registry stores in.
type Store interface {
	userstore.Clients
	userstore.Registrations
}

// ErrBuiltIn: the client that the first migration creates cannot be deleted.
var ErrBuiltIn = errors.New("the built-in client cannot be deleted")

// clientSecretBytes is the number of random bytes in a generated secret.
const clientSecretBytes = 32

// Create registers a client and returns it. Empty fields of c get the defaults of RFC 7591 section
// 2: a confidential client of the authorization code flow. Without an ID it gets one. A client that
// authenticates by a secret gets the chosen one, or a generated one, which is returned only here.
// ValidationError, ErrExists (as *ExistsError), ErrOverloaded.
func (r *Registry) Create(ctx context.Context, c userstore.Client, chosen string) (_ userstore.Client, secret string, err error) {
	now := r.now()
	c = clone(c)
	c.DisabledAt, c.SecretHash, c.CreatedAt, c.UpdatedAt, c.Version = time.Time{}, "", now, now, 1
	c.Kind, c.RegistrationHash, c.UnusedUntil = "", "", time.Time{}
	if c.ID == "" {
		c.ID = userstore.CommandLineID(r.NewID)
	}
	var fs userstore.Faults
	if !ValidClientID(c.ID) {
		fs.Add("client_id", invalid("A client_id has 1 to 64 letters, digits and . _ ~ - of ASCII, and begins with a letter, a digit or _."))
	}
	addStatement(&fs, userstore.Client{}, c)
	if err := r.complete(ctx, userstore.Client{}, &c, chosen, &fs); err != nil {
		return userstore.Client{}, "", err
	}
	if secret, err = r.setSecret(ctx, &c, chosen); err != nil {
		return userstore.Client{}, "", err
	}
	e := audit.New(ctx, now, audit.ClientCreated, onClient(c.ID))
	e.Changes = clientChanges(userstore.Client{}, c)
	if err := audit.Stored(ctx, r.Log, r.Store.CreateClient(ctx, c, e), e); err != nil {
		return userstore.Client{}, "", err
	}
	return c, secret, nil
}

// Edit changes a client by running edit on a fresh copy, and again if another writer was faster.
// The result is checked, and stored only if it differs. If chosen is not empty, it becomes the
// client's secret. A client that now needs a secret and has none gets a generated one, which is
// returned only here. A secret that the client no longer needs is deleted.
//
// edit may not change identity, activity and the hash of the secret. A client that registered itself
// does not expire any more. ValidationError, ErrNotFound, ErrOverloaded, ErrConflict after three
// attempts, and any error of edit.
func (r *Registry) Edit(
	ctx context.Context, id, chosen string, edit func(*userstore.Client) error,
) (_ userstore.Client, secret string, err error) {
	complete := func(ctx context.Context, old userstore.Client, c *userstore.Client, fs *userstore.Faults) error {
		c.UnusedUntil = time.Time{}
		addStatement(fs, old, *c)
		addDecided(fs, old, *c)
		return r.complete(ctx, old, c, chosen, fs)
	}
	return r.edit(ctx, id, chosen, complete, edit)
}

// edit is Edit; complete fills in the defaults of the edited client and checks it.
func (r *Registry) edit(
	ctx context.Context, id, chosen string,
	complete func(ctx context.Context, old userstore.Client, c *userstore.Client, fs *userstore.Faults) error, edit func(*userstore.Client) error,
) (_ userstore.Client, secret string, err error) {
	hash := "" // of chosen: hashed once, however often the edit is tried
	var edited userstore.Client
	err = userstore.Retry(ctx, userstore.ActTries, "edit client", func() error {
		old, err := r.Store.ClientByID(ctx, id)
		if err != nil {
			return err
		}
		tidy(&old, old)
		c := clone(old)
		if err := edit(&c); err != nil {
			return err
		}
		if c.ID != old.ID || c.Version != old.Version || c.SecretHash != old.SecretHash ||
			!c.CreatedAt.Equal(old.CreatedAt) || !c.DisabledAt.Equal(old.DisabledAt) ||
			c.Kind != old.Kind || c.RegistrationHash != old.RegistrationHash {
			return errors.New("edit client: identity, activity and secret are not changed by an edit")
		}
		var fs userstore.Faults
		if err := complete(ctx, old, &c, &fs); err != nil {
			return err
		}
		secret = ""
		switch {
		case !hasSecret(c):
			c.SecretHash = ""
		case chosen != "" && hash != "":
			c.SecretHash = hash
		case chosen != "" || c.SecretHash == "":
			if secret, err = r.setSecret(ctx, &c, chosen); err != nil {
				return err
			}
			if chosen != "" {
				hash = c.SecretHash
			}
		}
		if reflect.DeepEqual(old, c) {
			edited, secret = old, ""
			return nil
		}
		c.UpdatedAt = r.now()
		events := r.editEvents(ctx, old, c)
		if err := audit.Stored(ctx, r.Log, r.Store.UpdateClient(ctx, c, events...), events...); err != nil {
			return err
		}
		c.Version++
		edited = c
		return nil
	})
	if err != nil {
		return userstore.Client{}, "", err
	}
	return edited, secret, nil
}

// editEvents returns the audit entries of an edit: what differs, and whether the secret was
// replaced.
func (r *Registry) editEvents(ctx context.Context, old, c userstore.Client) (events []audit.Event) {
	if changes := clientChanges(old, c); len(changes) > 0 {
		e := audit.New(ctx, c.UpdatedAt, audit.ClientUpdated, onClient(c.ID))
		e.Changes = changes
		events = append(events, e)
	}
	if c.SecretHash != old.SecretHash && c.SecretHash != "" {
		events = append(events, audit.New(ctx, c.UpdatedAt, audit.ClientSecretRotated, onClient(c.ID)))
	}
	return events
}

// RotateSecret replaces a client's secret by the chosen one or by a generated one, which it
// returns. The old secret is invalid at once. ValidationError (also when the client authenticates
// without a secret), ErrNotFound, ErrOverloaded, ErrConflict.
func (r *Registry) RotateSecret(ctx context.Context, id, chosen string) (_ userstore.Client, secret string, err error) {
	var fs userstore.Faults
	if addSecret(&fs, chosen); fs.Err() != nil {
		return userstore.Client{}, "", fs.Err()
	}
	hash := ""
	var rotated userstore.Client
	err = userstore.Retry(ctx, userstore.ActTries, "rotate a client's secret", func() error {
		c, err := r.Store.ClientByID(ctx, id)
		if err != nil {
			return err
		}
		if !hasSecret(c) {
			fs.Add("token_endpoint_auth_method", notAllowed("This client authenticates without a secret, so there is none to rotate."))
			return fs.Err()
		}
		if hash == "" {
			if secret, err = r.setSecret(ctx, &c, chosen); err != nil {
				return err
			}
			hash = c.SecretHash
		}
		c.SecretHash, c.UpdatedAt = hash, r.now()
		e := audit.New(ctx, c.UpdatedAt, audit.ClientSecretRotated, onClient(c.ID))
		if err := audit.Stored(ctx, r.Log, r.Store.UpdateClient(ctx, c, e), e); err != nil {
			return err
		}
		c.Version++
		rotated = c
		return nil
	})
	if err != nil {
		return userstore.Client{}, "", err
	}
	return rotated, secret, nil
}

// SetActive enables or disables a client. Disabling ends all of its grants at once, and enabling
// does not restore them. If the client is in that state already, nothing changes. ErrNotFound.
func (r *Registry) SetActive(ctx context.Context, id string, active bool) error {
	c, err := r.Store.ClientByID(ctx, id)
	if err != nil || c.DisabledAt.IsZero() == active {
		return err
	}
	now := r.now()
	next := c
	if next.DisabledAt = now; active {
		next.DisabledAt = time.Time{}
	}
	e := audit.New(ctx, now, audit.ClientUpdated, onClient(id))
	e.Changes = clientChanges(c, next)
	return audit.Stored(ctx, r.Log, r.Store.SetClientActive(ctx, id, active, now, e), e)
}

// Delete deletes a client with its grants, codes and consents. ErrNotFound, ErrBuiltIn. After any
// other error the client may be disabled; deleting it again continues.
func (r *Registry) Delete(ctx context.Context, id string) error {
	if id == userstore.FirstPartyClientID {
		return ErrBuiltIn
	}
	e := audit.New(ctx, r.now(), audit.ClientDeleted, onClient(id))
	return audit.Stored(ctx, r.Log, r.Store.DeleteClient(ctx, id, e), e)
}

// setSecret sets the hash of the chosen secret, or of a generated one, which it returns. It does
// nothing for a client that uses no secret.
func (r *Registry) setSecret(ctx context.Context, c *userstore.Client, chosen string) (secret string, err error) {
	switch {
	case !hasSecret(*c):
		return "", nil
	case chosen != "":
		c.SecretHash, err = r.Hasher.Hash(ctx, chosen)
		return "", err
	}
	secret = newSecret()
	c.SecretHash = userstore.ClientSecretHash(secret)
	return secret, nil
}

// hasSecret reports whether the client authenticates by a secret.
func hasSecret(c userstore.Client) bool {
	return c.AuthMethod == userstore.AuthBasic || c.AuthMethod == userstore.AuthPost
}

// clone returns a copy that shares nothing with c.
func clone(c userstore.Client) userstore.Client {
	for _, list := range []*[]string{
		&c.GrantTypes, &c.Scopes, &c.Resources, &c.RedirectURIs, &c.PostLogoutRedirectURIs, &c.ResponseTypes, &c.RequestURIs, &c.Contacts,
		&c.DefaultACRValues,
	} {
		*list = slices.Clone(*list)
	}
	c.JWKS = slices.Clone(c.JWKS)
	if c.DefaultMaxAge != nil {
		age := *c.DefaultMaxAge
		c.DefaultMaxAge = &age
	}
	return c
}

func onClient(id string) audit.Target { return audit.Target{Type: audit.OnClient, ID: id} }

// now returns the time in the precision of the store, so that returned and stored times are equal.
func (r *Registry) now() time.Time { return r.Now().UTC().Truncate(time.Microsecond) }
