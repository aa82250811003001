//go:build linux

package patroni

import "testing"

func TestPatroniThatKeepsALeaderOut(t *testing.T) {
	for version, want := range map[string]bool{
		"3.0.2": false, "2.1.7": false, "3.0": false, "": false, "devel": false,
		"3.0.3": true, "3.1.0": true, "3.0.10": true, "4.1.5": true, "10.0.0": true,
	} {
		if got := keepsLeader(version); got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}
