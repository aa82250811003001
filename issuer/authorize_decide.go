package issuer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/mac"
	"github.com/signet-id/signet/userstore"
)

// codeLifetime is how long a client has to redeem a code (RFC 9700 section 2.1.1; FAPI 2.0 section 5.3.2.1).
const codeLifetime = time.Minute

// Step is what has to happen next to a pending request.
type Step int

const (
	Respond    Step = iota // send Response
	LogIn                  // show the login page
	AskConsent             // show the consent page
	IssueCode              // nothing is missing; only Consider answers this, for Decide and Allow issue the code
)

// Decision is what Decide came to.
type Decision struct {
	Step           Step
	Response       AuthorizationResponse // of Respond
	Client         userstore.Client
	Scopes         []string // what the user is asked about: those that would be granted, and those of the claims named one by one
	Reauthenticate bool     // of LogIn: there is a session, but it has to be proved again
}

var errFinished = refuse(RequestFinished, "This sign-in was finished before: start again from the app.")

// Decide says what a pending request needs of the browser b (nil: nobody is logged in); if
// nothing, it issues the code.
//
// Everything is judged anew each time, also what Authorize has judged: between two pages a client may have been
// disabled, a redirect URI taken away, or another user have logged in.
func (i *Issuer) Decide(ctx context.Context, p Pending, b *Browser) (Decision, error) {
	d, err := i.Consider(ctx, p, b)
	if err != nil || d.Step != IssueCode {
		return d, err
	}
	return i.issue(ctx, p, d, *b, nil)
}

// Consider is Decide without its effect: where Decide issues the code, the step is IssueCode.
func (i *Issuer) Consider(ctx context.Context, p Pending, b *Browser) (Decision, error) {
	d, refused, err := i.judge(ctx, p, b)
	switch {
	case err != nil:
		return Decision{}, err
	case refused != nil:
		return i.refuseOrStep(p, d, refused), nil
	}
	asked, err := i.mustAsk(ctx, p, d, b.User.ID)
	switch {
	case err != nil:
		return Decision{}, err
	case asked:
		d.Step = AskConsent
		return i.refuseOrStep(p, d, errConsentRequired), nil
	}
	return d, nil
}

// Allow issues the code after the user of b said yes, and remembers that. What else stands in the way of it is
// found out as Decide does.
func (i *Issuer) Allow(ctx context.Context, p Pending, b Browser) (Decision, error) {
	d, refused, err := i.judge(ctx, p, &b)
	switch {
	case err != nil:
		return Decision{}, err
	case refused != nil:
		return i.refuseOrStep(p, d, refused), nil
	}
	now := i.now()
	return i.issue(ctx, p, d, b, &userstore.Consent{
		UserID: b.User.ID, ClientID: p.ClientID, Allowed: i.wanted(p, d), CreatedAt: now, UpdatedAt: now,
	})
}

// Deny is the answer when the user said no: it, too, goes only to an address that is still the client's.
func (i *Issuer) Deny(ctx context.Context, p Pending) (AuthorizationResponse, error) {
	if _, err := i.stillAddressed(ctx, p); err != nil {
		return AuthorizationResponse{}, err
	}
	return i.refusal(p, refuse(AccessDenied, "The user did not allow it.")), nil
}

// Renew is the same request, begun again now: it gets a code of its own, and what it demands of the age of a login counts
// from now.
func (i *Issuer) Renew(p Pending) Pending {
	p.ID, p.At, p.Proved = i.NewID(), i.now(), ""
	return p
}

// Abandon is the answer to a request that can no longer be granted, and the client that it goes to: like every answer, only
// at an address that is still the client's.
func (i *Issuer) Abandon(ctx context.Context, p Pending) (AuthorizationResponse, userstore.Client, error) {
	client, err := i.stillAddressed(ctx, p)
	if err != nil {
		return AuthorizationResponse{}, userstore.Client{}, err
	}
	return i.refusal(p, refuse(AccessDenied, "The user left the page open for too long: start again.")), client, nil
}

// stillAddressed is the client of p, whose redirect URI still is its own. The error is for a page.
func (i *Issuer) stillAddressed(ctx context.Context, p Pending) (userstore.Client, error) {
	client, err := i.enabledClient(ctx, p.ClientID)
	if err == nil && !redirects(client, p.RedirectURI) {
		err = errRedirectURI
	}
	return client, err
}

var (
	errLoginRequired   = refuse(LoginRequired, "The user has to log in: ask again without prompt=none.")
	errOtherUser       = refuse(LoginRequired, "Another user is logged in than the one who was asked for.")
	errConsentRequired = refuse(ConsentRequired, "The user has to allow it: ask again without prompt=none.")
)

