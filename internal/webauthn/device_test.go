package webauthn_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/signet-id/signet/internal/webauthn"
)

const issuer, host = "https://id.example", "id.example"

var (
	challenge = []byte("a challenge of thirty-two bytes!")
	handle    = []byte("the user handle of Ada")
)

func newParty(t testing.TB, origins ...string) *webauthn.RelyingParty {
	t.Helper()
	rp, err := webauthn.New(issuer, "Lantern", origins)
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// refused fails the test unless the error is an ErrResponse that gives the reason.
func refused(t *testing.T, err error, reason string) {
	t.Helper()
	if !errors.Is(err, webauthn.ErrResponse) || errors.Is(err, webauthn.ErrCounter) ||
		!strings.Contains(err.Error(), reason) {
		t.Errorf("it was not refused because of %q: %v", reason, err)
	}
}

// virtual is an authenticator of the library virtualwebauthn, with one credential.
type virtual struct {
	party virtualwebauthn.RelyingParty
	auth  virtualwebauthn.Authenticator
	cred  virtualwebauthn.Credential
}

// newVirtual makes a credential. The library writes coordinates without their leading zeros, which
// COSE forbids (RFC 9053 section 7.1.1), so that one in 128 of its keys is malformed.
func newVirtual(keyType virtualwebauthn.KeyType) *virtual {
	v := &virtual{
		party: virtualwebauthn.RelyingParty{ID: host, Name: "Lantern", Origin: issuer},
		auth:  virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: handle}),
		cred:  virtualwebauthn.NewCredential(keyType),
	}
	for keyType == virtualwebauthn.KeyTypeEC2 && len(v.cred.Key.AttestationData()) != 77 {
		v.cred = virtualwebauthn.NewCredential(keyType)
	}
	return v
}

