package userstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// StatusKept is how long a revoked place stays in its status list, counted from when a server first
// saw the revocation. An access token lives for a day at most, and clocks differ by minutes.
const StatusKept = 25 * time.Hour

// StatusWindow is how long StatusChanges names a change: far longer than the time between two calls
// of one replica, and than clocks may be apart.
const StatusWindow = 2 * time.Minute

// PlacesSkipped is how many places a restored store skips: more than any issuer gave away since its
// backup.
const PlacesSkipped = 1 << 30

// StatusChanges is what a replica has to know of the status lists each second.
type StatusChanges struct {
	Next        int64     // places below it are given away
	CutoffIndex int64     // places below it are revoked; 0: none is
	CutoffAt    time.Time // tokens that were issued before are revoked; zero: never

	Ended   []EndedPlaces // what was revoked within StatusWindow, or earlier if no server saw it
	Clients []string      // clients that began a new epoch in the same time, and when that was seen
}

// EndedPlaces are some places of one list that were revoked.
type EndedPlaces struct {
	List   int64     // the number of the list: its first place, divided by the size of a list
	SeenAt time.Time // when a server first saw it; zero: none had, and the next call names it again
}

// StatusPlaces are the revoked ones of a range of places.
type StatusPlaces struct {
	CutoffIndex int64
	CutoffAt    time.Time
	Ended       []int64 // in no order, perhaps with repetitions, and without those below CutoffIndex
}

// StatusLists keeps the places of grants and clients in token status lists. The store itself notes a
// place as revoked when its grant is revoked, deleted before it expires, or ended with its client,
// whatever did that.
type StatusLists interface {
	// ReservePlaces gives n places away, and returns the first of them.
	ReservePlaces(ctx context.Context, n int64) (first int64, err error)
	// PlaceGrant gives a live grant a place, unless it has one that is not below floor. It returns the
	// grant's place. ErrNotFound: there is no such live grant.
	PlaceGrant(ctx context.Context, id GrantID, floor, place int64) (int64, error)
	// PlaceClient is PlaceGrant for the tokens of an enabled client in its own name.
	PlaceClient(ctx context.Context, clientID string, floor, place int64) (int64, error)
	// StatusChanges is called each second by every replica. It notes when a change was first seen. A
	// list has size places.
	StatusChanges(ctx context.Context, now time.Time, size int64) (StatusChanges, error)
	// RevokedPlaces returns the revoked places from first to last.
	RevokedPlaces(ctx context.Context, first, last int64) (StatusPlaces, error)
	// RemovePlaces deletes at most limit notes that no token needs any more: see StatusKept.
	RemovePlaces(ctx context.Context, now time.Time, limit int) (removed int, err error)
	// ClientAndCutoff returns a client, and the instant before which every token is revoked; zero:
	// none is. ErrNotFound.
	ClientAndCutoff(ctx context.Context, clientID string) (Client, time.Time, error)
	// RevokePlaces revokes, at now, every place that is given away, and skips so many that come next,
	// which are revoked as well: a store that was restored does not know which of them it gave away.
	RevokePlaces(ctx context.Context, now time.Time, skip int64) error
	// RevokeAll ends every grant, code and token of all clients at now, as if each client had been
	// disabled and enabled again. When it fails, some have ended; call it again.
	RevokeAll(ctx context.Context, now time.Time, events ...audit.Event) error
}
