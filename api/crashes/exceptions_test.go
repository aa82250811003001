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
	// left is what such a request must have left in the end, beside what it did at first.
	left sqltest.Counts
	// goesOn is the answer when a part was done and the rest is not needed.
	goesOn string
	// several: the route does one thing after the other, each of them whole or not at all.
	several bool
	// twice: sent again after it had been done, it is done again.
	twice bool
	// more are numbers that may grow more, because a statement whose answer was lost is repeated:
	// users.token_epoch ends the links that wait in the user's mail, once or twice.
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

const (
	twoLogins   = "a login that is sent twice begins two sessions, which the user sees and can end"
	twoMessages = "a request for a message that is sent twice sends two messages; the newest counts"
	usedUp      = "a link or code works once: what it was for is done, and the answer says that it was used"
	isGone      = "what the request ends has ended: there is nothing left to end, or to end it with"
)

var exceptions = map[string]exception{
	"POST /v1/signup": {why: "the address is taken, by the client's own account: it logs in",
		again: []string{"409 user_already_exists"}, twice: true},
	"POST /v1/login": {why: twoLogins, twice: true},
	"POST /login":    {why: twoLogins, twice: true},

	"POST /v1/password/forgot": {why: twoMessages, twice: true},

	"POST /v1/password/reset": {why: usedUp, again: []string{"400 one_time_token_invalid"}},

	"POST /v1/logout":                         {why: isGone, again: []string{"401 token_invalid"}, more: []string{"users.token_epoch"}},
	"DELETE /v1/profile":                      {why: isGone, again: []string{"401 token_invalid"}, more: []string{"users.token_epoch"}},
	"DELETE /v1/profile/sessions/{id}":        {why: isGone, again: []string{"404 not_found"}},
	"DELETE /v1/profile/consents/{client_id}": {why: isGone, again: []string{"404 not_found"}},
	"POST /v1/profile/password": {why: "the password is the new one, so that the old one is wrong", again: []string{"403 wrong_password"},
		more: []string{"users.token_epoch"}},

	"POST /consent": {why: "what was allowed is allowed; sent twice, it makes two codes, of which the browser takes the second",
		twice: true},
	"POST /oauth2/token": {why: "a code that was redeemed is refused, and its grant is revoked; the client begins anew",
		again: []string{"400 invalid_grant"}, twice: true,
		left: sqltest.Counts{"grants": 1, "grants.revoked_at": 1000000}},
}