// refuseOrStep takes the step that would mend a refusal, where there is one and the client lets us ask.
func (i *Issuer) refuseOrStep(p Pending, d Decision, refused *Error) Decision {
	if d.Step == Respond || slices.Contains(p.Prompt, promptNone) {
		d.Step, d.Response = Respond, i.refusal(p, refused)
	}
	return d
}

// judge says why p cannot be granted to the browser now, short of the user's consent, and in the decision what would
// help: to log in, or nothing (Respond). Without a refusal the step is IssueCode. The error is for a page.
func (i *Issuer) judge(ctx context.Context, p Pending, b *Browser) (d Decision, refused *Error, err error) {
	if d.Client, err = i.stillAddressed(ctx, p); err != nil {
		return d, nil, err
	}
	d.Scopes = told(p, d.Client)
	if b == nil {
		d.Step = LogIn
		return d, errLoginRequired, nil
	}
	proved := p.Proved != "" && p.Proved == b.Session.ID // for this very request
	switch {
	case !proved && i.tooOld(p, b.Session.AuthTime):
		d.Step, d.Reauthenticate = LogIn, true
		return d, errLoginRequired, nil
	case p.HintSubject != "" && p.HintSubject != b.User.ID:
		// Never a code for somebody else than was asked for (OIDC Core section 3.1.2.2). Whoever logs in for this
		// request as another user has made up their mind.
		if !proved {
			d.Step = LogIn
		}
		return d, errOtherUser, nil
	}
	if err := i.stillHolds(p, d.Client, b.User); err != nil {
		return d, err, nil
	}
	d.Step = IssueCode
	return d, nil, nil
}

// tooOld tells whether a login of that time has to be proved again (OIDC Core section 3.1.2.1). Where one of several
// accounts may be chosen, it is by logging in: a browser holds one session.
func (i *Issuer) tooOld(p Pending, authTime time.Time) bool {
	if slices.Contains(p.Prompt, promptLogin) || slices.Contains(p.Prompt, promptSelectAccount) {
		return true
	}
	switch {
	case p.MaxAge == nil:
		return false
	case *p.MaxAge >= int64(math.MaxInt64/time.Second): // longer than a Duration can be
		return false
	}
	limit := time.Duration(*p.MaxAge) * time.Second
	return limit == 0 || p.At.Sub(authTime) > limit
}

// stillHolds judges what is asked for again, and what of it depends on the user.
func (i *Issuer) stillHolds(p Pending, client userstore.Client, user userstore.User) *Error {
	targets, err := i.resources(p.Resources, client)
	if err == nil {
		err = checkScope(p.Scopes, i.grantable(client, i.reach(targets)))
	}
	switch {
	case err != nil:
		return failed(err)
	case !client.Allows(userstore.GrantAuthorizationCode):
		return errNoCodeGrant
	case slices.Contains(p.Scopes, ScopeAdmin) && !mayAdmin(client, user.Roles):
		return errNotAdmin
	}
	return nil
}

// mustAsk tells whether the user has to be asked. A public client that any program on the user's machine can pose as is
// asked for every time (RFC 8252 section 8.6), our own as well: that somebody allowed it once, or that we trust whom it says
// it is, is no sign that it is this program now. Other first-party clients are ours, so nobody is asked unless the
// client wants it.
func (i *Issuer) mustAsk(ctx context.Context, p Pending, d Decision, userID string) (bool, error) {
	switch {
	case slices.Contains(p.Prompt, promptConsent):
		return true, nil
	case d.Client.Public() && impersonable(p.RedirectURI):
		return true, nil
	case d.Client.FirstParty:
		return false, nil
	}
	c, err := i.Consents.ConsentOf(ctx, userID, d.Client.ID)
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return true, nil
	case err != nil:
		return false, failed(err)
	}
	return !c.Covers(i.wanted(p, d)), nil
}

// told are the scopes that the user is asked about: those of the request, and those that the claims belong to which
// the client named one by one, and gets without their scope.
func told(p Pending, client userstore.Client) []string {
	wishes, scopes := wishesOf(p.Claims), slices.Clone(p.Scopes)
	for _, s := range scopeClaims {
		named := func(claim string) bool { return wishes.names(claim) && grantsWish(client, claim) }
		if !slices.Contains(scopes, s.scope) && slices.ContainsFunc(s.claims, named) {
			scopes = append(scopes, s.scope)
		}
	}
	return scopes
}

