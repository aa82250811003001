package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/statuslist"
	"github.com/signet-id/signet/userstore"
)

// StatusListLifetime is how long a verifier uses a status list that it cannot fetch anew.
const StatusListLifetime = 10 * time.Minute

const (
	statusListTTL    = 15 * time.Second // after which a verifier fetches a list anew
	statusListMaxAge = 5 * time.Second  // for which a cache on the way keeps one
	statusListEvery  = time.Second      // a list is signed no more often
	statusListPoll   = time.Second
	// A poll that is so late may have missed what other replicas saw.
	statusListMissed = userstore.StatusWindow / 2
	// placesAtOnce is how many places a replica reserves. A restart wastes at most as many.
	placesAtOnce = 256
	// statusListMemory bounds the signed lists that are kept.
	statusListMemory = 32 << 20
)

// TypeStatusList is the type of a status list token (draft-ietf-oauth-status-list-21 section 5.1).
const TypeStatusList = statuslist.Type

// StatusLists puts grants into token status lists and signs the lists. Access tokens name the place
// of their grant or, without a user, of their client. A list is what the store says is revoked, so it
// knows of every way in which a grant can end.
//
//	poll (each second)   what was revoked lately → lists that have to be read again
//	List                 the signed list from memory, or read, signed and kept
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
	bytes    int // of lists
	free     places
	reserved sync.Mutex // held while places are reserved
}

// places are reserved and not given away yet: from next to below end.
type places struct{ next, end int64 }

// StatusDocument is a status list token, ready to be sent.
type StatusDocument struct {
	Body   []byte
	MaxAge time.Duration // for caches
}

