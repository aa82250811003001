package userstore

import (
	"errors"

	"github.com/signet-id/signet/internal/counts"
)

// Counts counts what happens to accounts, for metrics. The zero value is ready, and nil counts
// nothing.
type Counts struct {
	Logins  counts.Outcomes // by LoginOutcomes
	SignUps counts.Outcomes // by SignUpOutcomes
}

// LoginOutcomes are the outcomes of the steps of logins. A login with a second factor has two steps:
// the first one ends with second_factor_needed. An unknown name is a wrong password, here too.
var LoginOutcomes = []string{
	"ok", "wrong_password", "throttled", "overloaded", "second_factor_needed", "second_factor_failed",
	"setup_needed", "disabled", "unverified", "expired", "not_allowed", "failed",
}

const (
	loginOK = iota
	loginWrong
	loginThrottled
	loginOverloaded
	loginSecondNeeded
	loginSecondFailed
	loginSetupNeeded
	loginDisabled
	loginUnverified
	loginExpired
	loginNotAllowed
	loginFailed
)

// loginErrors are the errors of a step of a login, with their outcomes. Other errors concern the
// request or its client, not a login.
var loginErrors = []struct {
	err     error
	outcome int
}{
	{ErrInvalidCredentials, loginWrong},
	{ErrRateLimited, loginThrottled},
	{ErrCodesBlocked, loginThrottled},
	{ErrOverloaded, loginOverloaded},
	{ErrSecondFactor, loginSecondNeeded},
	{ErrFactorRefused, loginSecondFailed},
	{ErrSetupRequired, loginSetupNeeded},
	{ErrAccountDisabled, loginDisabled},
	{ErrEmailNotVerified, loginUnverified},
	{ErrStepOver, loginExpired},
	{ErrUnavailable, loginFailed},
}

// login counts a step of a login that failed.
func (c *Counts) login(err error) {
	if c == nil || err == nil {
		return
	}
	for _, e := range loginErrors {
		if errors.Is(err, e.err) {
			c.Logins.Add(e.outcome)
			return
		}
	}
}

// loginEnded counts the last step of a login, which stored it.
func (c *Counts) loginEnded(v Verified, err error) {
	switch {
	case c == nil:
	case err != nil:
		c.login(err)
	case !v.Continues:
		c.Logins.Add(loginOK)
	}
}

// loginNotAllowed counts a login whose proofs were right, and which the issuer refused.
func (c *Counts) loginNotAllowed() {
	if c != nil {
		c.Logins.Add(loginNotAllowed)
	}
}

// SignUpOutcomes are the outcomes of sign-ups. A pending one is confirmed when its address is proved.
var SignUpOutcomes = []string{
	"created", "pending", "confirmed", "taken", "closed", "throttled", "overloaded", "refused", "failed",
}

const (
	signUpCreated = iota
	signUpPending
	signUpConfirmed
	signUpTaken
	signUpClosed
	signUpThrottled
	signUpOverloaded
	signUpRefused
	signUpFailed
)

// signUp counts a sign-up. done is its outcome without an error.
func (c *Counts) signUp(done int, err error) {
	if c == nil {
		return
	}
	outcome := done
	switch {
	case err == nil:
	case errors.Is(err, ErrExists):
		outcome = signUpTaken
	case errors.Is(err, ErrSignupClosed):
		outcome = signUpClosed
	case errors.Is(err, ErrRateLimited):
		outcome = signUpThrottled
	case errors.Is(err, ErrOverloaded):
		outcome = signUpOverloaded
	case errors.Is(err, ErrUnavailable):
		outcome = signUpFailed
	default:
		outcome = signUpRefused // what was typed
	}
	c.SignUps.Add(outcome)
}

// Limits are the reasons for which a throttle refuses: the words of the audit log.
var Limits = []string{
	"guesses_at_account", "guesses_at_client", "guesses_from_network", "guesses_from_block",
	"signups_from_network", "signups_from_block", "mail_from_network", "mail_from_block",
	"devices_from_network", "devices_from_block",
	"registrations_from_network", "registrations_from_block", "registrations_in_all",
	"user_codes_from_session", "user_codes_from_network", "user_codes_from_block", "user_codes_in_all",
}