// wanted is what the user is asked for, by resource: a scope is allowed where it was asked for, and nowhere else, and
// so is to stay (offline_access). What tells of the user is no resource's affair.
func (i *Issuer) wanted(p Pending, d Decision) []userstore.Allowance {
	var user, others []string
	for _, s := range d.Scopes {
		if i.aboutUser(s) && s != scopeOffline {
			user = append(user, s)
		} else {
			others = append(others, s)
		}
	}
	if len(p.Resources) == 0 {
		return []userstore.Allowance{{Scopes: d.Scopes}}
	}
	var out []userstore.Allowance
	if len(user) > 0 {
		out = append(out, userstore.Allowance{Scopes: user})
	}
	for _, uri := range p.Resources {
		a := userstore.Allowance{Resource: uri}
		for _, r := range i.Resources {
			if r.URI == uri {
				a.Scopes = slices.DeleteFunc(slices.Clone(others), func(s string) bool { return !i.takes([]Resource{r}, s) })
			}
		}
		out = append(out, a)
	}
	return out
}

// issue saves the code and answers with it. However often one request is allowed in one browser session, by
// a double click or a second tab, it is the same code.
func (i *Issuer) issue(ctx context.Context, p Pending, d Decision, b Browser, consent *userstore.Consent) (Decision, error) {
	code, err := i.code(p, b)
	if err != nil {
		return Decision{}, err
	}
	if d.Client.FirstParty {
		consent = nil // nothing that could be taken back
	}
	now := i.now()
	var events []audit.Event
	if consent != nil {
		ctx := audit.As(ctx, audit.Actor{Type: audit.ByUser, ID: b.User.ID}, "", b.Session.ID)
		events = append(events, audit.New(ctx, now, audit.ConsentGranted, audit.Target{Type: audit.OnClient, ID: p.ClientID}))
	}
	if err := i.finished(ctx, p, code, now); err != nil {
		return Decision{}, err
	}
	err = audit.Stored(ctx, i.Log, i.Codes.SaveCode(ctx, userstore.Code{
		Hash: sha256.Sum256([]byte(code)), ClientID: p.ClientID, UserID: b.User.ID, BrowserSession: b.Session.ID,
		RedirectURI: p.RedirectURI, CodeChallenge: p.CodeChallenge, ByConsent: !d.Client.FirstParty,
		Scopes: p.Scopes, Resources: p.Resources, Nonce: string(p.Nonce), Claims: p.Claims,
		AuthTime: b.Session.AuthTime, AMR: b.Session.AMR, ACR: b.Session.ACR,
		CreatedAt: now, ExpiresAt: now.Add(codeLifetime), UserAgent: b.Session.UserAgent, Address: b.Session.Address,
	}, consent, now.Add(-i.SessionIdle), events...), events...)
	switch {
	case errors.Is(err, userstore.ErrExists):
		return Decision{}, errFinished
	case errors.Is(err, userstore.ErrConflict):
		// Session, user or client ended between the reads and this act. The user can only log in again.
		d.Step, d.Reauthenticate = LogIn, false
		return i.refuseOrStep(p, d, errLoginRequired), nil
	case err != nil:
		return Decision{}, failed(err)
	}
	d.Step, d.Response = Respond, i.respond(p, [2]string{"code", code})
	return d, nil
}

// finished tells of the one code of a request that it is over, used or not: somebody went back to a page of long ago. The
// client would only say that the code is wrong. A request that is younger than a code lives has none that could be.
func (i *Issuer) finished(ctx context.Context, p Pending, code string, now time.Time) error {
	if now.Sub(p.At) < codeLifetime {
		return nil
	}
	v, err := i.Codes.CodeByHash(ctx, sha256.Sum256([]byte(code)))
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return nil
	case err != nil:
		return failed(err)
	case !now.Before(v.Code.ExpiresAt):
		return errFinished
	}
	return nil
}

// code is what the request, the user and the browser session make of the secret of forms: 256 bits that nobody can guess, and
// the same ones on every replica.
func (i *Issuer) code(p Pending, b Browser) (string, error) {
	sum, err := i.FormMAC("code", p.ID, b.User.ID, b.Session.ID)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// FormMAC seals parts for a purpose: HMAC-SHA-256 under FormSecret, the same on every replica. What is sealed for one
// purpose is worth nothing for another.
func (i *Issuer) FormMAC(purpose string, parts ...string) ([]byte, error) {
	secret, err := i.FormSecret()
	if err != nil {
		return nil, unready(fmt.Errorf("seal what goes through a browser: %w", err))
	}
	return mac.Sum(secret, append([]string{purpose}, parts...)...), nil
}
