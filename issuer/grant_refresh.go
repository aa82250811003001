package issuer

import (
	"context"
	"errors"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/userstore"
)

// RefreshRequest presents a refresh token. FirstParty restricts it to grants of
// public first-party clients, as /v1/refresh does.
type RefreshRequest struct {
	RefreshToken string
	ClientID     string // the authenticated or public client; empty: the token's own (FirstParty only)
	Scope        string // of this access token; empty: the grant's
	Resource     []string
	FirstParty   bool

	proof *keyProof // that was checked; nil: the request has none
}

var (
	errNoRefreshClient = refuse(InvalidClient, "Send client_id: a refresh token belongs to one client.")
	errNoRefreshToken  = refuse(InvalidRequest, "Send the refresh_token.")
)

// Refresh answers a refresh token. Let G be the generation of the grant's row and gen the token's:
//
//	gen = G                   rotate to G+1, answer G+1
//	gen = G-1, in the window  answer G once more: racing tabs, a lost answer
//	gen = G-1, later          answer G once more, remember and record it; but a replay if the
//	                          generation before was answered late as well, or this one five times
//	gen < G-1                 a replay: revoke the grant
//	gen > G                   the store has lost writes: revoke the grant
//	gen < G, without the key  a replay, where the grant of a public client is bound to a key (RFC 9449)
//
// Every other fault of a request is found before any of this and leaves the row unchanged. Without
// scope and resource a rotation is one statement. Every error is an *Error.
func (i *Issuer) Refresh(ctx context.Context, r RefreshRequest) (TokenResponse, error) {
	leave, err := i.Admission.enter(ctx)
	if err != nil {
		return TokenResponse{}, err
	}
	defer leave()
	now := i.now()
	// Take the signers first: a replica that may not sign, because its clock is off for example,
	// must not tell a client that its session has ended either.
	signers, err := i.signers()
	if err != nil {
		return TokenResponse{}, err
	}
	a, err := i.refresh(ctx, r, now)
	if err == nil {
		err = i.completeUser(ctx, &a)
	}
	if err != nil {
		return TokenResponse{}, failed(err)
	}
	return i.mint(ctx, now, signers, a)
}

// refreshGrant is the refresh_token grant of the token endpoint.
func (i *Issuer) refreshGrant(ctx context.Context, client userstore.Client, r TokenRequest) (Authorization, error) {
	if r.RefreshToken == "" {
		return Authorization{}, errNoRefreshToken
	}
	a, err := i.refresh(ctx, RefreshRequest{RefreshToken: r.RefreshToken, ClientID: client.ID, Scope: r.Scope, Resource: r.Resource, proof: r.proof}, r.now)
	a.Client = client // with all its fields
	return a, err
}

// refresh moves the grant as Refresh describes, and returns what the request may get of the grant.
func (i *Issuer) refresh(ctx context.Context, r RefreshRequest, now time.Time) (Authorization, error) {
	f := refresh{Issuer: i, request: r, now: now}
	a, err := f.answer(ctx)
	i.Counts.refresh(f.found, err)
	return a, err
}

func (f *refresh) answer(ctx context.Context) (Authorization, error) {
	i, r := f.Issuer, f.request
	refusal.Client(ctx, r.ClientID)
	p, err := i.verifyRefresh(ctx, r.RefreshToken, f.now)
	if err != nil {
		refusal.Client(ctx, claimedClient(r.RefreshToken))
		return Authorization{}, err
	}
	refusal.Client(ctx, p.clientID)
	switch {
	case r.ClientID == "" && !r.FirstParty:
		return Authorization{}, errNoRefreshClient
	case r.ClientID != "" && r.ClientID != p.clientID:
		return Authorization{}, errRefreshToken.because(errors.New("the refresh token of another client"))
	}
	scopes, err := parseScope(r.Scope)
	if err != nil {
		return Authorization{}, err
	}
	// Whether the grant rotates or is answered once more, the answer is always the generation after
	// the presented one.
	jti, err := i.Keys.RefreshJTI(p.grant, p.generation+1)
	if err != nil {
		return Authorization{}, unready(err)
	}
	f.presented, f.scopes = p, scopes
	if err := i.useProof(ctx, r.proof); err != nil {
		return Authorization{}, err
	}
	view, err := f.advance(ctx)
	if err != nil {
		return Authorization{}, err
	}
	a, err := f.authorize(view)
	a.RefreshJTI = jti
	return a, err
}

// refresh is one refresh request in progress.
type refresh struct {
	*Issuer
	request   RefreshRequest
	presented presented
	scopes    []string // as requested
	anyKey    bool     // the grant may be bound to a key: nothing is given for it, so no proof is needed
	now       time.Time
	found     Standing // that the grant was answered or revoked for
}

// authorize returns what the request gets of the grant: all of it, or the part that scope and
// resource name (RFC 6749 section 6, RFC 8707 section 2.2). There is no nonce: OIDC Core section
// 12.2 wants none in a refreshed ID token.
func (f *refresh) authorize(view userstore.GrantView) (a Authorization, err error) {
	a = Authorization{Grant: view.Grant, Client: view.Client, Roles: view.User.Roles}
	if len(f.request.Resource) == 0 {
		a.Targets, err = f.remainingTargets(view.Grant.Resources, view.Client)
	} else {
		a.Targets, err = f.grantedTargets(f.request.Resource, view)
	}
	if err != nil {
		return a, err
	}
	if len(f.scopes) == 0 {
		a.Scopes = f.effective(&view.Grant, &view.Client, view.User.Roles, a.Targets)
		return a, nil
	}
	a.Scopes, err = f.narrow(f.scopes, view, a.Targets)
	return a, err
}

