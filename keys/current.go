package keys

import (
	"context"
	"time"
)

// LoadView reads the store into this manager's view, as each poll of a running server does, and
// changes nothing: for a command that must answer as the server would. It needs Store, Policy, Now
// and DatabaseNow. It returns no error if the clock is off or a key-encryption key is missing;
// Ready does.
func (m *Manager) LoadView(ctx context.Context) error {
	err := m.poll(ctx)
	if v := m.view.Load(); v != nil && v.off {
		return nil
	}
	return err
}

// Current returns the timeline as this replica sees it, from memory: for metrics, which matter most
// while the store is down. False before Start.
func (m *Manager) Current() (Report, bool) {
	v := m.view.Load()
	if v == nil {
		return Report{}, false
	}
	return report(v.set.ring, m.Policy, v.instant(m.now())), true
}

// Freshness says how well this replica knows the key set.
type Freshness struct {
	Age    time.Duration // since this replica began to read the store last
	Offset time.Duration // this replica's clock minus the database's, as last compared
}

// Freshness returns it from memory, for metrics. False before Start.
func (m *Manager) Freshness() (Freshness, bool) {
	v := m.view.Load()
	if v == nil {
		return Freshness{}, false
	}
	now := m.Now()
	return Freshness{Age: max(0, now.Round(0).Sub(v.readAt), now.Sub(v.readAt)), Offset: v.offset}, true
}
