package issuer

import (
	"strings"

	"github.com/signet-id/signet/userstore"
)

// Values of Issuer.RequirePKCE.
const (
	RequirePKCEOfAll    = "all"
	RequirePKCEOfPublic = "public"
)

var (
	errNoChallenge     = refuse(InvalidRequest, "This client has to use PKCE: send code_challenge, and code_challenge_method S256.")
	errChallengeMethod = refuse(InvalidRequest, "The code_challenge_method has to be S256, and to come with a code_challenge.")
	errChallenge       = refuse(InvalidRequest, "The code_challenge has to be a SHA-256 in base64url: 43 characters without padding.")
)

// challengeLength is the length of a SHA-256 in base64url (RFC 7636 section 4.2).
const challengeLength = 43

// codeChallenge reads the PKCE parameters of an authorization request. plain is refused: it gives
// no protection from an attacker who sees the request. A client that sends a challenge without
// having to must send the verifier all the same. Where no code is asked for there is nothing to
// challenge.
func (i *Issuer) codeChallenge(p Pending, r AuthorizationRequest, client userstore.Client) (string, error) {
	switch {
	case !p.responseType().code:
		return "", nil
	case r.CodeChallenge == "" && r.CodeChallengeMethod == "":
		if i.requiresPKCE(client) {
			return "", errNoChallenge
		}
		return "", nil
	case r.CodeChallenge == "" || r.CodeChallengeMethod != "S256":
		return "", errChallengeMethod
	case len(r.CodeChallenge) != challengeLength || strings.Trim(r.CodeChallenge, base64URL) != "":
		return "", errChallenge
	}
	return r.CodeChallenge, nil
}

const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// requiresPKCE reports whether client must use PKCE: a public client always, others as they are
// registered, or else as this issuer is configured.
func (i *Issuer) requiresPKCE(client userstore.Client) bool {
	switch {
	case client.Public():
		return true
	case client.PKCE != "":
		return client.PKCE != userstore.PKCEOptional
	}
	return i.RequirePKCE != RequirePKCEOfPublic
}
