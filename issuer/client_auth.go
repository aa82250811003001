package issuer

import (
	"cmp"
	"context"
	"errors"

	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/userstore"
)

// ClientAuth holds the client authentication of a request (RFC 6749 section 2.3, RFC 7523 section
// 2.2), as it was sent. AuthenticateClient checks that exactly one method was used.
type ClientAuth struct {
	Basic                bool // there was an Authorization header
	BasicID, BasicSecret string
	ClientID             string // of the body
	ClientSecret         string // of the body; an empty one counts as left out, as any parameter does
	Assertion            string
	AssertionType        string
}

var (
	errClient       = refuse(InvalidClient, "The client is unknown, disabled, or did not authenticate in the way that it is registered for.")
	errManyMethods  = refuse(InvalidRequest, "Authenticate the client in one way: by the Authorization header, by client_secret, or by client_assertion.")
	errTooManyWrong = refuse(RateLimited, "Too many wrong secrets of this client from here: correct the secret, and wait before you try again.")
	errTwoClients   = refuse(InvalidRequest, "The request names two clients: send the client_id of the one that authenticates, or none.")
)

// AuthenticateClient finds the client of a request and verifies the credential that the client is
// registered for: a secret, by Basic or in the body, or an assertion; a public client only names
// itself. The error is the same InvalidClient for a client that is unknown, disabled or registered
// for another method, and for a wrong credential, and a wrong secret always takes the same time.
// Every error is an *Error.
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
	refusal.Client(ctx, cred.id)
	now := i.now()
	c, fresh, err := i.Cache.get(ctx, cred.id, now, i.readClient)
	if err != nil {
		return userstore.Client{}, err
	}
	err = i.verifyCredential(ctx, c, cred)
	if errors.Is(err, errUnproved) && !fresh {
		// The client may have been enabled, or been given another secret or key, a moment ago.
		if c, err = i.Cache.reload(ctx, cred.id, now, i.readClient); err != nil {
			return userstore.Client{}, err
		}
		err = i.verifyCredential(ctx, c, cred)
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
	attempt := userstore.ClientAttempt{ID: cred.id, Client: c, Refused: reasonOf(err)}
	switch {
	case cred.secret != nil:
		// A secret that is not known to be right takes the time of a hash and counts as an attempt,
		// whatever else is wrong with the client.
		if attempt.Refused == wrongSecret {
			attempt.Refused = "" // a chosen secret has to be hashed first
		}
		err = i.Accounts.CheckClientSecret(ctx, attempt, *cred.secret)
		if err == nil {
			return c, nil
		}
	case cred.jwt && c.ID != "":
		if err := i.Accounts.RefuseAssertion(ctx, attempt); err != nil {
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

// readClient is ClientByID, but returns the zero client if there is none.
func (i *Issuer) readClient(ctx context.Context, id string) (userstore.Client, error) {
	c, err := i.Clients.ClientByID(ctx, id)
	if errors.Is(err, userstore.ErrNotFound) {
		return userstore.Client{}, nil
	}
	return c, err
}

// credential is the one credential of a request.
type credential struct {
	id         string
	secret     *string
	jwt        bool // there is an assertion
	assertion  *assertion
	unreadable error // why assertion is nil
}

// credential finds the method that was used, and refuses two (RFC 6749 section 2.3): an attacker
// could exploit a server that checks one and believes the other.
func (a ClientAuth) credential() (credential, error) {
	jwt := a.Assertion != "" || a.AssertionType != ""
	switch {
	case a.Basic && (a.ClientSecret != "" || jwt), a.ClientSecret != "" && jwt:
		return credential{}, errManyMethods
	case a.Basic:
		if a.ClientID != "" && a.ClientID != a.BasicID {
			return credential{}, errTwoClients
		}
		if a.BasicSecret == "" { // RFC 6749 section 3.2; x/oauth2 sends so for a public client
			return credential{id: a.BasicID}, nil
		}
		return credential{id: a.BasicID, secret: &a.BasicSecret}, nil
	case jwt:
		parsed, err := readAssertion(a)
		if err != nil {
			return credential{id: cmp.Or(a.ClientID, claimedSubject(a.Assertion)), jwt: true, unreadable: err}, nil
		}
		if a.ClientID != "" && a.ClientID != parsed.claims.Subject {
			return credential{}, errTwoClients
		}
		return credential{id: parsed.claims.Subject, jwt: true, assertion: parsed}, nil
	case a.ClientSecret != "":
		return credential{id: a.ClientID, secret: &a.ClientSecret}, nil
	case a.ClientID == "":
		return credential{}, errClient.because(errors.New("the request names no client"))
	}
	return credential{id: a.ClientID}, nil
}

// errUnproved means that the client is not authenticated, as far as is known without counting an
// attempt. The error is an *unprovedError.
var errUnproved = errors.New("the client is not proved")

// unprovedError is the cause: reason is the code in the audit log, text the sentence in the request
// log.
type unprovedError struct{ reason, text string }

func (e *unprovedError) Error() string        { return e.text }
func (e *unprovedError) Is(target error) bool { return target == errUnproved }

func unproved(reason, text string) error { return &unprovedError{reason, text} }

// reasonOf returns the reason of an errUnproved.
func reasonOf(err error) string {
	var e *unprovedError
	if errors.As(err, &e) {
		return e.reason
	}
	return ""
}

// Reasons in the audit log for refusing a client; docs/operators.md lists them.
const (
	unknownClient       = "unknown_client"
	clientDisabled      = "client_disabled"
	wrongMethod         = "wrong_method"
	wrongSecret         = userstore.WrongSecret
	assertionUnreadable = "assertion_unreadable"
	assertionKind       = "assertion_typ"
	assertionAlgorithm  = "assertion_alg"
	assertionClient     = "assertion_iss_sub"
	assertionAudience   = "assertion_aud"
	assertionID         = "assertion_jti"
	assertionExpired    = "assertion_expired"
	assertionTooLong    = "assertion_exp_too_far"
	assertionNotYet     = "assertion_not_yet_valid"
	assertionKeys       = "assertion_no_keys"
	assertionSignature  = "assertion_signature"
	assertionUsed       = "assertion_replayed"
)

// matchesMethod reports whether c is registered for the kind of credential that was sent. A secret
// is one credential, whether it comes by Basic or in the body: a client library that guesses the
// other place is no attacker.
func (cred credential) matchesMethod(c userstore.Client) bool {
	switch {
	case cred.secret != nil:
		return c.AuthMethod == userstore.AuthBasic || c.AuthMethod == userstore.AuthPost
	case cred.jwt:
		return c.AuthMethod == userstore.AuthPrivateKeyJWT
	}
	return c.AuthMethod == userstore.AuthNone
}

// description names the kind of credential for the log.
func (cred credential) description() string {
	switch {
	case cred.secret != nil:
		return "a client secret"
	case cred.jwt:
		return "a client assertion"
	}
	return "nothing but its client_id"
}

// verifyCredential checks that cred is valid for c, without changing anything. The error is
// errUnproved if it is not.
func (i *Issuer) verifyCredential(ctx context.Context, c userstore.Client, cred credential) error {
	switch {
	case c.ID == "":
		return unproved(unknownClient, "no client is registered under this client_id")
	case !c.DisabledAt.IsZero():
		return unproved(clientDisabled, "the client is disabled")
	case !cred.matchesMethod(c):
		return unproved(wrongMethod, "the client is registered for the method "+c.AuthMethod+", and sent "+cred.description())
	case cred.secret != nil && !i.Accounts.KnowsClientSecret(c, *cred.secret):
		return unproved(wrongSecret, "the client secret is wrong")
	case cred.unreadable != nil:
		return unproved(assertionUnreadable, cred.unreadable.Error())
	case cred.assertion != nil:
		return i.verifyAssertion(ctx, c, cred.assertion)
	}
	return nil
}