// advance moves the grant or leaves it, and returns the view whose generation is to be answered. A
// conflict means that another request was faster: then the row is read and checked again.
func (f *refresh) advance(ctx context.Context) (view userstore.GrantView, err error) {
	// Scope and resource are checked before the grant rotates, which takes a read.
	read := len(f.scopes) > 0 || len(f.request.Resource) > 0
	if read {
		if view, err = f.checkedGrant(ctx); err != nil {
			return view, err
		}
	}
	for range 3 {
		if !read || view.Grant.Generation == f.presented.generation {
			f.found = Current
			next, err := f.Grants.AdvanceGrant(ctx, userstore.Advance{
				ID:         f.presented.grant,
				Generation: f.presented.generation,
				ClientID:   f.presented.clientID,
				FirstParty: f.request.FirstParty,
				Now:        f.now,
				IdleSince:  f.now.Add(-f.RefreshIdle),
				JKT:        f.request.proof.thumbprint(),

				SecondFactor: f.Accounts.SecondFactor,
			})
			if !errors.Is(err, userstore.ErrConflict) {
				return next, err
			}
		} else if err := f.checkStanding(ctx, view); !errors.Is(err, userstore.ErrConflict) {
			return view, err
		}
		if view, err = f.checkedGrant(ctx); err != nil {
			return view, err
		}
		read = true
	}
	return view, errUnavailable.because(errors.New("refresh: the grant kept changing"))
}

// checkedGrant reads the grant and makes every check that leaves the row unchanged, in the order of
// the design: client, grant, limits, user, scope and resource.
func (f *refresh) checkedGrant(ctx context.Context) (userstore.GrantView, error) {
	view, err := f.Grants.GrantByID(ctx, f.presented.grant)
	if errors.Is(err, userstore.ErrNotFound) {
		return view, errRefreshToken.because(errors.New("the grant is gone"))
	}
	if err != nil {
		return view, err
	}
	switch g, c := view.Grant, view.Client; {
	case g.ClientID != f.presented.clientID:
		return view, errRefreshToken.because(errors.New("the grant is another client's"))
	case f.request.FirstParty && !(c.Public() && c.FirstParty):
		return view, errRefreshToken.because(errors.New("the grant is not of a public first-party client"))
	case f.request.FirstParty && c.DPoPBoundAccessTokens:
		return view, errBoundClient
	case f.presented.generation == g.Generation && f.lacksKey(view):
		return view, errRefreshKey
	case !g.RevokedAt.IsZero():
		return view, errRefreshToken.because(errors.New("the grant is revoked"))
	case !f.now.Before(f.end(g)):
		return view, errRefreshExpired
	case !view.User.IsActive:
		return view, errRefreshToken.because(errors.New("the user is disabled"))
	case !c.DisabledAt.IsZero():
		return view, errRefreshToken.because(errors.New("the client is disabled"))
	case f.Accounts.MustHaveSecondFactor(view.User):
		return view, errRefreshSetup
	}
	_, err = f.authorize(view)
	return view, err
}

// lacksKey reports whether the grant is bound to a key that the request does not prove to have.
func (f *refresh) lacksKey(view userstore.GrantView) bool {
	jkt := view.Grant.JKT
	return view.Client.Public() && jkt != "" && !f.anyKey && jkt != f.request.proof.thumbprint()
}

// checkStanding handles a generation that is not the row's. It returns nil if the row's generation
// is to be answered once more. For a replay it revokes the grant.
//
// An earlier generation without the grant's key is a replay at once. The grant may have got its key with
// the first proof of a thief, whose tokens the owner could neither use nor, by using the last one that
// was not bound, bring to an end.
func (f *refresh) checkStanding(ctx context.Context, view userstore.GrantView) error {
	g := view.Grant
	standing := f.standing(f.presented.generation, g, f.now.Sub(g.RotatedAt) <= f.ReuseWindow)
	switch {
	case standing == Ahead:
		return f.revoke(ctx, g, Ahead, audit.GenerationAhead, "store_lost_writes")
	case f.lacksKey(view):
		return f.revoke(ctx, g, Replayed, audit.RefreshReplayed, "without_key")
	case standing == Replayed && f.presented.generation < g.Generation-1:
		return f.revoke(ctx, g, Replayed, audit.RefreshReplayed, "older_generation")
	case standing == Replayed:
		return f.revoke(ctx, g, Replayed, audit.RefreshReplayed, "late_too_often")
	}
	if f.found = standing; standing == InWindow {
		return nil
	}
	e := grantEvent(ctx, f.now, audit.RefreshLate, g)
	return audit.Stored(ctx, f.Log, f.Grants.AnswerLate(ctx, g.ID, g.Generation, MaxLate, e), e)
}

// revoke ends a grant whose refresh token must not have come back. The request is refused only
// after the revocation is stored: until then a retry must be able to bring the revocation about.
func (f *refresh) revoke(
	ctx context.Context, g userstore.Grant, found Standing, name audit.Name, reason string,
) error {
	e := grantEvent(ctx, f.now, name, g).Failed(reason)
	if err := audit.Stored(ctx, f.Log, f.Grants.RevokeGrant(ctx, g.ID, f.now, e), e); err != nil {
		return err
	}
	f.found = found
	return errRefreshToken.because(errors.New(string(name)))
}
