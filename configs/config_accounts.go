package configs

import "time"

// Accounts is the section `accounts`.
type Accounts struct {
	// Whether strangers may make an account (POST /v1/signup). `signet users create` always can.
	Signup bool `key:"signup"`

	// Whether first-party apps may send a password as JSON (POST /v1/login).
	JSONLogin bool `key:"json_login"`

	// Whether people have to prove their email address: required (an account is made when its
	// address is proved, and nobody signs in to an unverified account), optional (a sign-up sends a
	// message, and nobody has to follow it) or off (a sign-up sends none). Not given: required with
	// `mail.smtp`, optional where messages go to files, else off.
	EmailVerification string `key:"email_verification"`

	// Whether users are told by mail that somebody signed in to their account at the pages in a browser
	// that did not do so in the last 90 days. Needs mail.
	NotifyNewDevice bool `key:"notify_new_device"`

	// Who has to have a second factor, an authenticator app or a passkey: nobody (optional), users
	// with the role admin (admins), or everybody (required). With off nobody can set one up; accounts
	// that have one are still asked for it.
	SecondFactor string `key:"second_factor"`
}

// The values of accounts.second_factor.
const (
	SecondFactorOff      = "off"
	SecondFactorOptional = "optional"
	SecondFactorAdmins   = "admins"
	SecondFactorRequired = "required"
)

// The values of accounts.email_verification.
const (
	VerificationRequired = "required"
	VerificationOptional = "optional"
	VerificationOff      = "off"
)

// EmailVerification returns accounts.email_verification, or what it is if it is not given.
func (c Config) EmailVerification() string {
	switch {
	case c.Accounts.EmailVerification != "":
		return c.Accounts.EmailVerification
	case c.Mail.SMTP != "":
		return VerificationRequired
	case c.MailFiles():
		return VerificationOptional
	}
	return VerificationOff
}

// Sessions is the section `sessions`: how long a browser stays signed in to Signet itself,
// so that the next app need not ask for the password.
type Sessions struct {
	// From the login. At most 5 years (43800h).
	Absolute time.Duration `key:"absolute"`

	// Without a use. At most `sessions.absolute`.
	Idle time.Duration `key:"idle"`

	// How long a browser that its user trusts is not asked for the second factor. At most a year
	// (8760h). 0: no browser is trusted.
	TrustedBrowser time.Duration `key:"trusted_browser"`
}