// signedList is a list in memory. Its own lock is held while it is read and signed.
type signedList struct {
	mu       sync.Mutex
	body     []byte
	kid      string
	places   [32]byte // a hash of what the list says
	signedAt time.Time

	// changed says that the list has to be read again; StatusLists.mu guards it and the next two.
	changed bool
	used    time.Time
	size    int
}

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
func (i *Issuer) statusOf(ctx context.Context, a Authorization) (*statusClaim, error) {
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
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.polled.IsZero() || now.Sub(s.polled) > statusListMissed || now.Before(s.polled) ||
		changes.CutoffIndex != s.known.CutoffIndex || !sameStrings(changes.Clients, s.known.Clients)
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

// sameStrings reports whether a and b hold the same, in any order.
func sameStrings(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	in := map[string]bool{}
	for _, text := range a {
		in[text] = true
	}
	for _, text := range b {
		if !in[text] {
			return false
		}
	}
	return true
}

// List returns a status list token. The number of the list is as it stands in the path. While the
// store or the keys fail, it returns the last list as long as that has not expired; what is revoked
// meanwhile is not in it, as in the copy that a verifier has. userstore.ErrNotFound: there is no such
// list; every other error is an *Error.
func (i *Issuer) List(ctx context.Context, number string) (StatusDocument, error) {
	if i.Status == nil {
		return StatusDocument{}, userstore.ErrNotFound
	}
	list, err := strconv.ParseInt(number, 10, 64)
	if err != nil || number != strconv.FormatInt(list, 10) || list < 0 {
		return StatusDocument{}, userstore.ErrNotFound
	}
	return i.Status.list(ctx, list)
}

func (s *StatusLists) list(ctx context.Context, number int64) (StatusDocument, error) {
	now := s.Now()
	l, err := s.find(ctx, number, now)
	if err != nil {
		return StatusDocument{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.due(l, now) {
		if err := s.renew(ctx, l, number, now); err != nil {
			if l.body == nil || !s.valid(l, now) {
				return StatusDocument{}, failed(err)
			}
			if s.Log != nil {
				s.Log.WarnContext(ctx, "a status list could not be renewed; the last one is served until it expires", "list", number, "error", err)
			}
		}
	}
	return StatusDocument{l.body, max(min(statusListMaxAge, l.signedAt.Add(StatusListLifetime).Sub(now)), 0)}, nil
}

// find returns the entry of a list. Another replica may have begun the list behind the last known
// one within the last second.
func (s *StatusLists) find(ctx context.Context, number int64, now time.Time) (*signedList, error) {
	s.mu.Lock()
	polled := !s.polled.IsZero()
	s.mu.Unlock()
	if !polled {
		if err := s.Step(ctx); err != nil {
			return nil, failed(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if number > s.known.Next/statuslist.Size+1 {
		return nil, userstore.ErrNotFound
	}
	l := s.lists[number]
	if l == nil {
		l = &signedList{changed: true}
		if s.lists == nil {
			s.lists = map[int64]*signedList{}
		}
		s.lists[number] = l
	}
	l.used = now
	return l, nil
}

// due reports whether a list must be read, because it has changed since more than a second ago, is
// half-way to its end, or is signed with a key that was revoked.
func (s *StatusLists) due(l *signedList, now time.Time) bool {
	age := now.Sub(l.signedAt)
	if l.body == nil || age < 0 || age >= StatusListLifetime/2 {
		return true
	}
	if _, published := s.Keys.PublishedKey(l.kid); !published {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.changed && age >= statusListEvery
}

func (s *StatusLists) valid(l *signedList, now time.Time) bool {
	_, published := s.Keys.PublishedKey(l.kid)
	return published && now.Before(l.signedAt.Add(StatusListLifetime)) && !now.Before(l.signedAt)
}

// statusListClaims is the payload of a status list token (section 5.1). RevokedBefore is a claim of
// ours: every token of the issuer that was issued before is revoked (docs/resource-servers.md).
type statusListClaims struct {
	Issuer        string          `json:"iss"`
	Subject       string          `json:"sub"`
	IssuedAt      int64           `json:"iat"`
	Expires       int64           `json:"exp"`
	TTL           int64           `json:"ttl"`
	RevokedBefore int64           `json:"revoked_before,omitempty"`
	List          statuslist.List `json:"status_list"`
}

// renew reads what is revoked, and signs it unless the list says that already and is young enough.
func (s *StatusLists) renew(ctx context.Context, l *signedList, number int64, now time.Time) error {
	s.mark(l, false) // what is revoked from here on marks it again
	err := s.sign(ctx, l, number, now)
	if err != nil {
		s.mark(l, true)
		return err
	}
	s.keep(number, l)
	return nil
}

func (s *StatusLists) mark(l *signedList, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.changed = changed
}

func (s *StatusLists) sign(ctx context.Context, l *signedList, number int64, now time.Time) error {
	first := number * statuslist.Size
	revoked, err := s.Store.RevokedPlaces(ctx, first, first+statuslist.Size-1)
	if err != nil {
		return fmt.Errorf("read the revoked places of a status list: %w", err)
	}
	all := statuslist.New(statuslist.Size)
	all.RevokeBelow(int(max(min(revoked.CutoffIndex-first, statuslist.Size), 0)))
	for _, place := range revoked.Ended {
		all.Revoke(int(place - first))
	}
	claims := statusListClaims{
		Issuer: s.URL, Subject: s.address(number), TTL: int64(statusListTTL / time.Second),
		IssuedAt: now.Unix(), Expires: now.Add(StatusListLifetime).Unix(),
	}
	if !revoked.CutoffAt.IsZero() {
		// Up to the next full second: a token says in which second it was issued. A token of after the
		// cutoff within that second is refused, too, and its client gets another one.
		claims.RevokedBefore = revoked.CutoffAt.Add(time.Second - 1).Unix()
	}
	digest := all.Hash(claims.RevokedBefore)
	if l.places == digest && s.valid(l, now) && now.Sub(l.signedAt) < StatusListLifetime/2 {
		return nil
	}
	signer, err := s.Keys.Signer(s.Alg)
	if err != nil {
		return unready(fmt.Errorf("sign a status list: %w", err))
	}
	if claims.List, err = all.Encode(); err != nil {
		return err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return err
	}
	token, err := s.Sign(signer, TypeStatusList, payload)
	if err != nil {
		return fmt.Errorf("sign a status list: %w", err)
	}
	l.body, l.kid, l.places, l.signedAt = []byte(token), signer.KeyID(), digest, now
	return nil
}

// keep counts the memory of a list that was signed, and forgets the lists that were not asked for
// longest while there is too much.
func (s *StatusLists) keep(number int64, l *signedList) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lists[number] != l { // it was forgotten meanwhile
		return
	}
	s.bytes += len(l.body) - l.size
	l.size = len(l.body)
	for s.bytes > statusListMemory {
		oldest, at := int64(-1), l.used
		for number, other := range s.lists {
			if other != l && !other.used.After(at) {
				oldest, at = number, other.used
			}
		}
		if oldest < 0 {
			return
		}
		s.bytes -= s.lists[oldest].size
		delete(s.lists, oldest)
	}
}
