package webauthn

import (
	"encoding/json"
	"math/big"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	library "github.com/go-webauthn/webauthn/webauthn"
)

// Register verifies a RegistrationResponseJSON for a challenge of CreationOptions (section 7.1) and
// returns the credential to store, without UserHandle. The caller checks that its ID is new: no
// other user may have registered it (step 26).
//
// An ErrResponse is the client's fault. Any other error means that the challenge is too short.
func (rp *RelyingParty) Register(challenge []byte, response json.RawMessage) (Credential, error) {
	if err := checkChallenge(challenge); err != nil {
		return Credential{}, err
	}
	parsed, err := rp.parseAttestation(challenge, response)
	if err != nil {
		return Credential{}, err
	}
	object := &parsed.Response.AttestationObject
	if err := checkAttestation(object); err != nil {
		return Credential{}, err
	}
	// Before the library verifies the key's signature over itself.
	if err := checkKey(object.AuthData.AttData.CredentialPublicKey); err != nil {
		return Credential{}, err
	}
	session := library.SessionData{Challenge: encode(challenge), UserVerification: protocol.VerificationRequired,
		CredParams: algorithms}
	made, err := rp.ceremonies.CreateCredential(owner{}, session, parsed)
	if err != nil {
		return Credential{}, refused(err)
	}
	return Credential{
		ID: made.ID, PublicKey: made.PublicKey, AAGUID: made.Authenticator.AAGUID,
		SignCount:      made.Authenticator.SignCount,
		BackupEligible: made.Flags.BackupEligible, BackedUp: made.Flags.BackupState,
		Transports: transports(parsed.Response.Transports),
	}, nil
}

func (rp *RelyingParty) parseAttestation(challenge []byte, response json.RawMessage) (
	*protocol.ParsedCredentialCreationData, error) {
	c, err := read[attestationResponse](response)
	if err != nil {
		return nil, err
	}
	var checked protocol.CredentialCreationResponse
	checked.ID, checked.RawID, checked.Type = c.ID, c.id, c.Type
	client, err := readClientData(c.Response.ClientDataJSON)
	if err != nil {
		return nil, err
	}
	if err := rp.checkClientData(client, protocol.CreateCeremony, challenge); err != nil {
		return nil, err
	}
	to := &checked.AttestationResponse
	to.ClientDataJSON, to.Transports = client.raw, c.Response.Transports
	if to.AttestationObject, err = member("attestationObject", c.Response.AttestationObject); err != nil {
		return nil, err
	}
	parsed, err := checked.Parse()
	if err != nil {
		return nil, refused(err)
	}
	return parsed, nil
}

// checkAttestation takes the two statements that a client sends when none is requested (section
// 5.1.3): none, and the packed one that the new key signed itself, which the library verifies. Any
// other would have to be refused as not trustworthy (section 7.1 step 24), because no maker is
// trusted here. It is refused before the library reads the certificates of a stranger.
func checkAttestation(a *protocol.AttestationObject) error {
	_, certified := a.AttStatement["x5c"]
	_, anonymous := a.AttStatement["ecdaaKeyId"]
	switch format := protocol.AttestationFormat(a.Format); {
	case format == protocol.AttestationFormatNone, format == protocol.AttestationFormatPacked && !certified && !anonymous:
		return nil
	}
	return refuse("it has an attestation of the format %.50q, and none was requested", a.Format)
}

const (
	maxKey           = 1024 // bytes in COSE form; RSA with 4096 bits needs about 530
	minRSA, maxRSA   = 2048, 4096
	maxTransports    = 8
	maxTransportName = 32
)

// checkKey refuses a key of another algorithm than those that were offered, and a key that could be
// stored but not verify anything later: a point that is not on its curve, a type that is not the
// algorithm's, an RSA key that is weak. An RSA key that fills a response would take 18 seconds for
// each signature. The library looks at no more than the algorithm before it verifies a signature.
func checkKey(key []byte) error {
	if len(key) > maxKey {
		return refuse("its public key has %d bytes", len(key))
	}
	parsed, err := webauthncose.ParsePublicKey(key)
	if err != nil {
		return refused(err)
	}
	switch k := parsed.(type) {
	case webauthncose.EC2PublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgES256) {
			return nil
		}
	case webauthncose.OKPPublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgEdDSA) {
			return nil
		}
	case webauthncose.RSAPublicKeyData:
		n := new(big.Int).SetBytes(k.Modulus)
		e, err := webauthncose.ParseRSAPublicKeyDataExponent(&k)
		if err != nil || e < 3 || e&1 == 0 || e > 1<<31-1 || n.Bit(0) == 0 || n.BitLen() < minRSA || n.BitLen() > maxRSA {
			return refuse("its RSA key is unfit: %d bits, exponent %d", n.BitLen(), e)
		}
		if k.Algorithm == int64(webauthncose.AlgRS256) {
			return nil
		}
	}
	return refuse("its public key is not one for ES256, EdDSA or RS256")
}

// transports returns the transports that are worth storing. Names that are not known yet are kept,
// because clients ignore the ones that they do not know (section 5.8.4).
func transports(list []protocol.AuthenticatorTransport) []string {
	var kept []string
	for _, t := range list {
		name := string(t)
		if len(kept) < maxTransports && isTransport(name) && !slices.Contains(kept, name) {
			kept = append(kept, name)
		}
	}
	slices.Sort(kept)
	return kept
}

func isTransport(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return name != "" && len(name) <= maxTransportName
}
