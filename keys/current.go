package keys

// Current is the timeline as this replica sees it, from memory: for metrics, which
// matter most while the store is down. False before Start.
func (m *Manager) Current() (Report, bool) {
	v := m.view.Load()
	if v == nil {
		return Report{}, false
	}
	return report(v.set.ring, m.Policy, v.instant(m.now())), true
}
