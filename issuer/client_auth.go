package issuer

import (
	"context"
	"errors"

	"github.com/signet-id/signet/userstore"
)

// ClientAuth is what a request says of the client that sends it (RFC 6749 section 2.3, RFC 7523
// section 2.2), as it was sent. That exactly one way was used is AuthenticateClient's to check.
type ClientAuth struct {
	Basic                bool // there was an Authorization header
	BasicID, BasicSecret string
	ClientID             string // of the body
	ClientSecret         string // of the body
	HasSecret            bool   // the body had one, be it empty
	Assertion            string
	AssertionType        string
	HasAssertion         bool
}

var (
	errClient       = refuse(InvalidClient, "The client is unknown, disabled, or did not authenticate in the way that it is registered for.")
	errManyMethods  = refuse(InvalidRequest, "Authenticate the client in one way: by the Authorization header, by client_secret, or by client_assertion.")
	errTooManyWrong = refuse(RateLimited, "Too many wrong secrets of this client from here: correct the secret, and wait before you try again.")
	errTwoClients   = refuse(InvalidRequest, "The request names two clients: send the client_id of the one that authenticates, or none.")
)

// AuthenticateClient finds the client of a request and proves it by the one method that it is registered for; a
// public client only names itself. InvalidClient whether it is unknown, disabled, wrong, or registered
// otherwise: the answer is one and the same, and so is the time that a wrong secret takes. Every
// error is an *Error.
func (i *Issuer) AuthenticateClient(ctx context.Context, a ClientAuth) (userstore.Client, error) {
	c, err := i.authenticateClient(ctx, a)
	if err != nil {
		return userstore.Client{}, failed(err)
	}
	return c, nil
}

func (i *Issuer) authenticateClient(ctx context.Context, a ClientAuth) (userstore.Client, error) {
	cred, err := a.credential()
	if err != nil {
		return userstore.Client{}, err
	}
	now := i.now()
	c, fresh, err := i.Cache.get(ctx, cred.id, now, i.readClient)
	if err != nil {
		return userstore.Client{}, err
	}
	err = i.proves(ctx, c, cred)
	if errors.Is(err, errUnproved) && !fresh {
		// It may have been enabled, or been given another secret or key, a moment ago.
		if c, err = i.Cache.again(ctx, cred.id, now, i.readClient); err != nil {
			return userstore.Client{}, err
		}
		err = i.proves(ctx, c, cred)
	}
	if err == nil && cred.assertion != nil {
		err = i.useAssertion(ctx, c, cred.assertion)
	}
	switch {
	case err == nil:
		return c, nil
	case !errors.Is(err, errUnproved):
		return userstore.Client{}, err
	}
	refused := errClient.because(err)
	switch known := eligible(c, cred); {
	case cred.secret != nil:
		// A secret that is not known to be right takes the time of a hash and counts, whatever is
		// the matter with the client.
		if !known {
			c = userstore.Client{ID: cred.id}
		}
		err = i.Accounts.CheckClientSecret(ctx, c, *cred.secret)
		if err == nil && known {
			return c, nil
		}
	case cred.assertion != nil && known:
		if err := i.Accounts.RefuseAssertion(ctx, c); err != nil {
			return userstore.Client{}, failed(err)
		}
		return userstore.Client{}, refused
	default:
		return userstore.Client{}, refused
	}
	switch {
	case err == nil, errors.Is(err, userstore.ErrInvalidCredentials):
		return userstore.Client{}, refused
	case errors.Is(err, userstore.ErrRateLimited):
		return userstore.Client{}, errTooManyWrong.because(err)
	case errors.Is(err, userstore.ErrOverloaded):
		return userstore.Client{}, errOverloaded.because(err)
	}
	return userstore.Client{}, err
}

// readClient is ClientByID that answers the zero client for one that there is not.
func (i *Issuer) readClient(ctx context.Context, id string) (userstore.Client, error) {
	c, err := i.Clients.ClientByID(ctx, id)
	if errors.Is(err, userstore.ErrNotFound) {
		return userstore.Client{}, nil
	}
	return c, err
}

// credential is the one way in which a request speaks for a client.
type credential struct {
	id        string
	method    string
	secret    *string
	assertion *assertion
}

// credential finds the way that was used, and refuses two (RFC 6749 section 2.3): a server that
// checks the one and believes the other can be played off.
func (a ClientAuth) credential() (credential, error) {
	jwt := a.HasAssertion || a.AssertionType != ""
	switch {
	case a.Basic && (a.HasSecret || jwt), a.HasSecret && jwt:
		return credential{}, errManyMethods
	case a.Basic:
		if a.ClientID != "" && a.ClientID != a.BasicID {
			return credential{}, errTwoClients
		}
		return credential{id: a.BasicID, method: userstore.AuthBasic, secret: &a.BasicSecret}, nil
	case jwt:
		parsed, err := readAssertion(a)
		if err != nil {
			return credential{}, err
		}
		if a.ClientID != "" && a.ClientID != parsed.claims.Subject {
			return credential{}, errTwoClients
		}
		return credential{id: parsed.claims.Subject, method: userstore.AuthPrivateKeyJWT, assertion: parsed}, nil
	case a.HasSecret:
		return credential{id: a.ClientID, method: userstore.AuthPost, secret: &a.ClientSecret}, nil
	case a.ClientID == "":
		return credential{}, errClient.because(errors.New("the request names no client"))
	}
	return credential{id: a.ClientID, method: userstore.AuthNone}, nil
}

// errUnproved is that of a client which is not proved, as far as can be told without counting.
var errUnproved = errors.New("the client is not proved")

func unproved(reason string) error { return errors.Join(errUnproved, errors.New(reason)) }

// eligible tells that c may authenticate as cred does at all.
func eligible(c userstore.Client, cred credential) bool {
	return c.ID != "" && c.DisabledAt.IsZero() && c.AuthMethod == cred.method
}

// proves tells whether cred is c's, as far as that changes nothing. errUnproved otherwise.
func (i *Issuer) proves(ctx context.Context, c userstore.Client, cred credential) error {
	switch {
	case c.ID == "":
		return unproved("there is no such client")
	case !c.DisabledAt.IsZero():
		return unproved("the client is disabled")
	case c.AuthMethod != cred.method:
		return unproved("the client is registered for " + c.AuthMethod + ", not for " + cred.method)
	case cred.secret != nil && !i.Accounts.KnowsClientSecret(c, *cred.secret):
		return unproved("the secret is wrong")
	case cred.assertion != nil:
		return i.verifyAssertion(ctx, c, cred.assertion)
	}
	return nil
}
