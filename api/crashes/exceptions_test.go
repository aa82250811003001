package crashes_test

import (
	"maps"
	"strings"

	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// exception says in which way a route differs from what is true of all the others, and why.
type exception struct {
	why string
	// again are the answers to a request that was sent again after it had been done.
	again []string
	// goesOn is the answer when a part was done and the rest is not needed.
	goesOn string
	// several: the route does one thing after the other, each of them whole or not at all.
	several bool
	// twice: sent again after it had been done, it is done again.
	twice bool
	// more are numbers that may grow more, because a statement whose answer was lost is repeated.
	more []string
}

// whole reports whether acts are those without a fault.
func (e exception) whole(acts, without sqltest.Counts) bool {
	if maps.Equal(acts, without) {
		return true
	}
	for name := range acts.Since(without) {
		found := false
		for _, m := range e.more {
			found = found || name == m || strings.HasPrefix(name, m+".")
		}
		if !found {
			return false
		}
	}
	return true
}

var exceptions = map[string]exception{}
