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
func subjectOf(g userstore.Grant) string { return cmp.Or(g.Subject, g.UserID) }

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

// isHintOf reports whether a sub that we put into an ID token is that of a user, maybe from before
// the registration of its client changed.
func (i *Issuer) isHintOf(ctx context.Context, sub, userID string) (bool, error) {
	if sub == userID {
		return true, nil
	}
	subjects, err := i.Subjects.ListSubjects(ctx, userID)
	if err != nil {
		return false, failed(err)
	}
	return slices.ContainsFunc(subjects, func(s userstore.Subject) bool { return s.Subject == sub }), nil
}

// knownAs returns the sub by which client knows a user now; empty: it does not know the user yet. A
// sub that a client only claims to know counts in this form alone. Otherwise the clients of two
// sectors could find out by prompt=none which of their users are the same.
func (i *Issuer) knownAs(ctx context.Context, client userstore.Client, userID string) (string, error) {
	if !client.Pairwise() {
		return userID, nil
	}
	subjects, err := i.Subjects.ListSubjects(ctx, userID)
	if err != nil {
		return "", failed(err)
	}
	n := slices.IndexFunc(subjects, func(s userstore.Subject) bool { return s.Sector == client.Sector() })
	if n < 0 {
		return "", nil
	}
	return subjects[n].Subject, nil
}
