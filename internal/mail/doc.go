// Package mail sends messages to people. It is the one door to the mail library.
//
//	an act → a row of the outbox (userstore) → Worker → Composer → Letter → Way: SMTP or Files
//
// A Worker of any replica takes a row by a lease, the Composer makes a Letter of it in the user's language, and a
// Way takes the letter away. What cannot be sent is tried again with growing waits for as long as it is of use, then
// given up. No request waits for any of this.
//
// A header cannot be forged: a Letter consists of types that only their constructors make, and the constructors
// refuse whatever does not fit on one line. Nothing that a stranger typed is in a letter but the address itself.
// There is no tracking, and no picture is loaded from anywhere.
package mail
