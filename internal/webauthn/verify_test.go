package webauthn_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/signet-id/signet/internal/webauthn"
)

// A passkey of each algorithm is registered and used, with and without a list of allowed ones.
func TestVerify(t *testing.T) {
	rp := newParty(t)
	for _, keyType := range []virtualwebauthn.KeyType{virtualwebauthn.KeyTypeEC2, virtualwebauthn.KeyTypeRSA} {
		v := newVirtual(keyType)
		stored := v.registered(t, rp)
		v.cred.Counter = 7
		for _, allow := range [][]webauthn.Credential{nil, {stored}} {
			response := v.get(t, rp, challenge, allow...)
			a, err := rp.Parse(response)
			if err != nil || !bytes.Equal(a.CredentialID, stored.ID) || !bytes.Equal(a.UserHandle, handle) ||
				!bytes.Equal(a.Challenge, challenge) {
				t.Errorf("%s: it was read as %+v: %v", keyType, a, err)
			}
			proof, err := rp.Verify(challenge, response, stored)
			if want := (webauthn.Proof{SignCount: 7, Origin: issuer}); err != nil || proof != want {
				t.Errorf("%s: %+v: %v", keyType, proof, err)
			}
		}
	}

	d := newDevice()
	proof, err := rp.Verify(challenge, document(d.get(challenge)), d.registered(t, rp))
	if want := (webauthn.Proof{BackedUp: true, Origin: issuer}); err != nil || proof != want {
		t.Errorf("Ed25519: %+v: %v", proof, err)
	}
}

func TestVerifyTakes(t *testing.T) {
	const app = "android:apk-key-hash:Mv1MmT2Cps8mwzC3zpeGNVHTgnFAvTfRtuCpuUJEJ_A"
	for _, c := range []struct {
		name   string
		before func(*device)
		after  func(map[string]any)
		origin string
	}{
		{"another configured origin", client("origin", "https://app.example"), nil, "https://app.example"},
		{"an app", client("origin", app), nil, app},
		{"no user handle", func(d *device) { d.handle = nil }, func(r map[string]any) {
			delete(r["response"].(map[string]any), "userHandle")
		}, issuer},
		{"a user handle of null", nil, func(r map[string]any) { r["response"].(map[string]any)["userHandle"] = nil }, issuer},
		{"an empty user handle", func(d *device) { d.handle = nil }, nil, issuer},
		{"members that are not needed", client("future", true), func(r map[string]any) {
			r["clientExtensionResults"], r["future"] = map[string]any{"appid": true}, []any{1, nil}
			r["response"].(map[string]any)["attestationObject"] = nil
		}, issuer},
		{"extensions that the browser asked for itself", func(d *device) {
			d.extensions = append(head(5, 1), append(text("hmac-secret"), byteString(make([]byte, 32))...)...)
		}, nil, issuer},
		{"a passkey that is no longer backed up", func(d *device) { d.flags &^= backedUp }, nil, issuer},
	} {
		t.Run(c.name, func(t *testing.T) {
			rp, d := newParty(t, "https://app.example", app), newDevice()
			stored := d.registered(t, rp)
			if c.before != nil {
				c.before(d)
			}
			response := d.get(challenge)
			if c.after != nil {
				c.after(response)
			}
			proof, err := rp.Verify(challenge, document(response), stored)
			if err != nil || proof.Origin != c.origin || proof.BackedUp != (d.flags&backedUp != 0) {
				t.Errorf("%+v: %v", proof, err)
			}
		})
	}
}

// An empty user handle and one that was left out are the same to the caller.
func TestParseWithoutAUserHandle(t *testing.T) {
	for _, value := range []any{nil, ""} {
		response := newDevice().get(challenge)
		response["response"].(map[string]any)["userHandle"] = value
		a, err := newParty(t).Parse(document(response))
		if err != nil || a.UserHandle != nil {
			t.Errorf("%v: the user handle is %q: %v", value, a.UserHandle, err)
		}
	}
}