// create and get answer options of a relying party, as a browser passes them on.
func (v *virtual) create(t testing.TB, rp *webauthn.RelyingParty, challenge []byte) json.RawMessage {
	t.Helper()
	options, err := rp.CreationOptions(challenge, handle, "ada@example.org", "Ada Lovelace", nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	o, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil || o.RelyingPartyID != rp.ID() || o.UserID != string(handle) || o.UserName != "ada@example.org" ||
		o.UserDisplayName != "Ada Lovelace" || o.RelyingPartyName != "Lantern" || !bytes.Equal(o.Challenge, challenge) {
		t.Fatalf("the options are read as %+v: %v", o, err)
	}
	return json.RawMessage(virtualwebauthn.CreateAttestationResponse(v.party, v.auth, v.cred, *o))
}

func (v *virtual) get(t testing.TB, rp *webauthn.RelyingParty, challenge []byte,
	allow ...webauthn.Credential) json.RawMessage {
	t.Helper()
	options, err := rp.RequestOptions(challenge, allow, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	o, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil || o.RelyingPartyID != rp.ID() || !bytes.Equal(o.Challenge, challenge) ||
		len(o.AllowCredentials) != len(allow) ||
		len(allow) > 0 && !v.cred.IsAllowedForAssertion(*o) {
		t.Fatalf("the options are read as %+v: %v", o, err)
	}
	return json.RawMessage(virtualwebauthn.CreateAssertionResponse(v.party, v.auth, v.cred, *o))
}

// registered returns the stored credential of the authenticator.
func (v *virtual) registered(t testing.TB, rp *webauthn.RelyingParty) webauthn.Credential {
	t.Helper()
	c, err := rp.Register(challenge, v.create(t, rp, challenge))
	if err != nil {
		t.Fatal(err)
	}
	c.UserHandle = handle
	return c
}

// device is an authenticator together with its browser, of which every byte can be chosen. It does
// what virtualwebauthn cannot: Ed25519, attestation none, extensions, odd client data.
type device struct {
	id, handle, aaguid []byte
	rpID               string
	flags              byte
	count              uint32
	cose               []byte
	sign               func(data []byte) []byte
	extensions         []byte         // CBOR, for authenticator data with the flag ED
	client             map[string]any // members of the client data that are not as usual
	format             string         // of the attestation; none if ""
	statement          []byte         // CBOR; an empty map if nil
}

const userPresent, userVerified, backupEligible, backedUp, attested, extended = 1, 1 << 2, 1 << 3, 1 << 4, 1 << 6,
	1 << 7

// newDevice makes an Ed25519 key of a seed, so that its responses are always the same.
func newDevice() *device {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	return &device{
		id: []byte("the passkey of Ada"), handle: handle, aaguid: bytes.Repeat([]byte{9}, 16), rpID: host,
		flags: userPresent | userVerified | backupEligible | backedUp,
		cose:  okp(-8, 6, key.Public().(ed25519.PublicKey)),
		sign: func(data []byte) []byte {
			signature, err := key.Sign(rand.Reader, data, crypto.Hash(0))
			if err != nil {
				panic(err)
			}
			return signature
		},
	}
}

func (d *device) clientData(ceremony string, challenge []byte) []byte {
	members := map[string]any{"type": ceremony, "challenge": b64(challenge), "origin": issuer, "crossOrigin": false}
	for name, value := range d.client {
		members[name] = value
	}
	data, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return data
}

func (d *device) authenticatorData(credential []byte) []byte {
	hash, flags := sha256.Sum256([]byte(d.rpID)), d.flags
	if credential != nil {
		flags |= attested
	}
	if d.extensions != nil {
		flags |= extended
	}
	data := append(hash[:], flags)
	data = binary.BigEndian.AppendUint32(data, d.count)
	return append(append(data, credential...), d.extensions...)
}

func (d *device) create(challenge []byte) map[string]any {
	credential := binary.BigEndian.AppendUint16(bytes.Clone(d.aaguid), uint16(len(d.id)))
	data := d.authenticatorData(append(append(credential, d.id...), d.cose...))
	format, statement := d.format, d.statement
	if format == "" {
		format = "none"
	}
	if statement == nil {
		statement = []byte{0xa0}
	}
	object := append([]byte{0xa3}, text("fmt")...)
	object = append(append(object, text(format)...), text("attStmt")...)
	object = append(append(object, statement...), text("authData")...)
	object = append(object, byteString(data)...)
	return map[string]any{"type": "public-key", "id": b64(d.id), "rawId": b64(d.id), "authenticatorAttachment": "platform",
		"response": map[string]any{"clientDataJSON": b64(d.clientData("webauthn.create", challenge)),
			"attestationObject": b64(object), "transports": []string{"internal", "hybrid"}}}
}

func (d *device) get(challenge []byte) map[string]any {
	client, data := d.clientData("webauthn.get", challenge), d.authenticatorData(nil)
	hash := sha256.Sum256(client)
	return map[string]any{"type": "public-key", "id": b64(d.id), "rawId": b64(d.id),
		"clientExtensionResults": map[string]any{},
		"response": map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(data),
			"signature": b64(d.sign(append(data, hash[:]...))), "userHandle": b64(d.handle)}}
}

func (d *device) registered(t testing.TB, rp *webauthn.RelyingParty) webauthn.Credential {
	t.Helper()
	c, err := rp.Register(challenge, document(d.create(challenge)))
	if err != nil {
		t.Fatal(err)
	}
	c.UserHandle = handle
	return c
}

func document(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// The little CBOR that is needed (RFC 8949 section 3).
func head(major byte, n int) []byte {
	switch {
	case n < 24:
		return []byte{major<<5 | byte(n)}
	case n < 256:
		return []byte{major<<5 | 24, byte(n)}
	}
	return []byte{major<<5 | 25, byte(n >> 8), byte(n)}
}

func number(n int) []byte {
	if n < 0 {
		return head(1, -1-n)
	}
	return head(0, n)
}

func text(s string) []byte       { return append(head(3, len(s)), s...) }
func byteString(b []byte) []byte { return append(head(2, len(b)), b...) }

// key encodes a COSE_Key: pairs of labels and values, each encoded already.
func key(pairs ...[]byte) []byte {
	return append(head(5, len(pairs)/2), bytes.Join(pairs, nil)...)
}

func okp(alg, curve int, x []byte) []byte {
	return key(number(1), number(1), number(3), number(alg), number(-1), number(curve), number(-2), byteString(x))
}

func ec2(alg, curve int, x, y []byte) []byte {
	return key(number(1), number(2), number(3), number(alg), number(-1), number(curve), number(-2), byteString(x),
		number(-3), byteString(y))
}

func rsaKey(alg int, n, e []byte) []byte {
	return key(number(1), number(3), number(3), number(alg), number(-1), byteString(n), number(-2), byteString(e))
}
