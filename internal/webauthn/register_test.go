package webauthn_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/signet-id/signet/internal/webauthn"
)

func TestRegister(t *testing.T) {
	rp := newParty(t)
	for _, keyType := range []virtualwebauthn.KeyType{virtualwebauthn.KeyTypeEC2, virtualwebauthn.KeyTypeRSA} {
		v := newVirtual(keyType)
		v.cred.Counter = 41
		v.auth.Options.BackupEligible = true
		c, err := rp.Register(challenge, v.create(t, rp, challenge))
		want := webauthn.Credential{ID: v.cred.ID, PublicKey: v.cred.Key.AttestationData(), AAGUID: v.auth.Aaguid[:],
			SignCount: 41, BackupEligible: true}
		if err != nil || !reflect.DeepEqual(c, want) {
			t.Errorf("%s: %+v: %v", keyType, c, err)
		}
	}

	d := newDevice()
	c, err := rp.Register(challenge, document(d.create(challenge)))
	want := webauthn.Credential{ID: d.id, PublicKey: d.cose, AAGUID: d.aaguid, BackupEligible: true, BackedUp: true,
		Transports: []string{"hybrid", "internal"}}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("Ed25519: %+v: %v", c, err)
	}
}

// What else belongs to a registration that is taken.
func TestRegisterTakes(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*device, map[string]any) // before and after the response is made; the map is nil before
	}{
		{"another configured origin",
			func(d *device, _ map[string]any) { d.client = map[string]any{"origin": "https://app.example"} }},
		{"client data without crossOrigin",
			func(d *device, _ map[string]any) { d.client = map[string]any{"crossOrigin": nil} }},
		{"members of the client data that are not known yet", func(d *device, _ map[string]any) {
			d.client = map[string]any{"new_keys_may_be_added_here": "do not compare clientDataJSON", "androidPackageName": "a.b",
				"future": map[string]any{"a": []int{1}}}
		}},
		{"members of the response that are not needed", func(_ *device, r map[string]any) {
			if r != nil {
				r["clientExtensionResults"] = map[string]any{"credProps": map[string]any{"rk": true}, "appid": "no boolean"}
				r["future"] = []any{1, nil}
				response := r["response"].(map[string]any)
				response["publicKeyAlgorithm"], response["publicKey"], response["authenticatorData"] = -7, "AA", "AA"
			}
		}},
		{"an extension that the browser asked for itself: credProtect", func(d *device, _ map[string]any) {
			d.extensions = append(head(5, 1), append(text("credProtect"), number(3)...)...)
		}},
		{"no transports", func(_ *device, r map[string]any) {
			if r != nil {
				r["response"].(map[string]any)["transports"] = nil
			}
		}},
		{"the longest id", func(d *device, _ map[string]any) { d.id = bytes.Repeat([]byte{1}, 1023) }},
		{"packed, signed by the new key itself", func(d *device, r map[string]any) {
			d.format, d.statement = "packed", selfStatement(d, d.sign)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rp, d := newParty(t, "https://app.example"), newDevice()
			c.edit(d, nil)
			response := d.create(challenge)
			c.edit(d, response)
			stored, err := rp.Register(challenge, document(response))
			if err != nil || !bytes.Equal(stored.ID, d.id) {
				t.Errorf("%+v: %v", stored, err)
			}
		})
	}
}

// selfStatement is the statement of self attestation (section 8.2): a signature by the new key.
func selfStatement(d *device, sign func([]byte) []byte) []byte {
	credential := append(bytes.Clone(d.aaguid), 0, byte(len(d.id)))
	data := d.authenticatorData(append(append(credential, d.id...), d.cose...))
	hash := sha256.Sum256(d.clientData("webauthn.create", challenge))
	statement := append(append(head(5, 2), text("alg")...), number(-8)...)
	return append(append(statement, text("sig")...), byteString(sign(append(data, hash[:]...)))...)
}

