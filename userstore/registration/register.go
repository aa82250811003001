package registration

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// A client may register itself (RFC 7591) and manage its registration (RFC 7592). The rules are those
// of every client, and these: it is never first-party, it gets no resource, no scope but those that
// concern users, and no grant without a user. What an operator decided about it since, it keeps. The
// resources that are open to every such client are the issuer's affair: it is registered for none of them.

var (
	// ErrToken: the initial access token has no use left, has ended, or is unknown.
	ErrToken = errors.New("the initial access token is not valid")
	// ErrNotManageable: the client is disabled or first-party: only operators change it.
	ErrNotManageable = errors.New("this client is managed by operators only")
	// ErrWrongSecret: the client sent another secret than its own.
	ErrWrongSecret = errors.New("this is not the secret of the client")
)

// UnusedFor is how long a client that registered itself may stay unused, unless Registry says otherwise.
const UnusedFor = 72 * time.Hour

// Register registers a client on its own behalf: with an initial access token, or, if by is nil, as
// anybody. Its registration access token is returned only here. ValidationError,
// ErrToken, ErrRateLimited (as *RateLimitedError), ErrOverloaded. A refusal leaves nothing
// behind.
func (r *Registry) Register(
	ctx context.Context, c userstore.Client, by *userstore.RegistrationToken,
) (_ userstore.Client, secret, access string, err error) {
	now := r.now()
	c = clone(c)
	c.ID, c.Kind, c.CreatedAt, c.UpdatedAt, c.Version = userstore.CommandLineID(r.NewID), userstore.KindRegistered, now, now, 1
	c.SecretHash, c.DisabledAt, c.UnusedUntil = "", time.Time{}, now.Add(r.unusedFor())
	keepDecisions(&c, userstore.Client{})
	if by == nil {
		giveBack, refused := r.Throttle.AdmitRegistration(ctx, r.Now)
		if refused != nil {
			return userstore.Client{}, "", "", refused
		}
		defer func() {
			if err != nil && !r.fetchesFor(userstore.Client{}, c) {
				giveBack(ctx)
			}
		}()
	}
	var fs userstore.Faults
	if err = r.completeOwn(ctx, userstore.Client{}, &c, &fs); err != nil {
		return userstore.Client{}, "", "", err
	}
	if secret, err = r.setSecret(ctx, &c, ""); err != nil {
		return userstore.Client{}, "", "", err
	}
	access = newSecret()
	c.RegistrationHash = userstore.ClientSecretHash(access)
	e := audit.New(ctx, now, audit.ClientCreated, onClient(c.ID))
	e.Changes = clientChanges(userstore.Client{}, c)
	if by != nil {
		err = r.Store.RegisterClient(ctx, c, by.Hash, e)
		if errors.Is(err, userstore.ErrConflict) {
			err = ErrToken
		}
	} else {
		err = r.Store.CreateClient(ctx, c, e)
	}
	if err = audit.Stored(ctx, r.Log, err, e); err != nil {
		return userstore.Client{}, "", "", err
	}
	return c, secret, access, nil
}

// fetchesFor reports whether a document is fetched before next replaces old. A refusal that fetched one
// counts as a registration: strangers must not make this server send any number of requests.
func (r *Registry) fetchesFor(old, next userstore.Client) bool {
	return next.SectorIdentifierURI != "" &&
		(next.SectorIdentifierURI != old.SectorIdentifierURI || !slices.Equal(next.RedirectURIs, old.RedirectURIs))
}

// Registered returns the client whose registration access token is sent. ErrNotFound: the client is
// gone, did not register itself, or has another token.
func (r *Registry) Registered(ctx context.Context, id, access string) (userstore.Client, error) {
	c, err := r.Store.ClientByID(ctx, id)
	if err != nil {
		return userstore.Client{}, err
	}
	if c.RegistrationHash == "" || subtle.ConstantTimeCompare([]byte(userstore.ClientSecretHash(access)), []byte(c.RegistrationHash)) != 1 {
		return userstore.Client{}, userstore.ErrNotFound
	}
	return c, nil
}

// Replace replaces the registration of a client by next, on the client's behalf: what next leaves out
// becomes the default. secret, if it is not empty, has to be the client's. A client that comes to need
// a secret gets one, which is returned only here. ValidationError, ErrNotManageable, ErrWrongSecret,
// ErrNotFound, ErrRateLimited (as *RateLimitedError), ErrOverloaded, ErrConflict.
func (r *Registry) Replace(ctx context.Context, id, secret string, next userstore.Client) (_ userstore.Client, made string, err error) {
	if old, err := r.Store.ClientByID(ctx, id); err == nil && r.fetchesFor(old, next) {
		if _, err := r.Throttle.AdmitRegistration(ctx, r.Now); err != nil {
			return userstore.Client{}, "", err
		}
	}
	return r.edit(ctx, id, "", r.completeOwn, func(c *userstore.Client) error {
		if !manageable(*c) {
			return ErrNotManageable
		}
		if secret != "" {
			if err := r.checkOwnSecret(ctx, *c, secret); err != nil {
				return err
			}
		}
		old := *c
		*c = clone(next)
		c.ID, c.Kind, c.RegistrationHash, c.SecretHash = old.ID, old.Kind, old.RegistrationHash, old.SecretHash
		c.CreatedAt, c.UpdatedAt, c.DisabledAt, c.UnusedUntil = old.CreatedAt, old.UpdatedAt, old.DisabledAt, old.UnusedUntil
		c.Version = old.Version
		keepDecisions(c, old)
		return nil
	})
}

