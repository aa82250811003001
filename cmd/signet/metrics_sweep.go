package main

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/counts"
	"github.com/signet-id/signet/userstore"
)

// sweptStore counts the expired rows that a sweep removes.
type sweptStore struct {
	userstore.Store
	swept *counts.Words
}

// sweptKinds are the kinds of rows that sweptStore counts.
var sweptKinds = []string{
	"grants", "attempts", "events", "codes_and_sessions", "one_time_tokens", "app_sessions",
	"spent_handles_and_trusted_browsers", "registration_tokens",
}

func (s sweptStore) count(kind string, removed int, err error) (int, error) {
	s.swept.Add(kind, removed)
	return removed, err
}

func (s sweptStore) RemoveExpired(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := s.Store.RemoveExpired(ctx, now, limit)
	return s.count("grants", n, err)
}

func (s sweptStore) RemoveExpiredAttempts(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := s.Store.RemoveExpiredAttempts(ctx, now, limit)
	return s.count("attempts", n, err)
}

func (s sweptStore) RemoveEvents(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := s.Store.RemoveEvents(ctx, before, limit)
	return s.count("events", n, err)
}

func (s sweptStore) RemoveExpiredCodes(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := s.Store.RemoveExpiredCodes(ctx, now, limit)
	return s.count("codes_and_sessions", n, err)
}

func (s sweptStore) RemoveExpiredTokens(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := s.Store.RemoveExpiredTokens(ctx, now, limit)
	return s.count("one_time_tokens", n, err)
}

func (s sweptStore) RemoveExpiredAppSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := s.Store.RemoveExpiredAppSessions(ctx, now, limit)
	return s.count("app_sessions", n, err)
}

func (s sweptStore) RemoveSpentHandles(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := s.Store.RemoveSpentHandles(ctx, now, limit)
	return s.count("spent_handles_and_trusted_browsers", n, err)
}

func (s sweptStore) RemoveRegistrationTokens(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := s.Store.RemoveRegistrationTokens(ctx, now, limit)
	return s.count("registration_tokens", n, err)
}
