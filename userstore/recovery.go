package userstore

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/signet-id/signet/internal/mac"
)

// recoveryCodes is how many an account gets at once.
const recoveryCodes = 10

// recoveryAlphabet has no letters that look like a digit. A code has 15 of them: 75 bits.
const (
	recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	recoveryLength   = 15
	recoveryGroup    = 5
)

var recoveryEncoding = base32.NewEncoding(recoveryAlphabet).WithPadding(base32.NoPadding)

// newRecoveryCodes returns codes for a user, and what is stored of them.
func (a *Accounts) newRecoveryCodes(userID string) (codes []string, macs [][]byte, err error) {
	key, err := a.recoveryKey()
	if err != nil {
		return nil, nil, err
	}
	for range recoveryCodes {
		random := make([]byte, 10)
		rand.Read(random) // never fails: the process ends instead
		code := recoveryEncoding.EncodeToString(random)[:recoveryLength]
		macs = append(macs, recoveryMAC(key, userID, code))
		codes = append(codes, grouped(code))
	}
	return codes, macs, nil
}

func grouped(code string) string {
	var groups []string
	for ; len(code) > recoveryGroup; code = code[recoveryGroup:] {
		groups = append(groups, code[:recoveryGroup])
	}
	return strings.Join(append(groups, code), "-")
}

// recoveryMACs returns the stored forms that a typed code can have: that of our codes, and that of
// imported ones.
func (a *Accounts) recoveryMACs(userID, typed string) ([][]byte, error) {
	key, err := a.recoveryKey()
	if err != nil {
		return nil, err
	}
	return [][]byte{
		recoveryMAC(key, userID, normalRecoveryCode(typed)),
		importedRecoveryMAC(key, userID, HashImportedRecoveryCode(typed)),
	}, nil
}

// normalRecoveryCode reads a code as people type it: in groups, in capitals, with letters for the
// digits that they look like.
func normalRecoveryCode(typed string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '\t':
			return -1
		case 'o', 'O':
			return '0'
		case 'i', 'I', 'l', 'L':
			return '1'
		}
		if r >= 'A' && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, typed)
}

// recoveryMAC is bound to the user, so that a code of one account is none of another.
func recoveryMAC(key []byte, userID, code string) []byte {
	return mac.Sum(key, "recovery code", userID, code)
}

// importedRecoveryMAC is a MAC of the hash of a code, because another system keeps no more of it.
func importedRecoveryMAC(key []byte, userID string, hash ImportedRecoveryCode) []byte {
	return mac.Sum(key, "imported recovery code", userID, string(hash[:]))
}

func (a *Accounts) recoveryKey() ([]byte, error) {
	key, err := a.RecoveryKey()
	if err == nil && len(key) < 16 {
		err = fmt.Errorf("the key of recovery codes is too short")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return key, nil
}
