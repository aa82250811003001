package issuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/statuslist"
	"github.com/signet-id/signet/userstore"
)

const (
	statusListPoll = time.Second
	// A poll that is so late may have missed what other replicas saw.
	statusListMissed = userstore.StatusWindow / 2
	// placesAtOnce is how many places a replica reserves. A restart wastes at most as many.
	placesAtOnce = 256
)

// TypeStatusList is the type of a status list token (draft-ietf-oauth-status-list-21 section 5.1).
const TypeStatusList = statuslist.Type

// StatusLists puts grants into token status lists and signs the lists. Access tokens name the place
// of their grant or, without a user, of their client. A list is what the store says is revoked, so it
// knows of every way in which a grant can end.
//
//	poll (each second)   what was revoked lately → lists that have to be read again
//	List                 the signed list from memory, or read, signed and kept: statuslist_token.go
//
// Set Store, then Compose sets the other fields; Run polls. It is safe for concurrent use.
type StatusLists struct {
	Store userstore.StatusLists
	Keys  Keys
	Now   func() time.Time
	Log   *slog.Logger // nil: silent
	URL   string       // the issuer identifier
	Alg   string       // that lists are signed with: of access tokens without a resource
	Sign  func(s *jose.Signer, typ string, payload []byte) (string, error)

	mu       sync.Mutex
	polled   time.Time // when the last poll that succeeded began; zero: none has
	known    userstore.StatusChanges
	seen     map[userstore.EndedPlaces]bool // known.Ended
	lists    map[int64]*signedList
	bytes    int // of the signed lists
	free     places
	reserved sync.Mutex // held while places are reserved
}

// places are reserved and not given away yet: from next to below end.
type places struct{ next, end int64 }

// floor is the lowest place that counts: those below were revoked together.
func (s *StatusLists) floor() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.known.CutoffIndex, 1)
}

// place takes a place for a new grant.
func (s *StatusLists) place(ctx context.Context) (int64, error) {
	if p, ok := s.take(); ok {
		return p, nil
	}
	s.reserved.Lock()
	defer s.reserved.Unlock()
	if p, ok := s.take(); ok { // another request reserved meanwhile
		return p, nil
	}
	first, err := s.Store.ReservePlaces(ctx, placesAtOnce)
	if err != nil {
		return 0, fmt.Errorf("reserve places in the status lists: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = places{first + 1, first + placesAtOnce}
	return first, nil
}

func (s *StatusLists) take() (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free.next >= s.free.end || s.free.next < s.known.CutoffIndex {
		return 0, false
	}
	s.free.next++
	return s.free.next - 1, true
}

// statusClaim is the claim status of an access token.
type statusClaim struct {
	List statusReference `json:"status_list"`
}

type statusReference struct {
	Index int64  `json:"idx"`
	URI   string `json:"uri"`
}

// address is the URI of a list.
func (s *StatusLists) address(list int64) string {
	return s.URL + "/oauth2/status/" + strconv.FormatInt(list, 10)
}

// isPlace reports whether a token's claim names a place.
func (s *StatusLists) isPlace(claim jose.Status, place int64) bool {
	return claim.URI == s.address(place/statuslist.Size) && claim.Index == uint64(place%statuslist.Size)
}

// newPlace returns the place of a new grant; 0 if status lists are off.
func (i *Issuer) newPlace(ctx context.Context) (int64, error) {
	if i.Status == nil {
		return 0, nil
	}
	place, err := i.Status.place(ctx)
	if err != nil {
		return 0, failed(err)
	}
	return place, nil
}

// statusOf returns the claim status of an access token; nil if status lists are off. A grant that was
// made without a place, and a client's first token, get one here.
func (i *Issuer) statusOf(ctx context.Context, a *Authorization) (*statusClaim, error) {
	s := i.Status
	if s == nil {
		return nil, nil
	}
	place := a.Client.StatusIndex
	give := func(floor, fresh int64) (int64, error) { return s.Store.PlaceClient(ctx, a.Client.ID, floor, fresh) }
	if a.Grant.UserID != "" {
		place = a.Grant.StatusIndex
		give = func(floor, fresh int64) (int64, error) { return s.Store.PlaceGrant(ctx, a.Grant.ID, floor, fresh) }
	}
	if floor := s.floor(); place < floor {
		fresh, err := s.place(ctx)
		if err == nil {
			place, err = give(floor, fresh)
		}
		switch {
		case errors.Is(err, userstore.ErrNotFound):
			return nil, refuse(InvalidGrant, "The grant has ended.").because(errors.New("it ended while its token was made"))
		case err != nil:
			return nil, failed(err)
		}
	}
	return &statusClaim{statusReference{place % statuslist.Size, s.address(place / statuslist.Size)}}, nil
}

// Run polls each second until ctx ends. Errors are logged once per outage.
func (s *StatusLists) Run(ctx context.Context) {
	tick := time.NewTicker(statusListPoll)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.Step(ctx)
		if s.Log != nil && ctx.Err() == nil && failing != (err != nil) {
			if err != nil {
				s.Log.Error("the status lists cannot be kept current", "error", err)
			} else {
				s.Log.Info("the status lists are current again")
			}
		}
		failing = err != nil
	}
}

// Step makes one poll, and marks the lists that have changed.
func (s *StatusLists) Step(ctx context.Context) error {
	now := s.Now()
	changes, err := s.Store.StatusChanges(ctx, now, statuslist.Size)
	if err != nil {
		return err
	}
	slices.Sort(changes.Clients) // they come in any order, and are compared with those of the poll before
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.polled.IsZero() || now.Sub(s.polled) > statusListMissed || now.Before(s.polled) ||
		changes.CutoffIndex != s.known.CutoffIndex || !slices.Equal(changes.Clients, s.known.Clients)
	seen := make(map[userstore.EndedPlaces]bool, len(changes.Ended))
	for _, ended := range changes.Ended {
		seen[ended] = true
		if l := s.lists[ended.List]; l != nil && !all && (ended.SeenAt.IsZero() || !s.seen[ended]) {
			l.changed = true
		}
	}
	if all {
		for _, l := range s.lists {
			l.changed = true
		}
	}
	if changes.Next < s.free.end {
		s.free = places{} // the store forgot that it gave them away, and gives them to another replica
	}
	s.polled, s.known, s.seen = now, changes, seen
	s.known.Ended = nil
	return nil
}
