package issuer

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/signet-id/signet/userstore"
)

var errNoSubject = refuse(AccessDenied, "The account is disabled, or known to too many apps under identifiers of their own.")

// subjectOf returns the sub of a grant's user: what the client of the grant, and every resource
// server that gets its tokens, knows the user by (OIDC Core section 8). It stays as it is while the
// grant lives, whatever happens to the client's registration: a refreshed ID token must name the
// same sub (OIDC Core section 12.2).
func subjectOf(g *userstore.Grant) string { return cmp.Or(g.Subject, g.UserID) }

// pairwiseSubject returns the subject that a code or grant of client keeps; empty: the client knows
// the user by the user's id. A first call makes and stores the subject.
func (i *Issuer) pairwiseSubject(ctx context.Context, client userstore.Client, userID string) (string, error) {
	if !client.Pairwise() {
		return "", nil
	}
	subject, err := i.Subjects.SubjectOf(ctx, userstore.Subject{
		UserID: userID, Sector: client.Sector(), Subject: i.NewID(), CreatedAt: i.now(),
	}, userstore.MaxSubjects)
	switch {
	case errors.Is(err, userstore.ErrConflict):
		return "", errNoSubject.because(err)
	case err != nil: // also ErrInvalid, for a client without a sector: it must not get the user's id
		return "", failed(err)
	}
	return subject, nil
}

// namesUser reports whether the sub of an ID token of ours is that of a user. The client may have got
// the token before its registration changed, so any sub of the user will do.
func (i *Issuer) namesUser(ctx context.Context, sub, userID string) (bool, error) {
	if sub == userID {
		return true, nil
	}
	subjects, err := i.Subjects.ListSubjects(ctx, userID)
	if err != nil {
		return false, failed(err)
	}
	return slices.ContainsFunc(subjects, func(s userstore.Subject) bool { return s.Subject == sub }), nil
}

// isFor reports whether p may be granted for a user: the id_token_hint and the claims request name
// that user, or none. A sub that the client only claims to know counts in the one form in which the
// client knows users. Otherwise the clients of two sectors could find out by prompt=none which of
// their users are the same.
func (i *Issuer) isFor(ctx context.Context, p Pending, client userstore.Client, userID string) (bool, error) {
	if p.HintSubject != "" {
		if ours, err := i.namesUser(ctx, p.HintSubject, userID); err != nil || !ours {
			return false, err
		}
	}
	claims := claimsRequestOf(p.Claims)
	if !client.Pairwise() {
		return claims.admitsSubject(userID), nil
	}
	if len(claims.subjects()) == 0 {
		return true, nil
	}
	subjects, err := i.Subjects.ListSubjects(ctx, userID)
	if err != nil {
		return false, failed(err)
	}
	return slices.ContainsFunc(subjects, func(s userstore.Subject) bool {
		return s.Sector == client.Sector() && claims.admitsSubject(s.Subject)
	}), nil
}