func TestP09Counters(t *testing.T) {
	for _, c := range []struct {
		name        string
		stored, got uint32
		taken       bool
	}{
		{"an authenticator without a counter", 0, 0, true},
		{"the first that counts", 0, 1, true},
		{"one more", 7, 8, true},
		{"many more", 7, math.MaxUint32, true},
		{"the same again", 7, 7, false},
		{"one back", 8, 7, false},
		{"back to nothing", 7, 0, false},
		{"around", math.MaxUint32, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rp, v := newParty(t), newVirtual(virtualwebauthn.KeyTypeEC2)
			stored := v.registered(t, rp)
			stored.SignCount, v.cred.Counter = c.stored, c.got
			proof, err := rp.Verify(challenge, v.get(t, rp, challenge), stored)
			switch {
			case c.taken && (err != nil || proof.SignCount != c.got):
				t.Errorf("%+v: %v", proof, err)
			case !c.taken && (!errors.Is(err, webauthn.ErrCounter) || errors.Is(err, webauthn.ErrResponse) ||
				proof != webauthn.Proof{}):
				t.Errorf("%+v: %v", proof, err)
			}
			// A counter says nothing about a response that is not even signed by the passkey.
			stored.PublicKey = newVirtual(virtualwebauthn.KeyTypeEC2).cred.Key.AttestationData()
			_, err = rp.Verify(challenge, v.get(t, rp, challenge), stored)
			refused(t, err, "signature")
		})
	}
}

func TestP09AnAssertionOfTheVirtualAuthenticatorThatIsRefused(t *testing.T) {
	other := []byte("another challenge of 32 bytes...")
	for _, c := range []struct {
		name   string
		edit   func(*virtual, *webauthn.Credential)
		asked  []byte // the challenge of the options that were answered; challenge if nil
		reason string
	}{
		{"for another RP id", func(v *virtual, _ *webauthn.Credential) { v.party.ID = "evil.example" }, nil,
			"RP Hash mismatch"},
		{"by another origin", func(v *virtual, _ *webauthn.Credential) { v.party.Origin = "https://evil.example" }, nil,
			"its origin"},
		{"by http instead of https", func(v *virtual, _ *webauthn.Credential) { v.party.Origin = "http://id.example" }, nil,
			"its origin"},
		{"of another request", nil, other, "another one"},
		{"of an unverified user", func(v *virtual, _ *webauthn.Credential) { v.auth.Options.UserNotVerified = true }, nil,
			"User verification required"},
		{"of an absent user", func(v *virtual, _ *webauthn.Credential) { v.auth.Options.UserNotPresent = true }, nil,
			"User presence required"},
		{"with another user's handle", func(v *virtual, _ *webauthn.Credential) { v.auth.Options.UserHandle = []byte("Eve") },
			nil, "User handle"},
		{"with a handle longer than the user's", func(v *virtual, _ *webauthn.Credential) {
			v.auth.Options.UserHandle = append(bytes.Clone(handle), 0)
		}, nil, "User handle"},
		{"for a credential whose owner was forgotten", func(_ *virtual, c *webauthn.Credential) { c.UserHandle = nil }, nil,
			"User handle"},
		{"of another credential", func(_ *virtual, c *webauthn.Credential) { c.ID = []byte("another id") }, nil,
			"credential"},
		{"by another key", func(_ *virtual, c *webauthn.Credential) {
			c.PublicKey = newVirtual(virtualwebauthn.KeyTypeEC2).cred.Key.AttestationData()
		}, nil, "signature"},
		{"by a key of another type", func(_ *virtual, c *webauthn.Credential) { c.PublicKey = newDevice().cose }, nil,
			"signature"},
		{"with a stored key that is broken", func(_ *virtual, c *webauthn.Credential) { c.PublicKey = []byte{0xa0} }, nil,
			"public key"},
		{"with no stored key", func(_ *virtual, c *webauthn.Credential) { c.PublicKey = nil }, nil, "public key"},
		{"for a credential that is none", func(_ *virtual, c *webauthn.Credential) { *c = webauthn.Credential{} }, nil,
			"not owned"},
		{"that became eligible for backup", func(v *virtual, _ *webauthn.Credential) { v.auth.Options.BackupEligible = true },
			nil, "Backup Eligible flag"},
		{"that is no longer eligible for backup", func(_ *virtual, c *webauthn.Credential) { c.BackupEligible = true }, nil,
			"Backup Eligible flag"},
		{"backed up without being eligible", func(v *virtual, _ *webauthn.Credential) { v.auth.Options.BackupState = true },
			nil, "Backup State"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rp, v := newParty(t), newVirtual(virtualwebauthn.KeyTypeEC2)
			stored := v.registered(t, rp)
			if c.edit != nil {
				c.edit(v, &stored)
			}
			asked := challenge
			if c.asked != nil {
				asked = c.asked
			}
			proof, err := rp.Verify(challenge, v.get(t, rp, asked), stored)
			refused(t, err, c.reason)
			if proof != (webauthn.Proof{}) {
				t.Errorf("a proof came with the refusal: %+v", proof)
			}
		})
	}
}

