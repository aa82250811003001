package verifier

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/statuslist"
	"github.com/signet-id/signet/internal/strictjson"
)

// StatusPolicy says what a verifier does with a token that names a token status list
// (draft-ietf-oauth-status-list-21).
type StatusPolicy int

const (
	// StatusRequire checks the token against its list. A token whose list says that it is revoked is
	// refused with ErrRevoked, and one whose list cannot be had with ErrStatusUnavailable.
	StatusRequire StatusPolicy = iota
	// StatusIgnore checks no list: a token is accepted until it expires, although it was revoked. It
	// is for a resource server without a network.
	StatusIgnore
)

// Bounds of what is kept of status lists.
const (
	maxStatusLists   = 256
	maxStatusMemory  = 32 << 20 // bytes of decoded lists
	statusCooldown   = 5 * time.Second
	defaultStatusTTL = time.Minute // of a list that says none
	leastStatusTTL   = 5 * time.Second
	mostStatusTTL    = 5 * time.Minute
	// A list without exp is used for so long while it cannot be fetched.
	statusWithoutExp = 10 * time.Minute
)

// statusLists holds the status lists that tokens have named.
//
//	fresh        use the list
//	soon stale   use it, and fetch in the background (from 70 to 90 % of ttl, at random)
//	stale        fetch, wait, and use the new list; while that fails, use the old one
//	expired      fetch and wait; without an answer no token that names the list is accepted
//
// A list is only fetched for a token that is valid otherwise, so only the issuer's own tokens decide
// which lists there are.
type statusLists struct {
	v       *Verifier
	of      *trusted
	client  *http.Client
	prefix  string // of the address of every list: the issuer and a slash
	base    string // what takes its place where the lists are fetched; empty: nothing
	offline bool   // no list is ever fetched
	warned  sync.Once
	limit   time.Duration
	random  func() float64 // in [0, 1)

	// cutoff is the newest instant, in seconds, before which the issuer revoked every token.
	cutoff atomic.Int64

	mu    sync.Mutex
	lists map[string]*statusEntry
	bytes int
}

// statusEntry is one list. statusLists.mu guards all but current.
type statusEntry struct {
	current atomic.Pointer[statusSnapshot] // nil: never fetched
	used    atomic.Int64                   // when a token last named it, in nanoseconds

	attempts
}

// statusSnapshot is one answer; immutable.
type statusSnapshot struct {
	places    statuslist.Places
	issuedAt  time.Time
	expiry    time.Time
	fetched   time.Time
	refreshAt time.Time
	staleAt   time.Time
}

func (s *statusSnapshot) usable(now time.Time) bool {
	return s != nil && lasts(now, s.fetched, s.expiry)
}

func newStatusLists(v *Verifier, of *trusted, c Config, base string) *statusLists {
	return &statusLists{
		v: v, of: of, client: of.keys.source.client, prefix: strings.TrimSuffix(of.identifier, "/") + "/", base: base,
		offline: c.Offline, limit: orDefault(c.FetchTimeout, 5*time.Second), random: rand.Float64,
		lists: map[string]*statusEntry{},
	}
}

// check returns why a token that is valid otherwise is refused because of its status; nil: it is not.
func (s *statusLists) check(ctx context.Context, claims jose.AccessClaims) error {
	if s == nil {
		return nil
	}
	if claims.Status == nil {
		return s.afterCutoff(claims)
	}
	address := claims.Status.URI
	if err := s.allowed(address); err != nil {
		return invalid(faultMalformed, err.Error())
	}
	list, err := s.find(ctx, address)
	if err != nil {
		return err
	}
	status, ok := list.places.Status(claims.Status.Index)
	switch {
	case !ok: // no statement can be made (section 8.3)
		return invalid(faultMalformed, "the token's place is outside of its status list")
	case status != 0:
		return &Error{Code: CodeTokenRevoked,
			Reason: fmt.Sprintf("the token's status list says %d, which is not valid", status)}
	}
	return s.afterCutoff(claims)
}

// afterCutoff refuses a token from before the instant at which the issuer revoked everything, as any
// list of the issuer says it.
func (s *statusLists) afterCutoff(claims jose.AccessClaims) error {
	if claims.IssuedAt.Unix() < s.cutoff.Load() {
		return &Error{Code: CodeTokenRevoked, Reason: "the token was issued before the issuer revoked everything"}
	}
	return nil
}

