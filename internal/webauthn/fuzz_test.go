package webauthn_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	"github.com/signet-id/signet/internal/webauthn"
)

// FuzzResponse gives any bytes to everything that reads a response. Whatever they are, an answer is
// a refusal or right: an assertion is taken only if the authenticator signed just these bytes, and
// a registration only if it can be used.
func FuzzResponse(f *testing.F) {
	rp, d := newParty(f), newDevice()
	d.count = 7
	stored := d.registered(f, rp)
	stored.SignCount = 6
	get, create := d.get(challenge), d.create(challenge)
	f.Add([]byte(document(get)))
	f.Add([]byte(document(create)))
	for _, edit := range []func(*device){
		func(d *device) { d.flags = userPresent },
		func(d *device) { d.client = map[string]any{"crossOrigin": true, "topOrigin": issuer} },
		func(d *device) { d.extensions = append(head(5, 1), append(text("credProtect"), number(3)...)...) },
		func(d *device) { d.cose = ec2(-7, 1, make([]byte, 32), make([]byte, 32)) },
		func(d *device) { d.format, d.statement = "packed", selfStatement(d, d.sign) },
		func(d *device) { d.format, d.statement = "compound", head(4, 0) },
	} {
		other := newDevice()
		edit(other)
		other.sign = func(data []byte) []byte { return d.sign(append(data, 0)) }
		f.Add([]byte(document(other.get(challenge))))
		f.Add([]byte(document(other.create(challenge))))
	}
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","signature":null}}`))
	signed := get["response"].(map[string]any)

	f.Fuzz(func(t *testing.T, response []byte) {
		read, unread := webauthn.Challenge(response)
		a, unparsed := rp.Parse(response)
		proof, unverified := rp.Verify(challenge, response, stored)
		made, unregistered := rp.Register(challenge, response)
		for _, err := range []error{unread, unparsed, unverified, unregistered} {
			if err != nil && !errors.Is(err, webauthn.ErrResponse) && !errors.Is(err, webauthn.ErrCounter) {
				t.Errorf("an error of another kind: %v", err)
			}
		}
		if unparsed == nil && (unread != nil || !bytes.Equal(a.Challenge, read) || len(a.CredentialID) == 0) {
			t.Errorf("Challenge read %q (%v), Parse %+v", read, unread, a)
		}
		if unverified == nil || errors.Is(unverified, webauthn.ErrCounter) {
			var got struct {
				Response struct{ ClientDataJSON, AuthenticatorData, Signature string }
			}
			r := &got.Response
			if json.Unmarshal(response, &got) != nil || r.ClientDataJSON != signed["clientDataJSON"] ||
				r.AuthenticatorData != signed["authenticatorData"] || r.Signature != signed["signature"] ||
				proof != (webauthn.Proof{SignCount: 7, BackedUp: true, Origin: issuer}) ||
				!bytes.Equal(a.CredentialID, d.id) || a.UserHandle != nil && !bytes.Equal(a.UserHandle, handle) {
				t.Errorf("another response was taken: %+v", proof)
			}
		}
		if unregistered == nil {
			id := base64.RawURLEncoding.EncodeToString(made.ID)
			if !bytes.Equal(read, challenge) || len(made.ID) == 0 || len(made.ID) > 1023 || len(made.AAGUID) != 16 ||
				len(made.PublicKey) > 1024 || made.BackedUp && !made.BackupEligible || !bytes.Contains(response, []byte(id)) {
				t.Errorf("a credential that is none: %+v", made)
			}
			if _, err := rp.RequestOptions(challenge, []webauthn.Credential{made}, 0); err != nil {
				t.Error(err)
			}
		}
	})
}
