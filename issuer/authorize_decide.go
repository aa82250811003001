package issuer

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// codeLifetime is how long a client has to redeem a code (RFC 9700 section 2.1.1; FAPI 2.0 section
// 5.3.2.1).
const codeLifetime = time.Minute

// Step is the next step of a pending request.
type Step int

const (
	Respond    Step = iota // send Response
	LogIn                  // show the login page
	AskConsent             // show the consent page
	IssueCode              // nothing is missing; only Consider returns this, because Decide and Allow issue the code

	DeviceAllowed // the device gets its tokens; there is nowhere to go back to
	DeviceDenied  // the device is refused; there is nowhere to go back to
)

// Decision is the result of Decide.
type Decision struct {
	Step           Step
	Response       AuthorizationResponse // of Respond
	Client         userstore.Client
	Scopes         []string // for the consent page; see consentScopes
	Reauthenticate bool     // of LogIn: there is a session, but the user has to log in again
	StepUp         bool     // of LogIn: the session only lacks a second factor
}

var errFinished = refuse(RequestFinished, "This sign-in was finished before: start again from the app.")

// Decide returns the next step of a pending request in browser b (nil: no user is logged in). If
// nothing is missing, it issues the code.
//
// Everything is checked each time, even what Authorize has checked: between two pages a client may
// have been disabled, a redirect URI removed, or another user have logged in.
func (i *Issuer) Decide(ctx context.Context, p Pending, b *Browser) (Decision, error) {
	d, err := i.Consider(ctx, p, b)
	if err != nil || d.Step != IssueCode {
		return d, err
	}
	return i.issue(ctx, p, d, *b, nil)
}

// Consider is Decide without its effect: where Decide issues the code, Consider returns IssueCode.
func (i *Issuer) Consider(ctx context.Context, p Pending, b *Browser) (Decision, error) {
	d, refused, err := i.checkRequest(ctx, p, b)
	switch {
	case err != nil:
		return Decision{}, err
	case refused != nil:
		return i.refuseOrStep(p, d, refused)
	}
	asked, err := i.needsConsent(ctx, p, d, b.User.ID)
	switch {
	case err != nil:
		return Decision{}, err
	case asked:
		d.Step = AskConsent
		return i.refuseOrStep(p, d, errConsentRequired)
	}
	return d, nil
}

// Allow issues the code after the user of b allowed the request, and stores the consent. It makes
// the same checks as Decide.
func (i *Issuer) Allow(ctx context.Context, p Pending, b Browser) (Decision, error) {
	d, refused, err := i.checkRequest(ctx, p, &b)
	switch {
	case err != nil:
		return Decision{}, err
	case refused != nil:
		return i.refuseOrStep(p, d, refused)
	}
	now := i.now()
	consent := &userstore.Consent{
		UserID: b.User.ID, ClientID: p.ClientID, Allowed: i.requestedAllowances(p, d), CreatedAt: now, UpdatedAt: now,
	}
	if p.Device != "" {
		return i.allowDevice(ctx, p, d, b, consent)
	}
	return i.issue(ctx, p, d, b, consent)
}

// Deny refuses a request that the user of b denied. The response, too, goes only to an address that
// is still the client's.
func (i *Issuer) Deny(ctx context.Context, p Pending, b Browser) (d Decision, err error) {
	if d.Client, err = i.currentClient(ctx, p); err != nil {
		return Decision{}, err
	}
	if p.Device != "" {
		return i.denyDevice(ctx, p, d, b)
	}
	d.Step, d.Response = Respond, i.refusal(p, refuse(AccessDenied, "The user did not allow it."))
	return d, nil
}

// Renew returns the same request, begun anew: it gets a code of its own, and its demands on the age
// of a login count from now.
func (i *Issuer) Renew(p Pending) Pending {
	p.ID, p.At, p.Proved = i.NewID(), i.now(), ""
	return p
}

// Abandon returns the answer to a request that can no longer be granted, and its client. Like every
// answer, it goes only to a redirect URI that is still registered for the client; a device is not
// told, because its code expires by itself.
func (i *Issuer) Abandon(ctx context.Context, p Pending) (AuthorizationResponse, userstore.Client, error) {
	client, err := i.currentClient(ctx, p)
	switch {
	case err != nil:
		return AuthorizationResponse{}, userstore.Client{}, err
	case p.Device != "":
		return AuthorizationResponse{}, userstore.Client{}, errUserCode
	}
	return i.refusal(p, refuse(AccessDenied, "The user left the page open for too long: start again.")), client, nil
}

// currentClient returns the client of p, if p can still be answered: its redirect URI is still
// registered for the client, or its device still waits. The error is for a page.
func (i *Issuer) currentClient(ctx context.Context, p Pending) (userstore.Client, error) {
	client, err := i.enabledClient(ctx, p.ClientID)
	switch {
	case err != nil:
	case p.Device != "":
		_, err = i.deviceFor(ctx, p)
	case !redirects(client, p.RedirectURI):
		err = errRedirectURI
	}
	return client, err
}

