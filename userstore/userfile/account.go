package userfile

import (
	"fmt"

	"github.com/signet-id/signet/userstore"
)

// Account is an account as a file has it.
type Account struct {
	userstore.User
	Factors userstore.ImportedFactors

	// LeftOut lists the credentials of the account that the file has and nobody can check here. The
	// rest of the account is good.
	LeftOut []LeftOut
}

// LeftOut is a credential that was not read into Account. Reason says which kind of credential it
// is, and why, without repeating the file.
type LeftOut struct {
	Line   int
	Reason string
}

const (
	authenticatorApp = "the authenticator app"
	recoveryCodes    = "the recovery codes"
)

// leaveOut records that a credential is left out. what names its kind.
func (a *Account) leaveOut(line int, what, why string) {
	a.LeftOut = append(a.LeftOut, LeftOut{line, fmt.Sprintf("%s left out: %s", what, why)})
}

// takeTOTP gives the account an authenticator app, if it can be checked and is the first.
func (a *Account) takeTOTP(line int, app userstore.ImportedTOTP) {
	if err := app.Validate(); err != nil {
		a.leaveOut(line, authenticatorApp+" is", err.Error())
		return
	}
	if a.Factors.TOTP != nil {
		a.leaveOut(line, "another authenticator app is", "an account has one, and the first in the file is kept")
		return
	}
	a.Factors.TOTP = &app
}

// finish drops recovery codes without a second factor. They stand in for one, and would be the only
// way into an account that its password opens.
func (a *Account) finish(line int) {
	if a.Factors.TOTP == nil && len(a.Factors.Recovery) > 0 {
		a.Factors.Recovery = nil
		a.leaveOut(line, recoveryCodes+" are", "they stand in for a second factor, and the account has none here")
	}
}
