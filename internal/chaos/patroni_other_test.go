//go:build chaos && !linux

package chaos

import "testing"

func newCluster(t *testing.T) Database {
	t.Helper()
	t.Fatal("CHAOS_DATABASE=patroni needs Linux")
	return nil
}
