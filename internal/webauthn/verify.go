package webauthn

import (
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	library "github.com/go-webauthn/webauthn/webauthn"
)

// Assertion is what a response says about itself. Nothing of it is verified.
type Assertion struct {
	CredentialID, Challenge []byte
	UserHandle              []byte // nil if the authenticator left it out
}

// Proof is what a verified response proves besides the possession of the passkey, to be stored with
// the credential.
type Proof struct {
	SignCount uint32
	BackedUp  bool
	Origin    string // the page or app that asked for it
}

// Parse reads an AuthenticationResponseJSON, so that the caller can find the credential. It
// verifies nothing.
//
// When no credentials were allowed, the user is known only by the passkey: the response must then
// have a user handle (section 7.2 step 6), and the caller refuses one without.
func (rp *RelyingParty) Parse(response json.RawMessage) (Assertion, error) {
	parsed, client, err := parseAssertion(response)
	if err != nil {
		return Assertion{}, err
	}
	return Assertion{CredentialID: parsed.RawID, UserHandle: parsed.Response.UserHandle, Challenge: client.challenge}, nil
}

// Verify verifies an AuthenticationResponseJSON for a challenge of RequestOptions (section 7.2)
// with the credential that it names. It refuses a user handle other than the credential's.
//
// An ErrResponse is the client's fault, and so is an ErrCounter. Any other error means that the
// challenge is too short.
func (rp *RelyingParty) Verify(challenge []byte, response json.RawMessage, c Credential) (Proof, error) {
	if err := checkChallenge(challenge); err != nil {
		return Proof{}, err
	}
	parsed, client, err := parseAssertion(response)
	if err != nil {
		return Proof{}, err
	}
	if err := rp.checkClientData(client, protocol.AssertCeremony, challenge); err != nil {
		return Proof{}, err
	}
	user := owner{handle: c.UserHandle, credentials: []library.Credential{{
		ID: c.ID, PublicKey: c.PublicKey,
		Flags:         library.CredentialFlags{BackupEligible: c.BackupEligible, BackupState: c.BackedUp},
		Authenticator: library.Authenticator{AAGUID: c.AAGUID, SignCount: c.SignCount},
	}}}
	session := library.SessionData{Challenge: encode(challenge), UserID: c.UserHandle,
		UserVerification: protocol.VerificationRequired, AllowedCredentialIDs: [][]byte{c.ID}}
	used, err := rp.ceremonies.ValidateLogin(user, session, parsed)
	if err != nil {
		return Proof{}, refused(err)
	}
	// Authenticators that keep no counter, as all that sync, always send 0. Once one of the two
	// numbers is not 0, each must be greater than the one before (section 7.2 step 22).
	if used.Authenticator.CloneWarning {
		return Proof{}, fmt.Errorf("%w: %d after %d", ErrCounter, parsed.Response.AuthenticatorData.Counter, c.SignCount)
	}
	return Proof{SignCount: used.Authenticator.SignCount, BackedUp: used.Flags.BackupState, Origin: client.Origin}, nil
}

func parseAssertion(response json.RawMessage) (*protocol.ParsedCredentialAssertionData, *clientData, error) {
	c, err := read[assertionResponse](response)
	if err != nil {
		return nil, nil, err
	}
	client, err := readClientData(c.Response.ClientDataJSON)
	if err != nil {
		return nil, nil, err
	}
	var checked protocol.CredentialAssertionResponse
	checked.ID, checked.RawID, checked.Type = c.ID, c.id, c.Type
	to := &checked.AssertionResponse
	to.ClientDataJSON = client.raw
	if to.AuthenticatorData, err = member("authenticatorData", c.Response.AuthenticatorData); err != nil {
		return nil, nil, err
	}
	if to.Signature, err = member("signature", c.Response.Signature); err != nil {
		return nil, nil, err
	}
	// Some clients write an empty user handle for none.
	if h := c.Response.UserHandle; h != nil && *h != "" {
		if to.UserHandle, err = member("userHandle", *h); err != nil {
			return nil, nil, err
		}
	}
	parsed, err := checked.Parse()
	if err != nil {
		return nil, nil, refused(err)
	}
	return parsed, client, nil
}

// owner is the user whom the library asks for. It has the one credential that is to be verified.
type owner struct {
	handle      []byte
	credentials []library.Credential
}

func (o owner) WebAuthnID() []byte                        { return o.handle }
func (o owner) WebAuthnName() string                      { return "" }
func (o owner) WebAuthnDisplayName() string               { return "" }
func (o owner) WebAuthnCredentials() []library.Credential { return o.credentials }
