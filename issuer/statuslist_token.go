package issuer

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/signet-id/signet/internal/statuslist"
	"github.com/signet-id/signet/userstore"
)

// StatusListLifetime is how long a verifier uses a status list that it cannot fetch anew.
const StatusListLifetime = 10 * time.Minute

const (
	statusListTTL    = 15 * time.Second // after which a verifier fetches a list anew
	statusListMaxAge = 5 * time.Second  // for which a cache on the way keeps one
	statusListEvery  = time.Second      // a list is signed no more often
	statusListMemory = 32 << 20         // bounds the signed lists that are kept, in bytes
)

// StatusDocument is a status list token, ready to be sent.
type StatusDocument struct {
	Body   []byte
	MaxAge time.Duration // for caches
}

// signedList is a list in memory. StatusLists.mu guards all but turn.
type signedList struct {
	turn    chan struct{} // full while a request reads and signs the list
	last    *statusToken  // nil: it was not signed yet
	changed bool          // it has to be read again
	used    time.Time
}

// statusToken is a list as it was signed. It never changes.
type statusToken struct {
	body     []byte
	kid      string
	digest   [32]byte // of what the list says
	signedAt time.Time
}

func (t *statusToken) expires() time.Time { return t.signedAt.Add(StatusListLifetime) }

// List returns a status list token. The number of the list is as it stands in the path. While the
// store or the keys fail, or are slower than ctx, it returns the last list as long as that has not
// expired; what is revoked meanwhile is not in it, as in the copy that a verifier has.
// userstore.ErrNotFound: there is no such list; every other error is an *Error.
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
	l, err := s.find(ctx, number)
	if err != nil {
		return StatusDocument{}, err
	}
	failure := s.renew(ctx, l, number)
	last, now := s.lastOf(l), s.Now()
	if failure != nil {
		if !s.valid(last, now) {
			return StatusDocument{}, failed(failure)
		}
		if s.Log != nil {
			s.Log.WarnContext(ctx, "a status list could not be renewed; the last one is served until it expires",
				"list", number, "error", failure)
		}
	}
	return StatusDocument{last.body, max(min(statusListMaxAge, last.expires().Sub(now)), 0)}, nil
}

// find returns the entry of a list. Another replica may have begun the list behind the last known
// one within the last second.
func (s *StatusLists) find(ctx context.Context, number int64) (*signedList, error) {
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
		l = &signedList{turn: make(chan struct{}, 1), changed: true}
		if s.lists == nil {
			s.lists = map[int64]*signedList{}
		}
		s.lists[number] = l
	}
	l.used = s.Now()
	return l, nil
}

func (s *StatusLists) lastOf(l *signedList) *statusToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.last
}

// renew reads and signs a list that is due. The requests for one list take turns, so that the first
// signs for all of them: each looks at the clock once it has its turn.
func (s *StatusLists) renew(ctx context.Context, l *signedList, number int64) error {
	if !s.due(l, s.Now()) {
		return nil
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return fmt.Errorf("wait for a status list: %w", ctx.Err())
	}
	now := s.Now()
	if !s.due(l, now) {
		return nil
	}
	last := s.mark(l, false) // what is revoked from here on marks it again
	next, err := s.sign(ctx, last, number, now)
	if err != nil {
		s.mark(l, true)
		return err
	}
	s.keep(number, l, next)
	return nil
}

// due reports whether a list must be read, because it has changed since more than a second ago, is
// half-way to its end, or is signed with a key that was revoked.
func (s *StatusLists) due(l *signedList, now time.Time) bool {
	s.mu.Lock()
	last, changed := l.last, l.changed
	s.mu.Unlock()
	if !s.fresh(last, now) {
		return true
	}
	return changed && now.Sub(last.signedAt) >= statusListEvery
}

// fresh reports whether a list needs no new signature as long as nothing changes.
func (s *StatusLists) fresh(t *statusToken, now time.Time) bool {
	return s.valid(t, now) && now.Sub(t.signedAt) < StatusListLifetime/2
}

// valid reports whether a verifier would take a list.
func (s *StatusLists) valid(t *statusToken, now time.Time) bool {
	if t == nil || now.Before(t.signedAt) || !now.Before(t.expires()) {
		return false
	}
	_, published := s.Keys.PublishedKey(t.kid)
	return published
}

// mark says whether a list has to be read again, and returns it as it was signed last.
func (s *StatusLists) mark(l *signedList, changed bool) *statusToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.changed = changed
	return l.last
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

// sign reads what is revoked, and signs it, unless last says that already and is young enough.
func (s *StatusLists) sign(ctx context.Context, last *statusToken, number int64, now time.Time) (*statusToken, error) {
	first := number * statuslist.Size
	revoked, err := s.Store.RevokedPlaces(ctx, first, first+statuslist.Size-1)
	if err != nil {
		return nil, fmt.Errorf("read the revoked places of a status list: %w", err)
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
	places := placesOf(revoked, first)
	digest := places.Hash(claims.RevokedBefore)
	if s.fresh(last, now) && last.digest == digest {
		return last, nil
	}
	signer, err := s.Keys.Signer(s.Alg)
	if err != nil {
		return nil, unready(fmt.Errorf("sign a status list: %w", err))
	}
	if claims.List, err = places.Encode(); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	token, err := s.Sign(signer, TypeStatusList, payload)
	if err != nil {
		return nil, fmt.Errorf("sign a status list: %w", err)
	}
	return &statusToken{[]byte(token), signer.KeyID(), digest, now}, nil
}

// placesOf returns the places of the list that begins with first.
func placesOf(revoked userstore.StatusPlaces, first int64) statuslist.Places {
	all := statuslist.New(statuslist.Size)
	all.RevokeBelow(int(max(min(revoked.CutoffIndex-first, statuslist.Size), 0)))
	for _, place := range revoked.Ended {
		all.Revoke(int(place - first))
	}
	return all
}

// keep remembers a list as it was signed, and forgets the lists that were not asked for longest while
// there is too much.
func (s *StatusLists) keep(number int64, l *signedList, t *statusToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lists[number] == l { // it was not forgotten meanwhile
		s.bytes += len(t.body) - l.size()
	}
	l.last = t
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
		s.bytes -= s.lists[oldest].size()
		delete(s.lists, oldest)
	}
}

func (l *signedList) size() int {
	if l.last == nil {
		return 0
	}
	return len(l.last.body)
}