func TestTransports(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want []string
	}{
		{"in order, each once, the old name of hybrid mapped", []string{"usb", "nfc", "usb", "cable"},
			[]string{"hybrid", "nfc", "usb"}},
		{"names that are not known yet", []string{"telepathy"}, []string{"telepathy"}},
		{"names that are none", []string{"", "a b", "<b>", "USB", "\x00", string(bytes.Repeat([]byte("a"), 33)), "ble"},
			[]string{"ble"}},
		{"more than eight", []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"},
			[]string{"a", "b", "c", "d", "e", "f", "g", "h"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			response := newDevice().create(challenge)
			response["response"].(map[string]any)["transports"] = c.in
			stored, err := newParty(t).Register(challenge, document(response))
			if err != nil || !slices.Equal(stored.Transports, c.want) {
				t.Errorf("%q: %v", stored.Transports, err)
			}
		})
	}
}

func TestP09ARegistrationThatIsRefused(t *testing.T) {
	inner := func(r map[string]any) map[string]any { return r["response"].(map[string]any) }
	for _, c := range []struct {
		name   string
		before func(*device)
		after  func(map[string]any)
		reason string
	}{
		{"for another RP id", func(d *device) { d.rpID = "evil.example" }, nil, "RP Hash mismatch"},
		{"for a parent of the RP id", func(d *device) { d.rpID = "example" }, nil, "RP Hash mismatch"},
		{"by another origin", client("origin", "https://evil.example"), nil, "its origin"},
		{"by http", client("origin", "http://id.example"), nil, "its origin"},
		{"by another port", client("origin", "https://id.example:8443"), nil, "its origin"},
		{"by a name below the issuer's", client("origin", "https://a.id.example"), nil, "its origin"},
		{"by the issuer's origin with a slash", client("origin", "https://id.example/"), nil, "its origin"},
		{"by the issuer's origin in capitals", client("origin", "https://ID.example"), nil, "its origin"},
		{"by the issuer's origin with its port", client("origin", "https://id.example:443"), nil, "its origin"},
		{"by no origin", client("origin", ""), nil, "its origin"},
		{"in a frame", client("crossOrigin", true), nil, "in a frame"},
		{"with a top origin", client("topOrigin", "https://evil.example"), nil, "in a frame"},
		{"with the issuer as top origin", client("topOrigin", issuer), nil, "in a frame"},
		{"for another challenge", client("challenge", b64([]byte("another challenge of 32 bytes..."))), nil, "another one"},
		{"for a challenge that only begins the same", client("challenge", b64(challenge[:31])), nil, "another one"},
		{"for no challenge", client("challenge", ""), nil, "challenge is not base64url"},
		{"for a challenge with padding", client("challenge", b64(challenge)+"="), nil, "challenge is not base64url"},
		{"of an assertion", client("type", "webauthn.get"), nil, "its type"},
		{"of a payment", client("type", "payment.get"), nil, "its type"},
		{"of no type", client("type", ""), nil, "its type"},
		{"with a type that is a number", client("type", 1), nil, "clientDataJSON"},
		{"of an unverified user", func(d *device) { d.flags &^= userVerified }, nil, "User verification required"},
		{"of an absent user", func(d *device) { d.flags &^= userPresent }, nil, "User presence required"},
		{"backed up without being eligible", func(d *device) { d.flags &^= backupEligible }, nil, "Backup"},
		{"without a credential id", func(d *device) { d.id = nil }, nil, "its id"},
		{"with a credential id that is too long", func(d *device) { d.id = make([]byte, 1024) }, nil, "its id"},
		{"under another credential's id", nil, func(r map[string]any) { r["id"], r["rawId"] = "AAAA", "AAAA" },
			"credential id"},
		{"with two ids", nil, func(r map[string]any) { r["rawId"] = "AAAA" }, "id and rawId"},
		{"of another type of credential", nil, func(r map[string]any) { r["type"] = "password" }, "Type not public-key"},
		{"without a type", nil, func(r map[string]any) { delete(r, "type") }, "Missing type"},
		{"without client data", nil, func(r map[string]any) { delete(inner(r), "clientDataJSON") }, "clientDataJSON"},
		{"without an attestation object", nil, func(r map[string]any) { delete(inner(r), "attestationObject") },
			"attestationObject"},
		{"without a response", nil, func(r map[string]any) { delete(r, "response") }, "clientDataJSON"},
		{"with a response of null", nil, func(r map[string]any) { r["response"] = nil }, "response"},
		{"with an attestation object that is no CBOR", nil, func(r map[string]any) { inner(r)["attestationObject"] = "____" },
			"attestation"},
		{"with transports that are numbers", nil, func(r map[string]any) { inner(r)["transports"] = []int{1} }, "transports"},
		{"with extensions that are no map", func(d *device) { d.extensions = number(1) }, nil, "attestation"},
		{"with bytes left over", func(d *device) { d.cose = append(d.cose, 0) }, nil, "attestation"},
		{"without a key", func(d *device) { d.cose = nil }, nil, "attestation"},

		{"a statement in the format none",
			func(d *device) { d.statement = append(head(5, 1), append(text("x"), number(1)...)...) }, nil,
			"format none with attestation"},
		{"packed with certificates", statement("packed", "x5c", head(4, 0)), nil, "none was requested"},
		{"packed with ECDAA", statement("packed", "ecdaaKeyId", byteString([]byte{1})), nil, "none was requested"},
		{"packed with an empty statement", func(d *device) { d.format = "packed" }, nil, "alg value"},
		{"packed with a signature by another key", func(d *device) {
			other := newDevice()
			d.format = "packed"
			d.statement = selfStatement(d, func(data []byte) []byte { return other.sign(append(data, 0)) })
		}, nil, "verify signature"},
		{"of U2F", statement("fido-u2f", "sig", byteString([]byte{1})), nil, "none was requested"},
		{"of a TPM", statement("tpm", "ver", text("2.0")), nil, "none was requested"},
		{"of Apple", statement("apple", "x5c", head(4, 0)), nil, "none was requested"},
		{"of Android", statement("android-key", "x5c", head(4, 0)), nil, "none was requested"},
		{"of SafetyNet", statement("android-safetynet", "ver", text("1")), nil, "none was requested"},
		{"of several", func(d *device) { d.format, d.statement = "compound", head(4, 0) }, nil, "none was requested"},
		{"of a format that is not known", func(d *device) { d.format = "None" }, nil, "none was requested"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDevice()
			if c.before != nil {
				c.before(d)
			}
			response := d.create(challenge)
			if c.after != nil {
				c.after(response)
			}
			stored, err := newParty(t).Register(challenge, document(response))
			refused(t, err, c.reason)
			if !reflect.DeepEqual(stored, webauthn.Credential{}) {
				t.Errorf("a credential came with the refusal: %+v", stored)
			}
		})
	}
}

