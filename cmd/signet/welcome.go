package main

import (
	"fmt"

	"github.com/signet-id/signet/configs"
)

// welcome tells somebody who has just started Signet for the first time where
// they are and what to try. Both commands work as they stand.
func (a *app) welcome(c configs.Config, base string) {
	fmt.Fprintf(a.out, `
Signet listens on %[1]s and keeps everything in %[2]s.
Back up %[3]s, apart from the database: nothing opens the signing keys without it.

Try it in another terminal. Sign up, then log in:

  curl %[1]s/v1/signup -H 'Content-Type: application/json' \
    -d '{"email": "ada@example.com", "password": "correct horse battery staple"}'

  curl %[1]s/v1/login -H 'Content-Type: application/json' \
    -d '{"email": "ada@example.com", "password": "correct horse battery staple", "scope": "openid profile email"}'

Anybody verifies the tokens with the keys at %[1]s/.well-known/jwks.json

`, base, c.Database(), c.KEKPath())
}
