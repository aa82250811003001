package main

import (
	"context"
	"time"
)

// earlierOf is the earlier of what two clocks say: what has expired by both has expired, whichever
// of them is wrong. To keep a row too long does no harm.
func earlierOf(database func(context.Context) (time.Time, error), own func() time.Time) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		at, err := database(ctx)
		if now := own(); err == nil && now.Before(at) {
			at = now
		}
		return at, err
	}
}
