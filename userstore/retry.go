package userstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// ActTries bounds the tries of an operation that hashes, or that rarely conflicts with another.
	ActTries = 3
	// editTries bounds the tries of an edit. Eight edits at once all succeed, however they collide;
	// each try waits longer, so that more than eight rarely collide as often.
	editTries = 8
)

// Retry runs act, and again while it returns ErrConflict, so many times at most. Results that stay
// valid after a conflict are kept by act in variables around it.
func Retry(ctx context.Context, times int, name string, act func() error) error {
	for try := range times {
		if err := stagger(ctx, try); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := act(); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%s: %w", name, ErrConflict)
}

// stagger waits before every try but the first, so that callers in conflict with one another do not
// meet again: 5 to 15 ms, then twice as long each time, but no longer than 80 to 240.
func stagger(ctx context.Context, try int) error {
	if try == 0 {
		return nil
	}
	delay := time.Duration(10<<min(try-1, 4)) * time.Millisecond
	timer := time.NewTimer(delay/2 + rand.N(delay))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
