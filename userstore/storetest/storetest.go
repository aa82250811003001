// Package storetest tests a store against the contract of userstore.Store and keys.Store, races
// included. Every engine runs all of it.
package storetest

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// Store is the contract that an engine implements.
type Store interface {
	userstore.Store
	keys.Store
}

// Run tests the store that open returns, fresh and migrated. Tests that count rows or change rows
// of the migration get a store of their own; the others share one.
func Run(t *testing.T, open func(tb testing.TB) Store) {
	RunRaces(t, open)
	RunBounds(t, open)
	RunRest(t, open)
}

// RunRaces runs the tests of operations that happen at once, RunBounds those that fill a store up to
// its bounds, and RunRest the others: for an engine that would be too slow for one package.
func RunRaces(t *testing.T, open func(tb testing.TB) Store) { run(t, open, races) }

// RunBounds is a part of Run: see RunRaces.
func RunBounds(t *testing.T, open func(tb testing.TB) Store) { run(t, open, bounds) }

// RunRest is a part of Run: see RunRaces.
func RunRest(t *testing.T, open func(tb testing.TB) Store) { run(t, open, rest) }

// part is a part of the tests, by their names.
type part int

const (
	rest part = iota
	races
	bounds
)

func partOf(name string) part {
	switch {
	case strings.HasPrefix(name, "race: "):
		return races
	case strings.Contains(name, "bounded"):
		return bounds
	}
	return rest
}

