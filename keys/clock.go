package keys

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// clockOffset returns this replica's clock minus the database's, as far as it can be known: the
// database read its clock between our two readings.
func (m *Manager) clockOffset(ctx context.Context, p Policy) (time.Duration, error) {
	if m.DatabaseNow == nil {
		return 0, errors.New("keys.Manager.DatabaseNow is not set; without the database's clock no replica may sign")
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	before := m.now()
	database, err := m.DatabaseNow(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the database's clock: %w", err)
	}
	after := m.now()
	if took := after.Sub(before); took > p.ClockLimit() || took < 0 {
		return 0, fmt.Errorf("the database took %v to tell the time: too long to compare clocks (clock_skew is %v)",
			took.Round(time.Millisecond), p.ClockSkew)
	}
	switch {
	case database.Before(before):
		return before.Sub(database), nil
	case database.After(after):
		return after.Sub(database), nil
	}
	return 0, nil
}

// clockError returns nil if the two clocks agree well enough.
func (p Policy) clockError(offset time.Duration) error {
	if offset.Abs() <= p.ClockLimit() {
		return nil
	}
	direction := "ahead of"
	if offset < 0 {
		direction = "behind"
	}
	return fmt.Errorf("this machine's clock is %v %s the database's, and clock_skew ÷ 2 (%v) is allowed; set the clocks by NTP",
		offset.Abs().Round(time.Millisecond), direction, p.ClockLimit())
}

// checkClock refuses to plan on a machine whose clock is off: all replicas read the instants that
// it would write.
func (m *Manager) checkClock(ctx context.Context, p Policy) error {
	offset, err := m.clockOffset(ctx, p)
	if err != nil {
		return err
	}
	return p.clockError(offset)
}
