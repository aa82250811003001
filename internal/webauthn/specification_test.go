package webauthn_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/signet-id/signet/internal/webauthn"
)

// TestSpecification replays the test vectors of WebAuthn Level 3, section 16. About half of them
// verify no user or come from frames, and the ones from 16.7 on bring certificates: they must be
// refused for just that.
func TestSpecification(t *testing.T) {
	const noUser, frame, certified = "User verification required", "frame of another origin", "none was requested"
	outcomes := map[string][2]string{ // section → why the registration is refused, why the login; "" where not
		"16.2": {noUser, noUser}, "16.3": {"", noUser}, "16.4": {frame, frame}, "16.5": {frame, frame}, "16.6": {noUser, ""},
		"16.7": {certified, ""}, "16.11": {certified, noUser}, "16.13": {certified, ""}, "16.16": {certified, noUser},
	}
	type bytes = hexBytes
	var vectors []struct {
		Section, Name string
		ID            bytes `json:"credential_id"`
		Key           bytes `json:"public_key"`
		Registration  struct {
			Challenge  bytes `json:"challenge"`
			ClientData bytes `json:"client_data"`
			Object     bytes `json:"attestation_object"`
		}
		Authentication struct {
			Challenge  bytes `json:"challenge"`
			ClientData bytes `json:"client_data"`
			Data       bytes `json:"authenticator_data"`
			Signature  bytes `json:"signature"`
		}
	}
	file, err := os.ReadFile("testdata/specification.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &vectors); err != nil || len(vectors) != len(outcomes) {
		t.Fatalf("%d vectors: %v", len(vectors), err)
	}
	rp, err := webauthn.New("https://example.org", "Example", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		t.Run(v.Section+" "+v.Name, func(t *testing.T) {
			want, listed := outcomes[v.Section]
			if !listed {
				t.Fatal("the section has no outcome")
			}
			check := func(err error, reason string) {
				t.Helper()
				if reason == "" && err != nil {
					t.Error(err)
				} else if reason != "" {
					refused(t, err, reason)
				}
			}
			r, a := v.Registration, v.Authentication
			made, err := rp.Register(r.Challenge, document(map[string]any{"id": b64(v.ID), "rawId": b64(v.ID),
				"type": "public-key", "response": map[string]any{"clientDataJSON": b64(r.ClientData),
					"attestationObject": b64(r.Object)}}))
			check(err, want[0])
			if err == nil && (string(made.ID) != string(v.ID) || string(made.PublicKey) != string(v.Key)) {
				t.Errorf("it registered %x with the key %x", made.ID, made.PublicKey)
			}

			stored := webauthn.Credential{ID: v.ID, PublicKey: v.Key, BackupEligible: a.Data[32]&backupEligible != 0}
			response := func(signature []byte) json.RawMessage {
				return document(map[string]any{"id": b64(v.ID), "rawId": b64(v.ID), "type": "public-key",
					"response": map[string]any{"clientDataJSON": b64(a.ClientData), "authenticatorData": b64(a.Data),
						"signature": b64(signature)}})
			}
			_, err = rp.Verify(a.Challenge, response(a.Signature), stored)
			check(err, want[1])
			if want[1] == "" {
				changed := append([]byte{}, a.Signature...)
				changed[len(changed)-1] ^= 1
				_, err = rp.Verify(a.Challenge, response(changed), stored)
				refused(t, err, "signature")
			}
		})
	}
}

type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}
