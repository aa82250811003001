// Package keys owns what Signet signs with: the keys, their life, and the secret
// behind refresh tokens.
//
// A key is a row with five instants, and its state is a function of them and the
// clock (key.go). So replicas agree without talking: nobody "activates" a key,
// time does. What has to be written — a successor, an earlier end, a revocation,
// a wiped private half — is planned by one pure function (plan.go, with the
// arithmetic of schedule.go) and applied as one compare-and-swap on the version of
// the ring (change.go); whoever loses the race reads the winner's rows and plans
// again.
//
//	            Run, each second                  a request
//	                  │                               │
//	Store ──poll──▶ Ring ──newSet──▶ Set ◀─pointer─ Manager ──▶ Signer, JWKS, …
//	  ▲               │ plan (clock, Policy)                    no lock, no I/O
//	  └──ChangeRing── Change ◀── Rotate, Revoke, Start
//
// What makes it safe is how long things take. A key is published for
// Policy.Propagation before it signs, and stays published until all that it signed
// has expired. A replica that has not read the ring for the stale limit, or whose
// clock is off, signs nothing; one that has not read it for so long that another
// could sign with a key it does not know publishes nothing either (manager.go).
// Both are judged in the call itself, so a replica that was frozen is as careful as
// one that was cut off. While its clock and the database's disagree, either may be the
// wrong one: it publishes what either would publish, and changes nothing. A change is
// prepared beside the polls, because RSA keys take long, and a command plans with the
// durations that the servers have stored with the ring (parameters.go).
//
// The invariant that keys_test drives: no token that was valid when issued ever
// fails verification before its exp, and no verifier ever meets a kid that it
// could not have had — unless its key was revoked, or the only propagated key was.
//
// Tokens themselves are internal/jose's and issuer's affair, rows the store's.
package keys