func run(t *testing.T, open func(tb testing.TB) Store, which part) {
	tests := []struct {
		name string
		run  func(*testing.T, *fixture)
		own  bool
	}{
		{"users: what is stored comes back", userRoundTrip, false},
		{"users: email and username are each unique, and only when given", userUnique, false},
		{"users: many are created at once, except those whose names are taken", userMany, false},
		{"users: many are created with their second factors", userManyFactors, false},
		{"users: found by canonical names only", userByLogin, false},
		{"users: a change needs the version it was read with", userUpdate, false},
		{"users: pages neither skip nor repeat", userPages, true},
		{"users: found by part of a name, role and state (S-01, S-04)", userSearch, true},
		{"users: a password change is a compare-and-swap and ends other grants", userPassword, false},
		{"users: a better hash of the same password ends nothing (U-36)", upgradeHash, false},
		{"users: disabling ends grants for good", userDisable, false},
		{"users: deleting takes everything along", userDelete, false},
		{"clients: what is stored comes back", clientRoundTrip, false},
		{"clients: the first migration created the built-in one", clientFirst, true},
		{"clients: a change needs the version it was read with", clientUpdate, false},
		{"clients: pages neither skip nor repeat", clientPages, true},
		{"clients: an origin is found if a redirect URI has it", clientOrigins, false},
		{"clients: an assertion is used once, until it has expired", clientAssertions, false},
		{"dpop: a proof is used once, until it is too old", dpopProofs, false},
		{"dpop: a refresh binds the grant of a public client to its key", advanceBound, false},
		{"dpop: a code keeps its key, and its grant gets one", boundCodes, false},
		{"clients: deleting takes everything along, and the next of that id inherits nothing", clientDelete, false},
		{"clients: withdrawing takes everything along, and the next of that id inherits nothing", clientWithdraw, false},
		{"clients: disabling ends grants for good, also those of a client made again", clientDisable, false},
		{"clients: those registered for an algorithm are listed", clientAlgorithm, true},
		{"clients: the row of one with a metadata document comes with the first consent, once", rowWithConsent, false},
		{"clients: one without a row pushes requests and has devices, within one bound", withoutRow, false},
		{"login: one read sees client and user", loginView, true},
		{"login: a grant needs every condition, and nothing changes without", startGrant, false},
		{"login: a user's grants at one client are bounded, and end in order", boundedGrants, false},
		{"login: a thousand grants of one client end no other client's", boundedByClient, false},
		{"login: all of a user's grants are bounded far beyond that", boundedInAll, false},
		{"login: a user's revoked grants are bounded, the youngest stay", boundedRevoked, false},
		{"grants: what is stored comes back", grantRoundTrip, false},
		{"grants: a refresh needs every condition, and nothing changes without", advanceGrant, false},
		{"grants: late answers are counted and bounded", answerLate, false},
		{"grants: revocation, one, one of a user's, all but one", revoke, false},
		{"grants: the list shows live ones, newest first", listGrants, false},
		{"grants: expired ones go in batches, younger ones stay", removeExpired, true},
		{"throttle: attempts are counted in every budget or in none", throttleAttempts, false},
		{"throttle: a network that logged in has a budget of its own", throttleRemembers, false},
		{"throttle: allows the attempts that the rules allow", throttleAgrees, false},
		{"throttle: a block is a wider budget, of strangers", throttleBlocks, false},
		{"throttle: a block bounds what has no account, too (U-03, P-12)", throttleBlockAlone, false},
		{"throttle: expired attempts are removed in batches", throttleRemoves, true},
		{"codes: what is stored comes back", codeRoundTrip, false},
		{"codes: saved under every condition, once (A-31), and nothing changes without", saveCode, false},
		{"codes: redeemed under every condition, once (T-01), and nothing changes without", redeemCode, false},
		{"codes: a grant begins with its code, once, and goes on with it (A-31)", begunGrants, false},
		{"codes: one with which a grant began is known for longer", begunCodesStay, true},
		{"codes: void with their session, client or consent", voidCodes, false},
		{"browser sessions: one read finds the user who logs in", userForLogin, false},
		{"browser sessions: what is stored comes back, while it is live", sessionRoundTrip, false},
		{"browser sessions: a login needs every condition, and nothing changes without", startSession, false},
		{"browser sessions: a browser has one, and what came of it goes on with the same user only",
			replaceSession, false},
		{"browser sessions: a user's are bounded, the one not used for longest ends first", boundedSessions, false},
		{"browser sessions: an idle one takes no live one's place", idleSessionsTakeNoPlace, false},
		{"browser sessions: logout ends the grants that are not offline_access", endSession, false},
		{"browser sessions: the apps that a user logged in to are known after their grants", appSessionsAfterGrants, true},
		{"browser sessions: ending a user's grants ends all but the current one", endAll, false},
		{"app sessions: what is stored comes back, and is removed when the app was told", appRoundTripOfSession, true},
		{"app sessions: what ends a user's sessions tells the apps of exactly these, once", endedAppSessions, true},
		{"app sessions: an app that no server tells never waits in the outbox", untoldAppSessions, true},
		{"app sessions: none begins where the client has no logout URI", withoutAppSession, true},
		{"app sessions: a client that is gone, disabled or has no address hears nothing", unheardAppSessions, true},
		{"app sessions: bounded per browser session, per client and in all, the newest stay", boundedAppSessions, true},
		{"app sessions: a slow or dead app does not take the places of others", appSessionsInTurn, true},
		{"app sessions: expired ones are removed in batches, those that wait stay", removeExpiredAppSessions, true},
		{"app sessions: stored whatever they hold (S-01)", hostileAppSessions, true},
		{"race: logins, logouts and workers; each app is told of each session once", raceAppSessions, true},
		{"status lists: whatever ends a grant revokes its place (U-30)", placesRevoked, true},
		{"status lists: places are given once, and stay", placesKept, true},
		{"status lists: notes go when no token can need them, in batches", placesRemoved, true},
		{"status lists: everything is revoked at once", revokeAll, true},
		{"status lists: a restored store gives no place away again (F-35)", revokePlaces, true},
		{"consents: remembered, merged, listed, gone with user and client", consents, false},
		{"consents: taking one back ends codes and grants (U-40)", revokeConsent, false},
		{"codes: expired ones are removed in batches", removeCodes, true},
		{"pushed requests: what is stored comes back, and is used once (D-10)", pushedRoundTrip, false},
		{"pushed requests: disabling and deleting the client ends them (D-30)", pushedEnd, false},
		{"pushed requests: bounded per client and in all, and removed in batches (D-13)", pushedBounds, true},
		{"race: pushed requests never exceed the bound of a client, nor one use each (D-10, D-13)", racePushed, false},
		{"device authorizations: what is stored comes back, by either code, with the client of that time (D-30)",
			deviceRoundTrip, false},
		{"device authorizations: allowed with a code, or denied, once, and nothing changes without", answerDevice, false},
		{"device authorizations: a device that polls too early has to slow down", pollDevice, false},
		{"device authorizations: bounded per client and in all, and removed in batches", deviceBounds, true},
		{"device authorizations: stored whatever they hold (S-01)", hostileDevices, false},
		{"race: device authorizations never exceed the bound of a client", raceDeviceBound, false},
		{"race: of many polls at once all but one are early", raceDevicePolls, false},
		{"race: a device is answered once, and redeemed once (D-15)", raceDeviceAnswers, false},
		{"race: a device is allowed while what it depends on ends (D-15, D-30)", raceDeviceEnds, false},
		{"registration: a token is used with the client that is stored, or not at all (R-01)", registrationTokens, false},
		{"registration: tokens by pages, and removed in batches when they have ended", registrationTokenPages, true},
		{"registration: a client that was never used is deleted, any other stays (R-12)", unusedClients, true},
		{"race: registrations never pass the uses of a token (R-01)", raceRegistrations, false},
		{"race: an unused client is used while it is deleted (R-12)", raceUnused, false},
		{"recovery: every way into an account ends but the password with its factors (F-35)", endAccess, true},
		{"recovery: nothing that was mailed brings a factor back (F-35)", endAccessUndone, false},
		{"recovery: what waits for a next step is forgotten (F-35)", forgetWaiting, true},
		{"subjects: the first one stays, for every sector, until the user is deleted", subjectsRoundTrip, false},
		{"subjects: a code and its grant keep theirs", subjectsKept, false},
		{"subjects: bounded for each user", subjectsBounded, false},
		{"race: many ask for one subject, and all get the same", raceSubjects, false},
		{"audit: what is stored comes back, and once", auditRoundTrip, false},
		{"audit: pages by any conditions, newest first, neither skip nor repeat", auditPages, true},
		{"audit: old events go in batches, the oldest first", auditRemoves, true},
		{"audit: an event is stored whatever it holds (S-01)", auditHostile, true},
		{"audit: every operation that happened has its entries once", operationsRecord, false},
		{"audit: of many users the created ones have entries", createUsersRecords, false},
		{"audit: entries without an attempt, and without a grant to revoke", recordsWithoutChange, false},
		{"race: of many revocations of a grant, one has an entry", raceRecord, false},
		{"outbox: a stored message comes back, and is removed when it was accepted", outboxRoundTrip, true},
		{"outbox: a message whose lease has ended can be claimed again", outboxLeases, true},
		{"outbox: pages neither skip nor repeat, and untried messages go first", outboxOrder, true},
		{"outbox: every operation that happened sends its messages once (P-15)", operationsSend, true},
		{"outbox: a message is stored whatever it holds (S-01)", outboxHostile, true},
		{"race: while leases hold, no message is claimed by two workers (P-15)", raceOutbox, true},
		{"one-time tokens: requests have budgets and count tries, whoever made them (P-01)", mailRequests, true},
		{"one-time tokens: messages of other operations have budgets, too (P-12)", mailRoom, true},
		{"one-time tokens: what is stored comes back; a newer one ends the older (U-28)", oneTimeTokens, true},
		{"one-time tokens: what happens to the account ends them (U-27, U-28, P-13)", endedTokens, false},
		{"one-time tokens: redeemed under every condition, once, and nothing changes without (U-28)",
			redeemTokens, false},
		{"one-time tokens: which invitations are open, and until when", openInvitations, false},
		{"race: many redemptions of one token, one wins (P-02)", raceTokens, false},
		{"race: a reset against what ends tokens, and a login (P-02, P-13)", raceTokensEnd, false},
		{"race: requests never exceed the budget of an address, nor codes their tries (P-01)", raceMailRequests, true},
		{"pending sign-ups: what is stored comes back, whoever has the address, and ends (U-03, S-01)",
			pendingSignups, true},
		{"pending sign-ups: a newer token ends the older, and no other sign-up's (P-03)", signupTokens, false},
		{"pending sign-ups: the proof makes the account under every condition, once, or nothing changes",
			provedUsers, false},
		{"race: proofs of one address, and an operator's account with it, make one account (P-02, U-12)",
			raceProvedUsers, false},
		{"race: a form that is sent many times at once is one sign-up (U-12)", raceSignups, false},
		{"changes of address: begun for every address alike, with a proof that still holds (U-27)",
			beginAddressChange, true},
		{"changes of address: confirmed under every condition, once, and nothing changes without (U-27, P-13)",
			confirmAddressChange, true},
		{"changes of address: undone under every condition; the oldest address wins (P-11)", undoAddressChange, true},
		{"changes of address: the address before is reserved (P-11)", reservedAddresses, true},
		{"race: many confirm one change, or want the address before (P-02, P-11)", raceAddressChanges, true},
		{"race: undoings and changes at once; the oldest address wins (P-02, P-11)", raceUndoings, true},
		{"second factors: an authenticator app comes back, and counts once it is confirmed", appRoundTrip, false},
		{"second factors: a setup needs an enabled user and the version that was read", beginAppRefused, false},
		{"second factors: a passkey comes back, and is found by its credential", passkeyRoundTrip, false},
		{"second factors: hostile strings in every parameter (S-01, S-03)", hostileFactors, false},
		{"second factors: a change needs every condition, and nothing changes without", changeFactorsRefused, false},
		{"second factors: an operator removes those of a disabled user", changeFactorsOfDisabled, false},
		{"second factors: recovery codes go with the last one, and each change makes a version", recount, false},
		{"second factors: passkeys are bounded, and no credential is stored twice", boundedPasskeys, false},
		{"second factors: a change ends what it says, and all trusted browsers", changeFactorsEnds, false},
		{"second factors: each use happens once, whole or not at all (P-07, P-08, P-09)", useFactor, false},
		{"second factors: wrong codes are counted, and a right one takes them back", wrongCodes, false},
		{"second factors: what was used once is forgotten when it has ended, in batches", removeHandles, true},
		{"second factors: deleting a user takes everything along", deleteWithFactors, false},
		{"second factors: no login without the second step, and nothing changes without (P-05, P-10)",
			secondFactorGate, false},
		{"second factors: what a session proved comes back", provedRoundTrip, false},
		{"second factors: a change by a session keeps its proofs, and no other's", proofsAfterChange, false},
		{"second factors: a new password by a session keeps its proofs, and no other's", passwordOfProofs, false},
		{"second factors: the first proof of an address removes them, other redemptions do not (P-03)",
			redeemedFactors, false},
		{"second factors: with a new address, whose go and who shows one (P-03, P-04)", vouchedFactors, false},
		{"second factors: an undo removes what came since (P-11)", undoneFactors, false},
		{"second factors: a new address or password leaves them (P-04)", addressKeepsFactors, false},
		{"second factors: a message opens no account without them (P-04)", mailedFactors, false},
		{"second factors: the message about a new one removes it (P-04)", addedFactors, false},
		{"second factors: an undo asks for those from before (P-04)", undoneWithFactors, false},
		{"second factors: what was removed since is shown at an undo, and comes back (P-04, P-11)", retiredFactors, false},
		{"second factors: what ends that for good (P-04)", forgottenFactors, true},
		{"trusted browsers: what is stored comes back, until it ends", trustRoundTrip, false},
		{"trusted browsers: what changes the account ends them", endedTrust, false},
		{"trusted browsers: ended one by one, or all", endTrust, false},
		{"trusted browsers: a user's are bounded, the newest stay", boundedTrust, false},
		{"browser sessions: what only adds to one starts none without it", continuedSession, false},
		{"race: what may be used once is used once, by whichever login (P-07, P-08, P-09, P-10)", raceFactors, false},
		{"race: no login outlives a change of the factors that it rests on (P-05)", raceFactorChange, false},
		{"race: passkeys that are stored at once share a handle and keep the bound", racePasskeys, false},
		{"race: of many setups of an app one waits, and one code confirms it (P-07)", raceSetups, false},
		{"race: the first factor, and an operator who changes the address (P-03, P-04)", raceVouched, false},
		{"race: an undo, and those who remove the factors that it asks for (P-04, P-11)", raceRetired, false},
		{"race: wrong codes never exceed their number", raceWrongCodes, false},
		{"race: no login skips the second factor once the trust has ended", raceTrust, false},
		{"race: operations on second factors of every kind at once", raceEverything, false},
		{"admins: the last one stays", lastAdmin, true},
		{"race: admins who remove each other leave one (O-09)", raceAdmins, true},
		{"users: an edit does not undo a disabling, and may disable", disabledStays, false},
		{"time: any zone, microseconds, no instant, far years", instants, false},
		{"the database's clock and Ping", clock, false},
		{"key ring: what is stored comes back", ringRoundTrip, true},
		{"key ring: a change needs the version it was planned for, whole or not at all", ringConflict, true},
		{"key ring: a ring without a factor secret gets one", ringWithoutFactorSecret, true},
		{"race: many sign-ups of one address make one user (U-12)", raceSignup, true},
		{"race: imports of one file at once make each user once", raceMany, false},
		{"race: many refreshes of one generation, one wins", raceAdvance, false},
		{"race: edits of one user lose nothing", raceUpdate, false},
		{"race: logins of one user all succeed (U-16)", raceLogin, false},
		{"race: refresh and login against operations that end grants (T-24)", raceEnd, false},
		{"race: late answers never exceed their number", raceLate, false},
		{"race: a session that makes room for another has an entry, also when it is refreshed at that moment",
			raceBounds, false},
		{"race: changes of one key ring version, one wins", raceRing, true},
		{"race: one request begins one grant, and one redemption goes on with it (A-31, T-04)", raceBegin, false},
		{"race: many redemptions of one code, one inserts its grant (T-04)", raceRedeem, false},
		{"race: codes against operations that make them void", raceVoid, false},
		{"race: logins at the pages against each other and against logout", raceSessions, false},
		{"race: simultaneous consents are all stored", raceConsents, false},
		{"race: many uses of one assertion, one counts", raceAssertions, false},
		{"race: many uses of one proof, one counts", raceProofs, false},
		{"race: edits of one client lose nothing, and a client made again inherits nothing", raceClients, false},
		{"race: several remove expired grants at once", raceRemove, true},
		{"race: attempts never exceed a budget (U-15)", raceReserve, false},
		{"race: right attempts all pass (U-16)", raceRight, false},
		{"race: attempts never exceed the budget of a block (U-15)", raceBlock, false},
		{"S-01 hostile strings in every parameter", hostileStrings, true},
		{"S-03 huge and unstorable values are refused before the driver", unstorable, true},
	}
	shared := open(t)
	for _, test := range tests {
		if partOf(test.name) != which {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			store := shared
			if test.own {
				store = open(t)
			}
			test.run(t, &fixture{Store: store, now: base})
		})
	}
}
