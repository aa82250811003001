package server_test

import (
	"testing"

	"github.com/signet-id/signet/internal/server"
)

// T-34: what jti and sid are made of.
func TestT34AMillionIDsAreAMillion(t *testing.T) {
	seen := make(map[string]struct{}, 1_000_000)
	for range 1_000_000 {
		id := server.NewID()
		if _, twice := seen[id]; twice || len(id) != 22 {
			t.Fatalf("%q, twice: %t", id, twice)
		}
		seen[id] = struct{}{}
	}
}
