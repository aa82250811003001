package userstore

import (
	"crypto/sha512"
	"errors"
	"strings"
	"unicode"

	"github.com/signet-id/signet/internal/factorseal"
	"github.com/signet-id/signet/internal/totp"
)

// ImportedFactors are the second factor and the recovery codes of an account that comes from
// another system. The zero value has none.
type ImportedFactors struct {
	TOTP     *ImportedTOTP
	Recovery []ImportedRecoveryCode // each once; only beside a second factor
}

// check returns what is wrong with the factors, as a ValidationError.
func (f ImportedFactors) check() error {
	var fs Faults
	switch {
	case f.TOTP == nil && len(f.Recovery) > 0:
		fs.Add("recovery_codes", Fault{CodeNotAllowed,
			"Recovery codes stand in for a second factor, and the account has none."})
	case f.TOTP != nil && f.TOTP.Validate() != nil:
		fs.Add("totp", Fault{CodeInvalid, "The authenticator app cannot be checked here."})
	}
	return fs.Err()
}

// sealImported returns what is stored of the factors of the user, which has an authenticator app.
func (a *Accounts) sealImported(userID string, f ImportedFactors) (FirstFactors, error) {
	seal, err := a.AppKey()
	if err != nil {
		return FirstFactors{}, err
	}
	app := AuthenticatorApp{
		ID: CommandLineID(a.NewID), UserID: userID, Algorithm: f.TOTP.Algorithm, Digits: f.TOTP.Digits,
		Period: f.TOTP.Period, LastCounter: f.TOTP.LastCounter, CreatedAt: a.now(),
	}
	app.Sealed = factorseal.Seal(seal, userID, app.ID, f.TOTP.Secret)
	first := FirstFactors{App: app}
	if len(f.Recovery) == 0 {
		return first, nil
	}
	key, err := a.recoveryKey()
	if err != nil {
		return FirstFactors{}, err
	}
	for _, hash := range f.Recovery {
		first.RecoveryCodes = append(first.RecoveryCodes, importedRecoveryMAC(key, userID, hash))
	}
	return first, nil
}

// ImportedTOTP is an authenticator app that its user set up and confirmed in another system. Its
// key keeps the parameters that it had there. An app that counts from another instant than 1970 is
// none: the codes of a Key count from there.
type ImportedTOTP struct {
	totp.Key
	LastCounter int64 // of the last code that the other system took; -1: not known
}

// lastSecond is the end of the year 9999, after which no time step is.
const lastSecond = 253402300799

// Validate returns why the app cannot be taken. The error repeats no part of the secret.
func (t ImportedTOTP) Validate() error {
	if err := t.Key.Validate(); err != nil {
		return err
	}
	if t.LastCounter < -1 || t.LastCounter > lastSecond/int64(t.Period) {
		return errors.New("the counter of its last code is impossible")
	}
	return nil
}

// ImportedRecoveryCode is the hash of a recovery code of Keycloak: SHA-512 of the code in UTF-8,
// once and without a salt. Keycloak writes it in base64 and names the algorithm RS512 or SHA-512.
// Its codes are 12 random letters and digits, about 61 bits, so that the hash does not tell the
// code. HashImportedRecoveryCode computes the hash of a code as a user types it.
type ImportedRecoveryCode [sha512.Size]byte

// HashImportedRecoveryCode returns the hash of a typed code. Keycloak makes codes of capital
// letters and digits, and shows them in groups. So lower case becomes upper case, and spaces and
// dashes are left out, before the code is hashed.
func HashImportedRecoveryCode(typed string) ImportedRecoveryCode {
	code := strings.Map(func(r rune) rune {
		switch {
		case r == '-' || unicode.IsSpace(r):
			return -1
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, typed)
	return sha512.Sum512([]byte(code))
}