// client returns an edit of one member of the client data.
func client(name string, value any) func(*device) {
	return func(d *device) { d.client = map[string]any{name: value} }
}

// statement returns an edit of the attestation: a format, and a statement with one member more than
// it needs.
func statement(format, name string, value []byte) func(*device) {
	return func(d *device) {
		d.format = format
		d.statement = append(head(5, 3), bytes.Join([][]byte{text("alg"), number(-8), text("sig"), byteString([]byte{1}),
			text(name), value}, nil)...)
		if name == "sig" {
			d.statement = append(head(5, 1), bytes.Join([][]byte{text(name), value}, nil)...)
		}
	}
}

// Keys of other algorithms than the three that were offered, keys that do not fit their algorithm,
// and keys that no signature will ever verify under.
func TestP09AKeyThatIsRefused(t *testing.T) {
	curve := func(c elliptic.Curve) (x, y []byte) {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, err := k.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return point[1 : 1+len(point)/2], point[1+len(point)/2:]
	}
	modulus := func(bits int) []byte {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return n.SetBit(n, 0, 1).Bytes()
	}
	x, y := curve(elliptic.P256())
	x384, y384 := curve(elliptic.P384())
	// The generator of secp256k1 (SEC 2 section 2.4.1).
	xK, _ := hex.DecodeString("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
	yK, _ := hex.DecodeString("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8")
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	n, e := long.N.Bytes(), []byte{1, 0, 1}
	for _, c := range []struct {
		name   string
		cose   []byte
		reason string // "" where the key is taken
	}{
		{"ES256", ec2(-7, 1, x, y), ""},
		{"RS256", rsaKey(-257, n, e), ""},
		{"RS256 with 4096 bits", rsaKey(-257, modulus(4096), e), ""},
		{"ES384", ec2(-35, 2, x384, y384), "not one for ES256"},
		{"ES256K", ec2(-47, 8, xK, yK), "not one for ES256"},
		{"ESP256", ec2(-9, 1, x, y), "not one for ES256"},
		{"Ed25519 by its own name", okp(-19, 6, x), "not one for ES256"},
		{"PS256", rsaKey(-37, n, e), "not one for ES256"},
		{"RS384", rsaKey(-258, n, e), "not one for ES256"},
		{"RS1, with SHA-1", rsaKey(-65535, n, e), "not one for ES256"},
		{"no algorithm", key(number(1), number(1), number(-1), number(6), number(-2), byteString(x)),
			"unsupported algorithm"},
		{"ES256 with an RSA key", rsaKey(-7, n, e), "not one for ES256"},
		{"RS256 with a curve", ec2(-257, 1, x, y), "algorithm"},
		{"EdDSA with a curve of ES256", ec2(-8, 1, x, y), "algorithm"},
		{"ES256 with an Ed25519 key", okp(-7, 6, x), "algorithm"},
		{"ES256 with P-384", ec2(-7, 2, x384, y384), "curve"},
		{"ES256 without a curve",
			key(number(1), number(2), number(3), number(-7), number(-2), byteString(x), number(-3), byteString(y)),
			"curve"},
		{"EdDSA with Ed448", okp(-8, 7, x), "curve"},
		{"EdDSA with X25519", okp(-8, 4, x), "curve"},
		{"a point that is not on the curve", ec2(-7, 1, y, x), "not on curve"},
		{"the point at infinity", ec2(-7, 1, make([]byte, 32), make([]byte, 32)), "not on curve"},
		{"a coordinate that is too short", ec2(-7, 1, x[:31], y), "length"},
		{"an Ed25519 key that is too short", okp(-8, 6, x[:31]), "length"},
		{"RSA with 1024 bits", rsaKey(-257, modulus(1024), e), "unfit"},
		{"RSA with 2047 bits", rsaKey(-257, modulus(2047), e), "unfit"},
		{"RSA with 4097 bits", rsaKey(-257, modulus(4097), e), "unfit"},
		{"RSA with 200,000 bits", rsaKey(-257, modulus(200000), e), "public key has"},
		{"RSA with an even modulus", rsaKey(-257, append(bytes.Clone(n[:255]), 2), e), "unfit"},
		{"RSA with the exponent 1", rsaKey(-257, n, []byte{1}), "unfit"},
		{"RSA with the exponent 0", rsaKey(-257, n, []byte{0}), "exponent"},
		{"RSA with an even exponent", rsaKey(-257, n, []byte{4}), "unfit"},
		{"RSA with a huge exponent", rsaKey(-257, n, bytes.Repeat([]byte{0xff}, 16)), "exponent"},
		{"RSA with an exponent of 33 bits", rsaKey(-257, n, []byte{1, 0, 0, 0, 1}), "unfit"},
		{"RSA without a modulus", rsaKey(-257, nil, e), "modulus"},
		{"a key that carries something else", key(number(1), number(1), number(3), number(-8), number(-1), number(6),
			number(-2), byteString(x), number(99), byteString(make([]byte, 1000))), "public key has"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDevice()
			d.cose = c.cose
			stored, err := newParty(t).Register(challenge, document(d.create(challenge)))
			if c.reason != "" {
				refused(t, err, c.reason)
				// No signature of such a key over itself is verified: for a huge one that takes long.
				d.format, d.statement = "packed", selfStatement(d, d.sign)
				_, err = newParty(t).Register(challenge, document(d.create(challenge)))
				refused(t, err, c.reason)
			} else if err != nil || !bytes.Equal(stored.PublicKey, c.cose) {
				t.Errorf("%+v: %v", stored, err)
			}
		})
	}
}
