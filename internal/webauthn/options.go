package webauthn

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// Credential is what is stored of a passkey. Its UserHandle is the one of the user whom the passkey
// belongs to.
type Credential struct {
	ID, PublicKey, AAGUID []byte // the key is in COSE form (RFC 9052 section 7)
	UserHandle            []byte
	SignCount             uint32
	BackupEligible        bool // whether it can be synced; this never changes
	BackedUp              bool
	Transports            []string // how clients may reach the authenticator, as they said
}

// algorithms are the ones that section 5.4 recommends to offer, which every authenticator has one
// of. ES256 comes first: it is what secure hardware makes.
var algorithms = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
}

// CreationOptions returns a PublicKeyCredentialCreationOptionsJSON: what
// PublicKeyCredential.parseCreationOptionsFromJSON takes. An authenticator that holds one of the
// excluded credentials makes no second one. The user handle is random and says nothing about the
// user.
func (rp *RelyingParty) CreationOptions(challenge, userHandle []byte, name, displayName string,
	exclude []Credential, timeout time.Duration) (json.RawMessage, error) {
	if err := checkChallenge(challenge); err != nil {
		return nil, err
	}
	if n := len(userHandle); n < protocol.MinimumUserHandleLength || n > protocol.MaximumUserHandleLength {
		return nil, errors.New("a user handle has 1 to 64 bytes")
	}
	return json.Marshal(protocol.PublicKeyCredentialCreationOptions{
		RelyingParty: protocol.RelyingPartyEntity{CredentialEntity: protocol.CredentialEntity{Name: rp.name}, ID: rp.id},
		User: protocol.UserEntity{
			CredentialEntity: protocol.CredentialEntity{Name: name},
			DisplayName:      displayName,
			ID:               protocol.URLEncodedBase64(userHandle),
		},
		Challenge:             challenge,
		Parameters:            algorithms,
		Timeout:               int(timeout.Milliseconds()),
		CredentialExcludeList: descriptors(exclude),
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			RequireResidentKey: protocol.ResidentKeyRequired(), // for clients of Level 1
			UserVerification:   protocol.VerificationRequired,
		},
		Attestation: protocol.PreferNoAttestation,
	})
}

// RequestOptions returns a PublicKeyCredentialRequestOptionsJSON: what
// PublicKeyCredential.parseRequestOptionsFromJSON takes. Without credentials to allow, the user
// chooses any passkey of this relying party.
func (rp *RelyingParty) RequestOptions(challenge []byte, allow []Credential, timeout time.Duration) (
	json.RawMessage, error) {
	if err := checkChallenge(challenge); err != nil {
		return nil, err
	}
	return json.Marshal(protocol.PublicKeyCredentialRequestOptions{
		Challenge:          challenge,
		Timeout:            int(timeout.Milliseconds()),
		RelyingPartyID:     rp.id,
		AllowedCredentials: descriptors(allow),
		UserVerification:   protocol.VerificationRequired,
	})
}

// checkChallenge refuses a challenge that could be guessed (section 13.4.3), above all an empty
// one.
func checkChallenge(challenge []byte) error {
	if len(challenge) < protocol.MinimumChallengeLength {
		return errors.New("webauthn: a challenge has at least 16 bytes")
	}
	return nil
}

func descriptors(credentials []Credential) []protocol.CredentialDescriptor {
	var list []protocol.CredentialDescriptor
	for _, c := range credentials {
		d := protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: c.ID}
		for _, t := range c.Transports {
			d.Transport = append(d.Transport, protocol.AuthenticatorTransport(t))
		}
		list = append(list, d)
	}
	return list
}
