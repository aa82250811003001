package issuer_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// traced is a store that records every call and lets a test fail one, before or after it did its
// work. It names only the methods that the issuer uses; a test checks that it names all of them.
type traced struct {
	userstore.Store
	mu     sync.Mutex
	calls  []string
	before map[string]func() error
	after  map[string]func() error
	edit   func(*userstore.GrantView) // of what GrantByID and GrantBySession found
}

func (s *traced) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// on sets functions to run before and after calls of method; nil leaves that side alone.
func (s *traced) on(method string, before, after func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before == nil {
		s.before, s.after = map[string]func() error{}, map[string]func() error{}
	}
	s.before[method], s.after[method] = before, after
}

func once(fn func() error) func() error {
	var done sync.Once
	return func() (err error) { done.Do(func() { err = fn() }); return err }
}

func trace[T any](s *traced, method string, call func() (T, error)) (T, error) {
	s.mu.Lock()
	s.calls = append(s.calls, method)
	before, after := s.before[method], s.after[method]
	s.mu.Unlock()
	var zero T
	if before != nil {
		if err := before(); err != nil {
			return zero, err
		}
	}
	out, err := call()
	if err == nil && after != nil {
		if err := after(); err != nil {
			return zero, err
		}
	}
	return out, err
}

func trace0(s *traced, method string, call func() error) error {
	_, err := trace(s, method, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

type loginView struct {
	u     userstore.User
	known bool
	c     userstore.Client
}

func (s *traced) LoginView(ctx context.Context, l userstore.Login,

	clientID string) (userstore.User, bool, userstore.Client, error) {
	v, err := trace(s, "LoginView", func() (v loginView, err error) {
		v.u, v.known, v.c, err = s.Store.LoginView(ctx, l, clientID)
		return v, err
	})
	return v.u, v.known, v.c, err
}
func (s *traced) UseDPoPProof(ctx context.Context, id userstore.DPoPProofID, now, until time.Time) error {
	return trace0(s, "UseDPoPProof", func() error { return s.Store.UseDPoPProof(ctx, id, now, until) })
}

func (s *traced) StartGrant(ctx context.Context, g userstore.StartGrant) error {
	return trace0(s, "StartGrant", func() error { return s.Store.StartGrant(ctx, g) })
}

func (s *traced) AdvanceGrant(ctx context.Context, a userstore.Advance) (userstore.GrantView, error) {
	return trace(s, "AdvanceGrant", func() (userstore.GrantView, error) { return s.Store.AdvanceGrant(ctx, a) })
}

func (s *traced) GrantByID(ctx context.Context, id userstore.GrantID) (userstore.GrantView, error) {
	return trace(s, "GrantByID", func() (userstore.GrantView, error) { return s.edited(s.Store.GrantByID(ctx, id)) })
}

func (s *traced) GrantBySession(ctx context.Context, id string) (userstore.GrantView, error) {
	return trace(s, "GrantBySession",
		func() (userstore.GrantView, error) { return s.edited(s.Store.GrantBySession(ctx, id)) })
}

func (s *traced) edited(v userstore.GrantView, err error) (userstore.GrantView, error) {
	if err == nil && s.edit != nil {
		s.edit(&v)
	}
	return v, err
}

func (s *traced) AnswerLate(ctx context.Context, id userstore.GrantID, generation, most int64,

	events ...audit.Event) error {
	return trace0(s, "AnswerLate", func() error { return s.Store.AnswerLate(ctx, id, generation, most, events...) })
}
func (s *traced) RevokeGrant(ctx context.Context, id userstore.GrantID, now time.Time, events ...audit.Event) error {
	return trace0(s, "RevokeGrant", func() error { return s.Store.RevokeGrant(ctx, id, now, events...) })
}

func (s *traced) ReserveAttempt(ctx context.Context, r userstore.Reserve) error {
	return trace0(s, "ReserveAttempt", func() error { return s.Store.ReserveAttempt(ctx, r) })
}

func (s *traced) Tallies(ctx context.Context, r userstore.Reserve) (userstore.Tallies, error) {
	return trace(s, "Tallies", func() (userstore.Tallies, error) { return s.Store.Tallies(ctx, r) })
}

func (s *traced) FailAttempt(ctx context.Context, a userstore.Attempt, events ...audit.Event) error {
	if a == (userstore.Attempt{}) { // a refusal that is recorded beside the request, whenever that is
		return s.Store.FailAttempt(ctx, a, events...)
	}
	return trace0(s, "FailAttempt", func() error { return s.Store.FailAttempt(ctx, a, events...) })
}

func (s *traced) ReturnAttempt(ctx context.Context, a userstore.Attempt) error {
	return trace0(s, "ReturnAttempt", func() error { return s.Store.ReturnAttempt(ctx, a) })
}

func (s *traced) UserByID(ctx context.Context, id string) (userstore.User, error) {
	return trace(s, "UserByID", func() (userstore.User, error) { return s.Store.UserByID(ctx, id) })
}

func (s *traced) UserByLogin(ctx context.Context, l userstore.Login) (userstore.User, error) {
	return trace(s, "UserByLogin", func() (userstore.User, error) { return s.Store.UserByLogin(ctx, l) })
}

func (s *traced) ClientByID(ctx context.Context, id string) (userstore.Client, error) {
	return trace(s, "ClientByID", func() (userstore.Client, error) { return s.Store.ClientByID(ctx, id) })
}

// wantCalls compares the calls since the last wantCalls.
func (w *world) wantCalls(want ...string) {
	w.Helper()
	if got := w.store.called(); !slices.Equal(got, want) {
		w.Fatalf("store calls %v, want %v", got, want)
	}
}
