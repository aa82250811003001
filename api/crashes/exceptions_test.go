package crashes_test

import "github.com/signet-id/signet/userstore/sqlstore/sqltest"

// exception says in which way a route differs from what is true of all the others, and why.
type exception struct {
	why string
	// lesser: success may be answered although a part was not done that the client does not ask for.
	lesser bool
	// more: sent twice, it may add more than sent once.
	more bool
	// parts of the acts that may be done without the rest: names of counts
	parts []string
	// repeated and code are the answer to a request that was sent again after it had been done.
	repeated int
	code     string
	end      bool // and there the journey ends
}

// part reports whether these acts are a part that may be done alone.
func (e exception) part(acts sqltest.Counts) bool {
	return len(e.parts) > 0
}

var exceptions = map[string]exception{}
