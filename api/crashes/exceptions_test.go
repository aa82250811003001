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
	// left is what such a request must have left in the end, beside what it did at first, by its answer.
	left map[string]sqltest.Counts
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
	twoMade     = "what is asked for twice is made twice; the one that nobody was told of ends by itself, or is seen and ended"
	doneTwice   = "it is done once more, and recorded once more; what holds in the end is the same"
	usedUp      = "a link or code works once: what it was for is done, and the answer says that it was used"
	isGone      = "what the request ends has ended: there is nothing left to end, or to end it with"
	proofEnded  = "the factors are other ones, and the proof that the request came with was of those before"
	codeFirst   = "the code of the mailbox is spent before what it opens begins, or guesses were free: the person asks for another"
	setUpFirst  = "the factor is set up, and the login ends with the next statement: the person begins again, with the factor"
	stepFirst   = "the answer of a factor is used up before the session begins: the person gives another"
)

var (
	tokenEpoch = []string{"users.token_epoch"} // it ends the links that wait in a user's mail
	version    = []string{"clients.version"}   // it counts the edits of a client, the repeated ones too
)

var exceptions = map[string]exception{
	"POST /v1/signup": {
		why: "the address is taken, by the client's own account: it logs in. A message is counted for its " +
			"address before the account is made: repeated within a minute, none follows, and the person asks for one",
		again: []string{"409 user_already_exists"},
		twice: true,
		more:  []string{"outbox"},
	},
	"POST /v1/login": {why: twoLogins, twice: true},
	"POST /login":    {why: twoLogins + "; a passkey's answer is used up", twice: true, again: []string{"403"}},
	"POST /signup": {
		why:     "the account is made and then its session: without that the page leads to the login",
		twice:   true,
		goesOn:  "303 /login",
		several: true,
	},

	"POST /v1/password/forgot":    {why: twoMessages, twice: true},
	"POST /v1/email/verification": {why: twoMessages, twice: true},
	"POST /forgot":                {why: twoMessages, twice: true},

	"POST /v1/password/reset":        {why: usedUp, again: []string{"400 one_time_token_invalid"}},
	"POST /v1/password/reset/second": {why: usedUp, again: []string{"400 one_time_token_invalid"}},
	"POST /v1/profile/email":         {why: doneTwice, twice: true},
	"POST /v1/email/verify": {
		why:   usedUp + "; it ends every pending sign-up of the address, of which there are two where one was sent twice",
		again: []string{"400 one_time_token_invalid"},
		more:  []string{"pending_signups"},
	},
	"POST /v1/profile/email/confirm": {why: usedUp, again: []string{"400 one_time_token_invalid"}},
	"POST /reset":                    {why: usedUp, again: []string{"400"}},
	"POST /change":                   {why: usedUp, again: []string{"400"}},
	"POST /undo":                     {why: usedUp, again: []string{"400"}},
	"POST /factor-undo":              {why: usedUp, again: []string{"400"}},
	"POST /verify": {
		why: usedUp + "; the account is made and then its session: without that the page says that the " +
			"address is proved",
		again:   []string{"400"},
		goesOn:  "303 /verify",
		several: true,
		twice:   true,
	},

	"POST /v1/logout":                         {why: isGone, again: []string{"401 token_invalid"}, more: tokenEpoch},
	"DELETE /v1/profile":                      {why: isGone, again: []string{"401 token_invalid"}, more: tokenEpoch},
	"DELETE /v1/profile/sessions/{id}":        {why: isGone, again: []string{"404 not_found"}},
	"DELETE /v1/profile/consents/{client_id}": {why: isGone, again: []string{"404 not_found"}},
	"POST /v1/profile/password": {
		why:   "the password is the new one, so that the old one is wrong",
		again: []string{"403 wrong_password"},
		more:  tokenEpoch},
	"POST /account/password": {why: "the password is the new one, so that the old one is wrong", again: []string{"403"},
		more: tokenEpoch},
	"POST /account/delete":   {why: isGone, again: []string{"303 /login"}},
	"POST /account/address":  {why: doneTwice, twice: true},
	"POST /account/sessions": {why: doneTwice, twice: true, more: tokenEpoch},
	"GET /oauth2/logout": {
		why:   "the session has ended, so that the page asks nothing of it; apps are told by the back channel",
		again: []string{"303", "303 /logout"},
	},
	"POST /oauth2/logout": {
		why:   "the session has ended, so that the page asks nothing of it; apps are told by the back channel",
		again: []string{"303", "303 /logout"},
	},

	"POST /consent": {
		why: "what was allowed is allowed; sent twice, it makes two codes, of which the browser takes the " +
			"second. A client of a metadata document is kept before, and kept alone it may do nothing",
		twice:   true,
		several: true,
	},
	"GET /oauth2/authorize":  {why: twoMade, twice: true},
	"POST /oauth2/authorize": {why: twoMade, twice: true},
	"POST /oauth2/par":       {why: twoMade, twice: true},
	"POST /oauth2/device":    {why: twoMade, twice: true},
	"POST /oauth2/register": {
		why:   twoMade + "; an initial access token that was for one client is used up",
		twice: true,
		again: []string{"401 invalid_token"},
	},
	"DELETE /oauth2/register/{client_id}": {why: isGone + "; what the client has goes before it", several: true,
		again: []string{"401 invalid_token"}},
	"POST /oauth2/token": {
		why: "a code that was redeemed is refused, and its grant is revoked; the client begins anew. A poll " +
			"that was counted makes the next one too early, also the repetition of its statement",
		again:  []string{"400 invalid_grant", "400 slow_down"},
		goesOn: "400 slow_down",
		twice:  true,
		left:   map[string]sqltest.Counts{"400 invalid_grant": {"grants": 1, "grants.revoked_at": 1000000}},
	},

	"POST /v1/login/totp":          {why: stepFirst, again: []string{"401 invalid_code"}},
	"POST /v1/login/recovery-code": {why: stepFirst, again: []string{"401 invalid_code"}},
	"POST /v1/login/passkey":       {why: stepFirst, again: []string{"401 login_expired"}},
	"POST /v1/passkey/login":       {why: stepFirst, again: []string{"401 login_expired"}},
	"POST /login/second": {
		why:   stepFirst + "; a session that is raised gets another cookie",
		again: []string{"403", "303 /login"},
	},
	"POST /v1/profile/prove": {
		why:   stepFirst,
		again: []string{"400 one_time_token_invalid", "401 invalid_code"},
	},
	"POST /v1/login/setup/totp": {
		why:     codeFirst,
		again:   []string{"400 one_time_token_invalid"},
		several: true,
	},
	"POST /v1/login/setup/passkeys/options": {
		why:     codeFirst,
		again:   []string{"400 one_time_token_invalid"},
		several: true,
	},
	"POST /v1/login/setup/totp/confirm": {why: setUpFirst, again: []string{"401 login_expired"}, several: true},
	"POST /v1/login/setup/passkeys":     {why: setUpFirst, again: []string{"401 login_expired"}, several: true},
	"POST /login/setup": {
		why:     codeFirst + "; " + setUpFirst,
		again:   []string{"400", "403"},
		several: true,
	},

	"POST /v1/profile/factors/totp/confirm":            {why: proofEnded, again: []string{"401 recent_proof_required"}},
	"DELETE /v1/profile/factors/totp":                  {why: proofEnded, again: []string{"401 recent_proof_required"}},
	"POST /v1/profile/factors/passkeys":                {why: proofEnded, again: []string{"401 invalid_code"}},
	"DELETE /v1/profile/factors/passkeys/{id}":         {why: proofEnded, again: []string{"401 recent_proof_required"}},
	"POST /v1/profile/factors/recovery-codes":          {why: proofEnded, again: []string{"401 recent_proof_required"}},
	"DELETE /v1/profile/factors/trusted-browsers/{id}": {why: isGone, again: []string{"404 not_found"}},
	"POST /account/authenticator": {
		why:     codeFirst + "; " + proofEnded,
		again:   []string{"400", "403", "409"},
		several: true,
	},
	"POST /account/passkeys": {
		why:   codeFirst + "; " + proofEnded,
		again: []string{"400", "409"},
	},
	"POST /account/codes": {
		why:   doneTwice + ": the codes on the page are the last",
		twice: true,
	},

	"POST /v1/admin/users": {
		why:   "the account is there",
		again: []string{"409 user_already_exists"},
	},
	"POST /v1/admin/users/{id}/password":           {why: doneTwice, twice: true, more: tokenEpoch},
	"POST /v1/admin/users/{id}/invite":             {why: twoMessages, twice: true},
	"DELETE /v1/admin/users/{id}":                  {why: isGone, again: []string{"404 not_found"}, more: tokenEpoch},
	"DELETE /v1/admin/users/{id}/sessions":         {why: doneTwice, twice: true, more: tokenEpoch},
	"DELETE /v1/admin/users/{id}/sessions/{sid}":   {why: isGone, again: []string{"404 not_found"}},
	"DELETE /v1/admin/users/{id}/factors/{factor}": {why: isGone, again: []string{"404 not_found"}},
	"POST /v1/admin/clients": {
		why:   "the client is there",
		again: []string{"409 client_already_exists"},
	},
	"POST /v1/admin/clients/{client_id}/secret": {
		why:   doneTwice + ": the secret is the last one",
		twice: true,
		more:  version,
	},
	"DELETE /v1/admin/clients/{client_id}": {
		why:     isGone + "; the client is disabled, and what it has goes before it",
		several: true,
		again:   []string{"404 not_found"},
		more:    version,
	},
	"POST /v1/admin/registration-tokens":        {why: twoMade, twice: true},
	"DELETE /v1/admin/registration-tokens/{id}": {why: isGone, again: []string{"404 not_found"}},
}