func TestP09AnAssertionThatIsRefused(t *testing.T) {
	inner := func(r map[string]any) map[string]any { return r["response"].(map[string]any) }
	for _, c := range []struct {
		name   string
		before func(*device)
		after  func(map[string]any)
		reason string
	}{
		{"of a registration", client("type", "webauthn.create"), nil, "its type"},
		{"in a frame", client("crossOrigin", true), nil, "in a frame"},
		{"in a frame of the issuer's own page", func(d *device) {
			d.client = map[string]any{"crossOrigin": true, "topOrigin": issuer}
		}, nil, "in a frame"},
		{"with a top origin", client("topOrigin", "https://evil.example"), nil, "in a frame"},
		{"by an origin with a path", client("origin", "https://id.example/a"), nil, "its origin"},
		{"by an origin in capitals", client("origin", "HTTPS://ID.EXAMPLE"), nil, "its origin"},
		{"by an origin with its port", client("origin", "https://id.example:443"), nil, "its origin"},
		{"by an origin with a user", client("origin", "https://evil@id.example"), nil, "its origin"},
		{"by an app that is not configured", client("origin", "android:apk-key-hash:"+b64(make([]byte, 32))), nil,
			"its origin"},
		{"by null", client("origin", "null"), nil, "its origin"},
		{"with client data that was changed", nil, func(r map[string]any) {
			data, _ := base64.RawURLEncoding.DecodeString(inner(r)["clientDataJSON"].(string))
			inner(r)["clientDataJSON"] = b64(append(data, ' '))
		}, "signature"},
		{"with a counter that was changed", nil, func(r map[string]any) {
			data, _ := base64.RawURLEncoding.DecodeString(inner(r)["authenticatorData"].(string))
			data[36]++
			inner(r)["authenticatorData"] = b64(data)
		}, "signature"},
		{"with a signature that was cut", nil, func(r map[string]any) {
			signature := inner(r)["signature"].(string)
			inner(r)["signature"] = signature[:len(signature)-4]
		}, "signature"},
		{"without a signature", nil, func(r map[string]any) { delete(inner(r), "signature") }, "signature"},
		{"with a signature of null", nil, func(r map[string]any) { inner(r)["signature"] = nil }, "signature"},
		{"without authenticator data", nil, func(r map[string]any) { delete(inner(r), "authenticatorData") },
			"authenticatorData"},
		{"with authenticator data that is too short", nil,
			func(r map[string]any) { inner(r)["authenticatorData"] = b64(make([]byte, 36)) },
			"too short"},
		{"with authenticator data that is too long", nil,
			func(r map[string]any) { inner(r)["authenticatorData"] = b64(make([]byte, 38)) },
			"Attested credential flag not set"},
		{"with two ids", nil, func(r map[string]any) { r["id"] = "AAAA" }, "id and rawId"},
		{"without an id", nil, func(r map[string]any) { delete(r, "id"); delete(r, "rawId") }, "its id"},
		{"with a long id", nil, func(r map[string]any) { id := b64(make([]byte, 1024)); r["id"], r["rawId"] = id, id },
			"its id"},
		{"with padding", nil, func(r map[string]any) { id := r["id"].(string) + "="; r["id"], r["rawId"] = id, id },
			"its id"},
		{"with line ends in base64url", nil, func(r map[string]any) {
			inner(r)["signature"] = "\n" + inner(r)["signature"].(string)
		}, "signature"},
		{"with bits that are left over in base64url", nil, func(r map[string]any) { inner(r)["userHandle"] = "AB" },
			"userHandle"},
		{"in plain base64", nil, func(r map[string]any) { inner(r)["signature"] = "+/+/" }, "signature"},
		{"of another type of credential", nil, func(r map[string]any) { r["type"] = "password" }, "bad type"},
		{"with a user handle that is a number", nil, func(r map[string]any) { inner(r)["userHandle"] = 1 }, "userHandle"},
		{"with a response that is a list", nil, func(r map[string]any) { r["response"] = []any{} }, "response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rp, d := newParty(t), newDevice()
			stored := d.registered(t, rp)
			if c.before != nil {
				c.before(d)
			}
			response := d.get(challenge)
			if c.after != nil {
				c.after(response)
			}
			_, err := rp.Verify(challenge, document(response), stored)
			refused(t, err, c.reason)
		})
	}
}

