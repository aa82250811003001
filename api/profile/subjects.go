package profile

import (
	"context"
	"time"

	"github.com/signet-id/signet/userstore"
)

// Subject is the sub by which the pairwise clients of a sector know the user.
type Subject struct {
	Sector    string    `json:"sector"` // a host name
	Subject   string    `json:"sub"`
	CreatedAt time.Time `json:"created_at"`
}

func subjectsOf(ctx context.Context, store userstore.Subjects, userID string) ([]Subject, error) {
	all, err := store.ListSubjects(ctx, userID)
	list := make([]Subject, 0, len(all))
	for _, s := range all {
		list = append(list, Subject{Sector: s.Sector, Subject: s.Subject, CreatedAt: s.CreatedAt.UTC()})
	}
	return list, err
}
