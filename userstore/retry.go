package userstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// attempts is how often an act is tried that has hashed or is rarely in the way of another.
	actTries = 3
	// edits is how often an edit is, each time a little later: a dozen at once all find their turn.
	editTries = 8
)

// retry runs an act, again while ErrConflict says that another one was faster, so many times at most. What was
// computed before the conflict and still holds, act keeps in variables around it.
func retry(ctx context.Context, times int, name string, act func() error) error {
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

// stagger waits before a try that is not the first, so that those who lost to one another do not
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
