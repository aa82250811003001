package main

import (
	"fmt"
	"strings"

	"github.com/signet-id/signet/configs"
)

// welcome prints, after the very first start, where the server listens and which commands to try.
// The commands work as printed, and only commands that this configuration allows are shown.
//
// If an issuer is configured, people and apps reach the server under that URL, so the commands use
// it.
func (a *app) welcome(c configs.Config, base string) {
	where := "listens on " + base
	if c.Issuer != "" && c.Issuer != base {
		where = "is " + c.Issuer + ", listens on port " + base[strings.LastIndexByte(base, ':')+1:]
		base = c.Issuer
	}
	var text strings.Builder // written in one call
	fmt.Fprintf(&text, `
Signet %[1]s and keeps everything in %[2]s.
Back up %[3]s, apart from the database: nothing opens the signing keys without it.

`, where, c.Database(), c.KEKPath())

	signup := fmt.Sprintf(`curl %s/v1/signup -H 'Content-Type: application/json' \
    -d '{"email": "ada@example.com", "password": "correct horse battery staple"}'`, base)
	proved := c.EmailVerification() == configs.VerificationRequired // then a sign-up goes on in a mailbox
	if !c.Accounts.Signup || proved {
		signup = `echo 'correct horse battery staple' |
    signet users create --email ada@example.com --password-file -`
	}
	if proved {
		signup += " --email-verified"
	}
	switch {
	case !c.Accounts.JSONLogin && proved && c.Accounts.Signup:
		fmt.Fprintf(&text, `Apps cannot log in with a password (accounts.json_login is off). In another terminal, here and
with the same configuration, make an account whose address counts as proved:

  %s

`, signup)
	case !c.Accounts.JSONLogin && c.Accounts.Signup:
		fmt.Fprintf(&text, "Try it in another terminal. Sign up (apps cannot log in with a password: accounts.json_login is off):\n\n  %s\n\n", signup)
	case !c.Accounts.JSONLogin:
		fmt.Fprintf(&text, "Strangers cannot sign up and apps cannot log in with a password (accounts.signup and\naccounts.json_login are off). In another terminal, make an account:\n\n  %s\n\n", signup)
	default:
		first := "Try it in another terminal. Sign up, then log in:"
		if proved {
			first = `Who signs up proves the address by mail first. In another terminal, here and with the same
configuration, make an account whose address counts as proved, then log in:`
		}
		if !c.Accounts.Signup {
			first = "Strangers cannot sign up (accounts.signup is off). In another terminal, here and with the\nsame configuration, make an account, then log in:"
		}
		fmt.Fprintf(&text, `%s

  %s

  curl %s/v1/login -H 'Content-Type: application/json' \
    -d '{"email": "ada@example.com", "password": "correct horse battery staple", "scope": "openid profile email"}'

`, first, signup, base)
	}
	fmt.Fprintf(&text, "Anybody verifies the tokens with the keys at %s/.well-known/jwks.json\n\n", base)
	fmt.Fprint(a.out, text.String())
}
