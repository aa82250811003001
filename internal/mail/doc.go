// Package mail sends messages to people. No other package uses the mail library.
//
//	an operation → a row of the outbox (userstore) → Worker → Composer → Letter → Way: SMTP or Files
//
// A Worker of any replica claims a row under a lease (package delivery), the Composer makes a
// Letter of it in the user's language, and a Way delivers the letter. A letter that cannot be sent
// is tried again with growing pauses until the message ends, and is then given up. No request waits
// for any of this.
//
// A header cannot be forged: a Letter consists of types that only their constructors make, and the
// constructors refuse text that is not one line. The address is the only text in a letter that a
// stranger typed. There is no tracking, and a letter loads no picture from the network.
package mail
