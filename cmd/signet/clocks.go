package main

import (
	"context"
	"time"
)

// clock tells the time. It may ask the database.
type clock = func(context.Context) (time.Time, error)

// earlierOf returns a clock that reads the earlier time of two clocks. A row that has expired by
// both clocks has really expired, even if one clock is wrong. Keeping a row too long does no harm.
func earlierOf(database clock, own func() time.Time) clock {
	return func(ctx context.Context) (time.Time, error) {
		at, err := database(ctx)
		if now := own(); err == nil && now.Before(at) {
			at = now
		}
		return at, err
	}
}
