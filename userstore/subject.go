package userstore

import (
	"context"
	"time"
)

// Subject is a pairwise identifier (OIDC Core section 8.1): the sub by which the clients of one
// sector know a user, and which tells the clients of two sectors nothing about each other's users.
type Subject struct {
	UserID    string
	Sector    string // a host name
	Subject   string
	CreatedAt time.Time
}

// MaxSubjects bounds the sectors that know a user.
const MaxSubjects = 1000

// Subjects stores pairwise identifiers. A stored one never changes, and is deleted with its user
// only: apps keep their data under it.
type Subjects interface {
	// SubjectOf returns the subject of s.UserID in s.Sector. If there is none yet, it stores s. All
	// calls return the one that was stored first, on whatever replica. ErrConflict: there is none,
	// and the user is disabled or gone or has most subjects.
	SubjectOf(ctx context.Context, s Subject, most int) (string, error)
	// ListSubjects returns the subjects of a user, by (created_at, sector), oldest first.
	ListSubjects(ctx context.Context, userID string) ([]Subject, error)
	// UserBySubject finds the user whom some sector knows by a subject. ErrNotFound.
	UserBySubject(ctx context.Context, subject string) (User, error)
}
