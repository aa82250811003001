// Package webauthn registers passkeys and verifies them (WebAuthn Level 3). It is the only package
// that uses the WebAuthn library. It holds no state: it has no store, no HTTP, no clock and no
// source of random bytes. The caller makes the challenges, decides when a challenge ends, sees to
// it that each is used once, and stores the credentials.
//
//	relying_party.go  the issuer → RP id and origins, and which issuers have no passkeys
//	options.go        a challenge → the options for navigator.credentials.create() and get()
//	response.go       the response of the browser → its members, strictly; Challenge, Parse
//	register.go       a response of create() → a Credential to store (section 7.1)
//	verify.go         a response of get() and its Credential → a Proof (section 7.2)
//
// A passkey is a discoverable credential that verified its user by a PIN or a biometric. Both are
// required every time, so that a passkey alone is two factors.
//
// A login goes like this:
//
//	RequestOptions(challenge) → browser → response
//	Parse(response)           → credential id, user handle, challenge: all of them unverified
//	    the caller checks that the challenge is its own, and finds the credential by its id
//	Verify(challenge, response, credential) → Proof, or ErrResponse, or ErrCounter
//
// The library parses leniently what comes from a stranger: duplicate members, names in another
// case, padded base64, origins with a path. This package therefore reads the response and the
// client data itself first, and hands the library only the members that it checked. The library
// decodes CBOR, verifies signatures and compares the flags of the authenticator.
//
// Attestation is not requested and never trusted: a passkey of any make is welcome, and no
// certificate is read. docs/decisions/passkeys.md has the reasons.
package webauthn
