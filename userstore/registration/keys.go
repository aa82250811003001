package registration

import (
	"encoding/json"
	"slices"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/userstore"
)

const (
	maxClientKeys = 20
	maxClientJWKS = 64 << 10 // bytes
	fieldJWKS     = "jwks"
)

// privateMembers are the members that only a private or symmetric JWK has (RFC 7518 section 6).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// signatureAlgorithms are the algorithms that we verify.
var signatureAlgorithms = []string{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// checkKeys checks a client's keys by RFC 7591 section 2: they are in the registration or at an
// address, and public.
func checkKeys(c *userstore.Client, fs *userstore.Faults) {
	if len(c.JWKS) > 0 && c.JWKSURI != "" {
		fs.Add("jwks_uri", invalid("Give jwks or jwks_uri, not both."))
	}
	if c.AuthMethod == userstore.AuthPrivateKeyJWT && len(c.JWKS) == 0 && c.JWKSURI == "" {
		fs.Add(fieldJWKS, required("A client that authenticates by private_key_jwt needs its public keys here, or their address as jwks_uri."))
	}
	if len(c.JWKS) > 0 {
		checkJWKS(c.JWKS, fs)
	}
}

// RequestObjectAlgorithms are the values that RequestObjectAlg may have.
var RequestObjectAlgorithms = []string{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA, jose.Ed25519, userstore.RequestObjectUnsigned}

// checkRequestObjects checks that the client has the keys for the request objects that it is
// registered for.
func checkRequestObjects(c *userstore.Client, fs *userstore.Faults) {
	addList(fs, "request_uris", c.RequestURIs, webURI)
	alg := oneOf(c.RequestObjectAlg, append([]string{""}, RequestObjectAlgorithms...)...)
	fs.Add("request_object_signing_alg", alg)
	named := c.RequestObjectAlg != "" && c.RequestObjectAlg != userstore.RequestObjectUnsigned
	signs := c.RequireSignedRequestObject || named && alg == (userstore.Fault{})
	if signs && len(c.JWKS) == 0 && c.JWKSURI == "" && c.AuthMethod != userstore.AuthPrivateKeyJWT { // of which checkKeys demands them
		fs.Add(fieldJWKS, required("A client that signs its request objects needs its public keys here, or their address as jwks_uri."))
	}
	if c.RequireSignedRequestObject && c.RequestObjectAlg == userstore.RequestObjectUnsigned {
		fs.Add("require_signed_request_object", invalid("Its request objects cannot both be signed and have the request_object_signing_alg none."))
	}
}

// checkJWKS refuses a set that contains a dangerous or broken key. It allows sound keys that we do
// not use, such as keys for encryption or of an unsupported kind.
func checkJWKS(document []byte, fs *userstore.Faults) {
	if len(document) > maxClientJWKS {
		fs.Add(fieldJWKS, tooLong("The key set has 64 KiB at most."))
		return
	}
	if _, _, err := jose.ParseKeySet(document); err != nil {
		fs.Add(fieldJWKS, invalid("This is not a JWK set: an object with keys, a list (RFC 7517 section 5)."))
		return
	}
	var keys []json.RawMessage
	err := strictjson.Object(document, func(name, value []byte) {
		if string(name) == "keys" {
			_ = json.Unmarshal(value, &keys) // a list: ParseKeySet has read it
		}
	})
	if err != nil && len(keys) == 0 {
		fs.Add(fieldJWKS, invalid("This is not a JWK set: each member stands once."))
		return
	}
	if len(keys) > maxClientKeys {
		fs.Add(fieldJWKS, tooLong("The key set has 20 keys at most."))
		return
	}
	before, usable := len(*fs), false
	for n, data := range keys {
		good, f := checkJWK(data)
		usable = usable || good
		fs.Add(memberOf("jwks.keys", n), f)
	}
	if !usable && len(*fs) == before {
		fs.Add(fieldJWKS, invalid("No key of the set is for signatures: it needs an RSA key of 2048 bits or more, a P-256 or an Ed25519 key."))
	}
}

// checkJWK checks one key. good reports whether the key can verify a signature.
func checkJWK(data []byte) (good bool, f userstore.Fault) {
	if _, err := jose.ParsePublic(data); err == nil {
		return true, userstore.Fault{}
	}
	members, private := map[string]string{}, false
	err := strictjson.Object(data, func(name, value []byte) {
		text, _ := strictjson.String(value)
		members[string(name)] = text
		private = private || slices.Contains(privateMembers, string(name))
	})
	switch {
	case err != nil:
		return false, invalid("This is not a JWK: an object, each member once.")
	case private || members["kty"] == "oct":
		return false, notAllowed("This is a private or symmetric key. Whoever has seen it can pass for the client: make another one, and register its public half.")
	case members["use"] == "enc",
		members["use"] == "" && members["alg"] != "" && !slices.Contains(signatureAlgorithms, members["alg"]):
		return false, userstore.Fault{} // not for signatures, or for an algorithm that we do not verify
	case members["kty"] == "EC" && members["crv"] != "P-256", members["kty"] == "OKP" && members["crv"] != "Ed25519":
		return false, userstore.Fault{} // not supported
	case members["kty"] == "RSA":
		return false, invalid("This RSA key cannot be used: it needs n of 2048 to 8192 bits and a sound e, in base64url without padding, and an algorithm of RSA.")
	}
	return false, invalid("This key cannot be used: see RFC 7517 and RFC 7518 for what it needs.")
}