var (
	errLoginRequired   = refuse(LoginRequired, "The user has to log in: ask again without prompt=none.")
	errOtherUser       = refuse(LoginRequired, "Another user is logged in than the one who was asked for.")
	errConsentRequired = refuse(ConsentRequired, "The user has to allow it: ask again without prompt=none.")
)

// refuseOrStep returns the step that would resolve a refusal, if there is one and the client allows
// interaction, and otherwise the refusal. A device is not told of a refusal, which is for a page:
// another user may be allowed what this one is not.
func (i *Issuer) refuseOrStep(p Pending, d Decision, refused *Error) (Decision, error) {
	switch {
	case d.Step != Respond && !slices.Contains(p.Prompt, promptNone):
		return d, nil
	case p.Device != "":
		return Decision{}, refused
	}
	d.Step, d.Response = Respond, i.refusal(p, refused)
	return d, nil
}

// checkRequest decides whether p can be granted to the browser now, apart from the user's consent.
// If not, it returns the refusal, and in the decision the step that would help: LogIn, or none
// (Respond). Otherwise the step is IssueCode. The error is for a page.
func (i *Issuer) checkRequest(ctx context.Context, p Pending, b *Browser) (d Decision, refused *Error, err error) {
	if d.Client, err = i.currentClient(ctx, p); err != nil {
		return d, nil, err
	}
	d.Scopes = i.consentScopes(p, d.Client)
	if b == nil {
		d.Step = LogIn
		return d, errLoginRequired, nil
	}
	proved := p.Proved != "" && p.Proved == b.Session.ID // for this very request
	switch {
	case !proved && i.mustReauthenticate(p, b.Session.AuthTime), proved && i.mustProveAll(p, *b):
		d.Step, d.Reauthenticate = LogIn, true
		return d, errLoginRequired, nil
	}
	asked, err := i.isFor(ctx, p, d.Client, b.User.ID)
	switch {
	case err != nil:
		return d, nil, err
	case !asked:
		// Never issue a code for another user than the requested one (OIDC Core section 3.1.2.2). A
		// user who has logged in for this request as somebody else did so on purpose.
		if !proved {
			d.Step = LogIn
		}
		return d, errOtherUser, nil
	}
	if err := i.checkGrantable(p, d.Client, b.User); err != nil {
		return d, err, nil
	}
	d.Step, refused = i.checkStrength(p, *b)
	d.StepUp = d.Step == LogIn && b.User.SecondFactor
	d.Reauthenticate = d.Step == LogIn && !d.StepUp
	return d, refused, nil
}

// mustReauthenticate reports whether a user who logged in at authTime has to log in again (OIDC
// Core section 3.1.2.1). To select an account is to log in, because a browser holds one session.
func (i *Issuer) mustReauthenticate(p Pending, authTime time.Time) bool {
	if slices.Contains(p.Prompt, promptLogin) || slices.Contains(p.Prompt, promptSelectAccount) {
		return true
	}
	return tooOld(p, authTime)
}

// tooOld reports whether a login at authTime is older than max_age allows.
func tooOld(p Pending, authTime time.Time) bool {
	switch {
	case p.MaxAge == nil:
		return false
	case *p.MaxAge >= int64(math.MaxInt64/time.Second): // longer than a Duration can be
		return false
	}
	limit := time.Duration(*p.MaxAge) * time.Second
	return limit == 0 || p.At.Sub(authTime) > limit
}

// mustProveAll reports whether a user with a second factor, who logged in for p, has to log in once
// more: prompt=login and max_age ask for all factors again, so the password alone does not do, neither
// beside a second factor that was proved before nor in a trusted browser.
func (i *Issuer) mustProveAll(p Pending, b Browser) bool {
	s := b.Session
	return b.User.SecondFactor && (slices.Contains(p.Prompt, promptLogin) || tooOld(p, s.AuthTime)) &&
		(s.ACR != userstore.TwoFactors || s.AuthTime.Before(p.At.Add(-i.ClockSkew)))
}

// checkGrantable repeats the checks of scopes and resources, and adds those that depend on the
// user.
func (i *Issuer) checkGrantable(p Pending, client userstore.Client, user userstore.User) *Error {
	err := i.checkResponseType(p, client)
	if err != nil {
		return failed(err)
	}
	targets, err := i.resources(p.Resources, client)
	if err == nil {
		err = checkScope(p.Scopes, i.grantable(client, i.targetsOrDefaults(targets)))
	}
	switch {
	case err != nil:
		return failed(err)
	case slices.Contains(p.Scopes, userstore.ScopeAdmin) && !mayAdmin(&client, user.Roles):
		return errNotAdmin
	}
	return nil
}

