// Package keys owns the signing keys of Signet, their life, the secret behind refresh tokens and the
// secret behind second factors.
//
// A key is a row with five instants, and its state is a function of them and the clock (key.go). So
// replicas agree without talking: a key activates by time alone. Everything that has to be written
// — a successor, an earlier end, a revocation, a wiped private half — is planned by one pure
// function (plan.go, with the arithmetic of schedule.go) and applied as one compare-and-swap on the
// version of the ring (change.go). A replica that loses the race reads the winner's rows and plans
// again.
//
//	            Run, each second                  a request
//	                  │                               │
//	Store ──poll──▶ Ring ──newSet──▶ Set ◀─pointer─ Manager ──▶ Signer, JWKS, …
//	  ▲               │ plan (clock, Policy)                    no lock, no I/O
//	  └──ChangeRing── Change ◀── Rotate, Revoke, Start
//
// Safety comes from durations. A key is published for Policy.Propagation before it signs, and stays
// published until everything that it signed has expired. A replica that has not read the ring for
// the stale limit, or whose clock is off, signs nothing; a replica that has not read it for so long
// that another could sign with a key it does not know publishes nothing either (manager.go). Each
// call checks both, so a replica that was frozen is as careful as one that was cut off. While a
// replica's clock and the database's disagree, either may be the wrong one: the replica publishes
// what either would publish, and changes nothing. A change is prepared beside the polls, because
// RSA keys take long to make, and a command plans with the durations that the servers have stored
// with the ring (parameters.go).
//
// The tests hold one invariant: no token that was valid when issued ever fails verification before
// its exp, and no verifier ever meets a kid that it could not have had — unless its key was
// revoked, or the only propagated key was.
//
// Tokens belong to internal/jose and issuer, rows to the store.
package keys