// allowed refuses the address of a list that is not the issuer's: a token must not choose what its
// verifier calls.
func (s *statusLists) allowed(address string) error {
	rest, ours := strings.CutPrefix(address, s.prefix)
	switch {
	case address == "":
		return errors.New("the token's status is in none of the ways that can be checked here")
	case !ours || rest == "" || len(address) > 512 || strings.ContainsAny(rest, "?#\\%") || checkURL(address) != nil,
		slices.ContainsFunc(strings.Split(rest, "/"), func(part string) bool {
			return part == "" || part == "." || part == ".."
		}):
		return errors.New("the token's status list is not at an address below its issuer")
	}
	return nil
}

// find returns a usable list. The error is an *Error.
func (s *statusLists) find(ctx context.Context, address string) (*statusSnapshot, error) {
	if s.offline {
		s.warned.Do(func() {
			s.v.log.Error("a token names a status list, which is not fetched offline: such tokens are refused unless "+
				"Config.Status is StatusIgnore", "issuer", s.of.identifier)
		})
		return nil, &Error{Code: CodeStatusUnavailable, RetryAfter: statusCooldown,
			Reason: "the token's status list is not fetched offline: see Config.Status"}
	}
	now := s.v.now()
	e := s.entry(address, now)
	list := e.current.Load()
	if list.usable(now) && !reached(now, list.refreshAt) {
		return list, nil
	}
	wait, failing := s.refresh(e, address, now)
	if !list.usable(now) || reached(now, list.staleAt) && !failing {
		if wait != nil {
			select {
			case <-wait:
			case <-ctx.Done():
				return nil, &Error{Code: CodeStatusUnavailable, Reason: "the caller did not wait for the status list",
					RetryAfter: time.Second, cause: ctx.Err()}
			}
		}
		list = e.current.Load()
	}
	if !list.usable(s.v.now()) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return nil, &Error{Code: CodeStatusUnavailable, RetryAfter: max(e.nextAttempt.Sub(now), time.Second),
			Reason: "the token's status list could not be fetched, and there is none that has not expired"}
	}
	return list, nil
}

func (s *statusLists) entry(address string, now time.Time) *statusEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.lists[address]
	if e == nil {
		e = &statusEntry{}
		s.lists[address] = e
		s.forget(e, maxStatusLists, maxStatusMemory)
	}
	e.used.Store(now.UnixNano())
	return e
}

// forget drops the lists that no token named for longest, but not keep, until there are no more than
// most, of so many bytes. A list that is fetched now goes, too: its fetch ends by itself.
func (s *statusLists) forget(keep *statusEntry, most, memory int) {
	for len(s.lists) > most || s.bytes > memory {
		oldest := ""
		for address, e := range s.lists {
			if e != keep && (oldest == "" || e.used.Load() < s.lists[oldest].used.Load()) {
				oldest = address
			}
		}
		if oldest == "" {
			return
		}
		if list := s.lists[oldest].current.Load(); list != nil {
			s.bytes -= list.places.Bytes()
		}
		delete(s.lists, oldest)
	}
}

// refresh starts a fetch unless one is running or the cooldown is not over. It returns a channel that
// closes when the fetch ends; nil: none is running. failing says that the fetch before failed.
func (s *statusLists) refresh(e *statusEntry, address string, now time.Time) (wait <-chan struct{}, failing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait, start := e.begin(now, statusCooldown, s.random)
	if start {
		go s.fetch(e, address)
	}
	return wait, e.failing
}

// fetch runs in the background with a deadline of its own.
func (s *statusLists) fetch(e *statusEntry, address string) {
	ctx, cancel := context.WithTimeout(context.Background(), s.limit)
	defer cancel()
	next, cutoff, err := s.get(ctx, address)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer e.end()
	known := e.current.Load()
	if err == nil && known != nil && next.issuedAt.Before(known.issuedAt) && known.places.Restores(next.places) {
		err = errors.New("an outdated copy of the list was ignored: it lacks a revocation that is known")
	}
	if err != nil {
		if !e.failing {
			s.v.log.Error("a status list cannot be fetched; the known one is used until it expires",
				"list", address, "error", err.Error())
		}
		e.failing = true
		return
	}
	if e.failing {
		s.v.log.Info("a status list can be fetched again", "list", address)
	}
	e.failing = false
	if s.cutoff.Load() < cutoff {
		s.cutoff.Store(cutoff)
	}
	if s.lists[address] == e {
		if known != nil {
			s.bytes -= known.places.Bytes()
		}
		s.bytes += next.places.Bytes()
		s.forget(e, maxStatusLists, maxStatusMemory)
	}
	e.current.Store(next)
}