// needsConsent reports whether the user has to be asked. For a public client that any program on
// the user's machine can impersonate, the user is asked every time (RFC 8252 section 8.6), also if
// the client is first-party: neither an earlier consent nor our trust in the client shows that the
// program is that client now. Other first-party clients are ours, so the user is not asked unless
// the client wants it. A device may be anybody's: only the user, who sees it, can tell (RFC 8628
// section 5.4).
func (i *Issuer) needsConsent(ctx context.Context, p Pending, d Decision, userID string) (bool, error) {
	switch {
	case p.Device != "", slices.Contains(p.Prompt, promptConsent):
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
	return !c.Covers(i.requestedAllowances(p, d)), nil
}

// consentScopes returns the scopes that the user is asked about: those of the request, and those
// whose claims the client requested one by one and gets without their scope.
func (i *Issuer) consentScopes(p Pending, client userstore.Client) []string {
	scopes := slices.Clone(p.Scopes)
	named := i.namedScopes(claimsRequestOf(p.Claims), client)
	for _, s := range append(slices.Clone(userScopes), i.ClaimScopes()...) {
		if slices.Contains(named, s) && !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

// requestedAllowances returns what the user is asked for, by resource: a scope, offline_access
// included, is allowed only for the resource that it was requested for. Scopes about the user
// belong to no resource.
func (i *Issuer) requestedAllowances(p Pending, d Decision) []userstore.Allowance {
	var user, others []string
	for _, s := range d.Scopes {
		if i.aboutUser(s) && s != userstore.ScopeOffline {
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
				a.Scopes = slices.DeleteFunc(slices.Clone(others), func(s string) bool { return !i.accepts([]Resource{r}, s) })
			}
		}
		out = append(out, a)
	}
	return out
}

// issue saves the code and whatever begins with it, and returns the response. However often one
// request is allowed in one browser session, by a double click or a second tab, the answer is the same
//
func (i *Issuer) issue(ctx context.Context, p Pending, d Decision, b Browser, consent *userstore.Consent) (Decision, error) {
	text, hash, err := i.answerKey(p, b)
	if err != nil {
		return Decision{}, err
	}
	if d.Client.FirstParty {
		consent = nil // a first-party client has no consent to withdraw
	}
	subject, err := i.pairwiseSubject(ctx, d.Client, b.User.ID)
	if refused(err, AccessDenied) {
		d.Step, d.Response = Respond, i.refusal(p, errNoSubject)
		return d, nil
	}
	if err != nil {
		return Decision{}, err
	}
	now := i.now()
	code := i.codeOf(p, d, b, hash, now)
	code.Subject = subject
	begun, err := i.begin(ctx, p, d.Client, code)
	if err != nil {
		return Decision{}, failed(err)
	}
	defer begun.leave()
	code.Begins = begun.grant
	events := begun.events(ctx)
	if consent != nil {
		ctx := byUser(ctx, b)
		code.NewClient = registration.RowOf(ctx, d.Client, now)
		events = append(events, audit.New(ctx, now, audit.ConsentGranted, audit.Target{Type: audit.OnClient, ID: p.ClientID}))
	}
	if err := i.checkUnfinished(ctx, p, hash, now); err != nil {
		return Decision{}, err
	}
	// First, so that a request that was finished elsewhere begins nothing here.
	if err := i.usePushed(ctx, p, d.Client, hash, now); err != nil {
		return Decision{}, err
	}
	if err := i.keepUsed(ctx, d.Client); err != nil {
		return Decision{}, err
	}
	err = audit.Stored(ctx, i.Log, i.Codes.SaveCode(ctx, code, consent, now.Add(-i.SessionIdle), events...), events...)
	switch {
	case errors.Is(err, userstore.ErrExists):
		return Decision{}, errFinished
	case errors.Is(err, userstore.ErrConflict):
		// Session, user or client ended between the reads and this write. The user can only log in
		// again.
		d.Step, d.Reauthenticate = LogIn, false
		return i.refuseOrStep(p, d, errLoginRequired)
	case err != nil:
		return Decision{}, failed(err)
	}
	parameters, err := i.answer(ctx, p, text, begun)
	if err != nil {
		return Decision{}, failed(err)
	}
	d.Step, d.Response = Respond, i.respond(p, parameters...)
	return d, nil
}

// byUser returns a context whose audit entries name the user of b as the actor.
func byUser(ctx context.Context, b Browser) context.Context {
	return audit.As(ctx, audit.Actor{Type: audit.ByUser, ID: b.User.ID}, "", b.Session.ID)
}

// checkUnfinished returns errFinished if the one code of a request has expired, used or not: the
// user went back to an old page. Without this check the client would only say that the code is
// wrong. The code of a request that is younger than codeLifetime cannot have expired.
func (i *Issuer) checkUnfinished(ctx context.Context, p Pending, hash userstore.CodeHash, now time.Time) error {
	if now.Sub(p.At) < codeLifetime {
		return nil
	}
	v, err := i.Codes.CodeByHash(ctx, hash)
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