// Parse gives the caller what the response says, whoever it may be about, and Verify compares it.
func TestP09ParseVerifiesNothing(t *testing.T) {
	rp, d := newParty(t), newDevice()
	d.handle, d.rpID, d.flags = []byte("Eve"), "evil.example", 0
	d.client = map[string]any{"origin": "https://evil.example", "type": "webauthn.create"}
	a, err := rp.Parse(document(d.get([]byte("x"))))
	if err != nil || string(a.UserHandle) != "Eve" || !bytes.Equal(a.CredentialID, d.id) || string(a.Challenge) != "x" {
		t.Errorf("%+v: %v", a, err)
	}
}

// documents that are no response of either kind, given to everything that reads one.
func TestP09ADocumentThatIsRefused(t *testing.T) {
	d := newDevice()
	get, create := document(d.get(challenge)), document(d.create(challenge))
	spaces := json.RawMessage(strings.Repeat(" ", webauthn.MaxResponse))
	edit := func(old, new string) [2]json.RawMessage {
		both := [2]json.RawMessage{bytes.Replace(get, []byte(old), []byte(new), 1),
			bytes.Replace(create, []byte(old), []byte(new), 1)}
		if bytes.Equal(both[0], get) || bytes.Equal(both[1], create) {
			t.Fatalf("%s is not in the documents", old)
		}
		return both
	}
	same := func(s string) [2]json.RawMessage { return [2]json.RawMessage{json.RawMessage(s), json.RawMessage(s)} }
	clientData := func(s string) [2]json.RawMessage {
		g, c := d.get(challenge), d.create(challenge)
		g["response"].(map[string]any)["clientDataJSON"] = b64([]byte(s))
		c["response"].(map[string]any)["clientDataJSON"] = b64([]byte(s))
		return [2]json.RawMessage{document(g), document(c)}
	}
	rp := newParty(t)
	stored := d.registered(t, rp)
	for _, c := range []struct {
		name   string
		doc    [2]json.RawMessage
		reason string
	}{
		{"nothing", same(""), "JSON"},
		{"null", same("null"), "JSON"},
		{"a list", same("[]"), "JSON"},
		{"a string", same(`"x"`), "JSON"},
		{"an empty object", same("{}"), ""},
		{"no JSON", same("not JSON"), "JSON"},
		{"form data", same("id=1&rawId=1"), "JSON"},
		{"a document that was cut", [2]json.RawMessage{get[:len(get)-1], create[:len(create)-1]}, "JSON"},
		{"trailing data", [2]json.RawMessage{append(bytes.Clone(get), "{}"...), append(bytes.Clone(create), "x"...)}, "JSON"},
		{"two documents", [2]json.RawMessage{append(bytes.Clone(get), get...), append(bytes.Clone(create), create...)},
			"JSON"},
		{"a document that is too long",
			[2]json.RawMessage{append(bytes.Clone(get), spaces...), append(bytes.Clone(create), spaces...)},
			"are the limit"},
		{"a member twice", edit(`"type":"public-key"`, `"type":"public-key","type":"public-key"`), "JSON"},
		{"a member of the response twice", edit(`"clientDataJSON":`, `"clientDataJSON":"AA","clientDataJSON":`), "JSON"},
		{"a member in another case", edit(`"rawId"`, `"rawID"`), "JSON"},
		{"invalid UTF-8", edit(`"public-key"`, "\"\xff\""), "JSON"},
		{"very deep", edit(`"type"`, `"x":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+`,"type"`), "JSON"},
		{"client data that is empty", clientData(""), "clientDataJSON"},
		{"client data that is no object", clientData("[]"), "clientDataJSON"},
		{"client data that is null", clientData("null"), "clientDataJSON"},
		{"client data without members", clientData("{}"), "challenge"},
		{"client data with trailing data", clientData(string(d.clientData("webauthn.get", challenge)) + "{}"),
			"clientDataJSON"},
		{"client data with a challenge twice", clientData(`{"challenge":"AA","challenge":"AA"}`), "clientDataJSON"},
		{"client data with a challenge in another case", clientData(`{"challenge":"AA","Challenge":"AA"}`), "clientDataJSON"},
		{"client data with a byte order mark", clientData("\ufeff{}"), "clientDataJSON"},
		{"client data that repeats the library's members", clientData(`{"challenge":"AA","tokenBinding":"x"}`), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := rp.Verify(challenge, c.doc[0], stored)
			refused(t, err, c.reason)
			_, err = rp.Register(challenge, c.doc[1])
			refused(t, err, c.reason)
			if c.reason == "" {
				return // Challenge and Parse read less
			}
			_, err = rp.Parse(c.doc[0])
			refused(t, err, c.reason)
			for _, doc := range c.doc {
				_, err = webauthn.Challenge(doc)
				refused(t, err, c.reason)
			}
		})
	}
}

func TestChallenge(t *testing.T) {
	d := newDevice()
	for _, doc := range []any{d.create(challenge), d.get(challenge)} {
		got, err := webauthn.Challenge(document(doc))
		if err != nil || !bytes.Equal(got, challenge) {
			t.Errorf("%q: %v", got, err)
		}
	}
}

// A reason is one line of a log, however long the response and whatever it holds.
func TestReasonsAreShort(t *testing.T) {
	rp, d := newParty(t), newDevice()
	stored := d.registered(t, rp)
	long := strings.Repeat("\n\x1b[31m", 2000)
	for name, value := range map[string]any{"origin": long, "type": long, "tokenBinding": map[string]any{"status": long}} {
		d.client = map[string]any{name: value}
		_, err := rp.Verify(challenge, document(d.get(challenge)), stored)
		refused(t, err, "")
		if err != nil && (len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\n\x1b")) {
			t.Errorf("%s: the reason has %d bytes: %.300q", name, len(err.Error()), err.Error())
		}
	}
	d = newDevice()
	d.format = long
	_, err := rp.Register(challenge, document(d.create(challenge)))
	refused(t, err, "none was requested")
	if err != nil && (len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\n\x1b")) {
		t.Errorf("the reason has %d bytes", len(err.Error()))
	}
}