// Withdraw deletes a client on its own behalf. ErrNotManageable, ErrNotFound.
func (r *Registry) Withdraw(ctx context.Context, c userstore.Client) error {
	if !manageable(c) {
		return ErrNotManageable
	}
	e := audit.New(ctx, r.now(), audit.ClientDeleted, onClient(c.ID))
	return audit.Stored(ctx, r.Log, r.Store.WithdrawClient(ctx, c.ID, e), e)
}

// Manageable returns ErrNotManageable for a client that may not read or change its registration.
func Manageable(c userstore.Client) error {
	if !manageable(c) {
		return ErrNotManageable
	}
	return nil
}

// manageable reports whether a client may change its registration. A disabled one may not, and a
// first-party one gets at the account API of every user without consent: whoever finds its
// registration access token must not lead it elsewhere.
func manageable(c userstore.Client) bool { return c.DisabledAt.IsZero() && !c.FirstParty }

// keepDecisions sets what only an operator decides, as it was decided for old.
func keepDecisions(c *userstore.Client, old userstore.Client) {
	c.FirstParty, c.Resources, c.PKCE, c.IDTokenClaims = old.FirstParty, slices.Clone(old.Resources), old.PKCE, old.IDTokenClaims
}

// completeOwn is complete for what a client says of itself.
func (r *Registry) completeOwn(ctx context.Context, old userstore.Client, c *userstore.Client, fs *userstore.Faults) error {
	*c = r.Usable(old, *c)
	c.Scopes = r.ownScopes(*c, fs)
	if c.Allows(userstore.GrantClientCredentials) && !old.Allows(userstore.GrantClientCredentials) {
		fs.Add("grant_types", notAllowed("Only an operator registers a client for client_credentials, which asks no user."))
	}
	if c.Name == "" {
		c.Name = usualName(*c)
	}
	return r.complete(ctx, old, c, "", fs)
}

// usualName returns the name of a client that did not say one: the host that users are led back to,
// or, as RFC 7591 section 2 has it, its client_id.
func usualName(c userstore.Client) string {
	for _, uri := range c.RedirectURIs {
		u, err := url.Parse(uri)
		if err == nil && u.Scheme == "https" && validClientName(u.Hostname()) == (userstore.Fault{}) {
			return u.Hostname()
		}
	}
	return c.ID
}

// checkOwnSecret returns ErrWrongSecret for a secret that is not c's.
func (r *Registry) checkOwnSecret(ctx context.Context, c userstore.Client, secret string) error {
	if !c.SecretChosen() {
		if subtle.ConstantTimeCompare([]byte(userstore.ClientSecretHash(secret)), []byte(c.SecretHash)) != 1 {
			return ErrWrongSecret
		}
		return nil
	}
	if len(secret) > 4*maxSecret {
		return ErrWrongSecret
	}
	ok, _, err := r.Hasher.Secrets.Verify(ctx, c.SecretHash, secret)
	if err == nil && !ok {
		err = ErrWrongSecret
	}
	return err
}

func (r *Registry) unusedFor() time.Duration {
	if r.UnusedFor > 0 {
		return r.UnusedFor
	}
	return UnusedFor
}

// newSecret returns 256 random bits in base64url.
func newSecret() string {
	var b [clientSecretBytes]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Unused is the reason of a ClientDeleted event of a client that was not used in time.
const Unused = "unused"

// RemoveUnused deletes at most limit clients that registered themselves and were not used in
// time, and returns their number. Any number of replicas may do so at once.
func RemoveUnused(
	ctx context.Context, store userstore.Registrations, log *slog.Logger, now time.Time, limit int,
) (removed int, err error) {
	ids, err := store.UnusedClients(ctx, now, limit)
	if err != nil {
		return 0, err
	}
	ctx = audit.As(ctx, audit.Actor{Type: audit.BySystem}, "", "")
	for _, id := range ids {
		e := audit.New(ctx, now, audit.ClientDeleted, onClient(id))
		e.Reason = Unused
		err := audit.Stored(ctx, log, store.DeleteUnusedClient(ctx, id, now, e), e)
		if err != nil && !errors.Is(err, userstore.ErrNotFound) {
			return removed, err
		}
		removed++ // by this call or another one: there is no more to do for it
	}
	return removed, nil
}
