package userfile

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/internal/totp"
	"github.com/signet-id/signet/userstore"
)

// credential is an element of `credentials` as `kc.sh export` of Keycloak writes it. The two data
// members are texts that hold JSON.
type credential struct {
	Type           string `json:"type"`
	SecretData     string `json:"secretData"`
	CredentialData string `json:"credentialData"`
}

// readCredentials adds the factors of Keycloak's credentials to the account.
func readCredentials(line int, a *Account, list []json.RawMessage) {
	for _, raw := range list {
		var c credential
		if strictjson.Unmarshal(raw, &c, strictjson.IgnoreUnknown) != nil {
			a.leaveOut(line, "a credential is", "it has not the form of Keycloak's export")
			continue
		}
		switch c.Type {
		case "otp":
			readOTP(line, a, c)
		case "recovery-authn-codes":
			readRecoveryCodes(line, a, c)
		case "webauthn", "webauthn-passwordless":
			a.leaveOut(line, "a passkey is", "WebAuthn credentials belong to the host that made them; the user adds a new one")
		case "password":
			a.leaveOut(line, "the password among the credentials is", "write its hash as password_hash, in a form that is taken here")
		case "totp", "hotp":
			a.leaveOut(line, authenticatorApp+" is", "it has the form of Keycloak before version 8; export it from a newer one")
		default:
			a.leaveOut(line, "a credential is", "its type is not known here")
		}
	}
	a.finish(line)
}

// keycloakAlgorithms are the names of Keycloak for the algorithms of a key.
var keycloakAlgorithms = map[string]string{"HmacSHA1": "SHA1", "HmacSHA256": "SHA256", "HmacSHA512": "SHA512"}

// noSecret is the reason for leaving out a credential without secrets.
const noSecret = "its secret is not in the file; `kc.sh export` writes secrets, Keycloak's admin API does not"

func readOTP(line int, a *Account, c credential) {
	var secret struct {
		Value string `json:"value"`
	}
	var data struct {
		SubType        string  `json:"subType"`
		Digits         int     `json:"digits"`
		Period         int     `json:"period"`
		Algorithm      string  `json:"algorithm"`
		SecretEncoding *string `json:"secretEncoding"`
	}
	fault := func(why string) { a.leaveOut(line, authenticatorApp+" is", why) }
	if !embedded(c.CredentialData, &data) {
		fault("its credentialData is not JSON of Keycloak's form")
		return
	}
	switch data.SubType {
	case "totp":
	case "hotp":
		fault(hotpRefused)
		return
	default:
		fault("its subType is not totp")
		return
	}
	if c.SecretData == "" {
		fault(noSecret)
		return
	}
	if !embedded(c.SecretData, &secret) {
		fault("its secretData is not JSON of Keycloak's form")
		return
	}
	key := totp.Key{Secret: []byte(secret.Value), Digits: data.Digits, Period: data.Period}
	// An unknown algorithm becomes an empty one, which no key may have.
	key.Algorithm = keycloakAlgorithms[data.Algorithm]
	if data.SecretEncoding != nil {
		var err error
		text := strings.TrimRight(strings.ToUpper(secret.Value), "=")
		key.Secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
		if err != nil || !strings.EqualFold(*data.SecretEncoding, "BASE32") {
			fault("its secret does not have the encoding base32, the only one that Keycloak names")
			return
		}
	}
	a.takeTOTP(line, userstore.ImportedTOTP{Key: key, LastCounter: -1})
}

// maxRecoveryCodes is the largest number of recovery codes. Keycloak makes 12, earlier 15.
const maxRecoveryCodes = 100

func readRecoveryCodes(line int, a *Account, c credential) {
	var secret struct {
		Codes []struct {
			Hash string `json:"encodedHashedValue"`
		} `json:"codes"`
	}
	var data struct {
		Algorithm  string `json:"algorithm"`
		Iterations *int   `json:"hashIterations"`
	}
	fault := func(why string) { a.leaveOut(line, recoveryCodes+" are", why) }
	switch {
	case !embedded(c.CredentialData, &data):
		fault("their credentialData is not JSON of Keycloak's form")
		return
	case data.Algorithm != "RS512" && data.Algorithm != "SHA-512" || data.Iterations != nil && *data.Iterations != 1:
		fault("their hash is not SHA-512, once")
		return
	case c.SecretData == "":
		fault(strings.Replace(noSecret, "its secret is", "their hashes are", 1))
		return
	case !embedded(c.SecretData, &secret):
		fault("their secretData is not JSON of Keycloak's form")
		return
	case len(secret.Codes) > maxRecoveryCodes:
		fault("they are more than 100")
		return
	}
	codes := slices.Clone(a.Factors.Recovery)
	for _, code := range secret.Codes {
		sum, err := base64.StdEncoding.DecodeString(code.Hash)
		var known userstore.ImportedRecoveryCode
		if err != nil || copy(known[:], sum) != len(known) || len(sum) != len(known) {
			fault("one of them is no hash of 64 bytes in base64")
			return
		}
		if !slices.Contains(codes, known) {
			codes = append(codes, known)
		}
	}
	a.Factors.Recovery = codes
}

// embedded reads JSON out of a text, and reports whether it could.
func embedded(text string, v any) bool {
	return strictjson.Unmarshal([]byte(text), v, strictjson.IgnoreUnknown) == nil
}