// get fetches a list and checks it (section 8.3).
func (s *statusLists) get(ctx context.Context, address string) (*statusSnapshot, int64, error) {
	raw, err := s.download(ctx, address)
	if err != nil {
		return nil, 0, err
	}
	parsed, err := jose.ParseStatusList(raw)
	switch {
	case err != nil:
		return nil, 0, err
	case !parsed.Header.IsType(statuslist.Type):
		return nil, 0, errors.New("it is not a status list: its typ is not " + statuslist.Type)
	case !slices.Contains(s.of.algorithms, parsed.Header.Algorithm):
		return nil, 0, fmt.Errorf("its alg, %s, is not among Algorithms", parsed.Header.Algorithm)
	}
	var claims statusClaims
	if err := strictjson.Unmarshal(parsed.Payload, &claims, strictjson.IgnoreUnknown); err != nil {
		return nil, 0, err
	}
	list, err := s.snapshot(claims, address)
	if err != nil {
		return nil, 0, err
	}
	keys, err := s.of.keys.find(ctx, parsed.Header.KeyID, list.issuedAt, true)
	if err != nil {
		return nil, 0, err
	}
	err = errors.New("it is signed with a key that the issuer does not publish")
	for _, key := range keys {
		if err = parsed.Verify(key); err == nil {
			break
		}
	}
	if err != nil {
		return nil, 0, err
	}
	if list.places, err = claims.List.Decode(); err != nil { // of the issuer's lists alone
		return nil, 0, err
	}
	return list, claims.RevokedBefore, nil
}

// statusClaims are the claims of a status list token (section 5.1).
type statusClaims struct {
	Issuer        *string         `json:"iss"`
	Subject       string          `json:"sub"`
	IssuedAt      int64           `json:"iat"`
	NotBefore     int64           `json:"nbf"`
	Expires       *int64          `json:"exp"`
	TTL           float64         `json:"ttl"`
	RevokedBefore int64           `json:"revoked_before"`
	List          statuslist.List `json:"status_list"`
}

// snapshot checks what the claims say of the list at an address. It returns a snapshot with all but the
// places.
func (s *statusLists) snapshot(claims statusClaims, address string) (*statusSnapshot, error) {
	now := s.v.now()
	list := &statusSnapshot{issuedAt: time.Unix(claims.IssuedAt, 0), fetched: now, expiry: now.Add(statusWithoutExp)}
	if claims.Expires != nil {
		list.expiry = now.Add(time.Unix(*claims.Expires, 0).Sub(now)) // by the monotonic clock, too
	}
	latest := now.Add(s.v.skew)
	switch {
	case claims.Issuer != nil && *claims.Issuer != s.of.identifier:
		return nil, errors.New("it is of another issuer")
	case claims.Subject != address:
		return nil, errors.New("its sub is not its address")
	case claims.IssuedAt <= 0, list.issuedAt.After(latest), time.Unix(claims.NotBefore, 0).After(latest):
		return nil, errors.New("it has no iat, or is issued in the future: compare the clocks")
	case !now.Before(list.expiry):
		return nil, errors.New("it has expired")
	}
	ttl := defaultStatusTTL
	if claims.TTL > 0 {
		ttl = time.Duration(min(claims.TTL, mostStatusTTL.Seconds()) * float64(time.Second))
	}
	ttl = max(ttl, leastStatusTTL)
	list.refreshAt, list.staleAt = now.Add(time.Duration((0.7+s.random()/5)*float64(ttl))), now.Add(ttl)
	return list, nil
}

func (s *statusLists) download(ctx context.Context, address string) (string, error) {
	if s.base != "" {
		address = strings.TrimSuffix(s.base, "/") + "/" + strings.TrimPrefix(address, s.prefix)
	}
	resp, err := request(ctx, s.client, address, statuslist.MediaType, "")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("answered with status %d", resp.StatusCode)
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != statuslist.MediaType {
		return "", errors.New("the answer is not of the type " + statuslist.MediaType)
	}
	body, err := readAtMost(resp.Body, jose.MaxStatusListBytes)
	return string(body), err
}
