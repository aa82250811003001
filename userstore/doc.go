// Package userstore is what Signet remembers of people: accounts, the clients
// they use, and the grants they gave.
//
// Rules live here, once; engines only move rows. A call moves like this:
//
//	api, issuer, cmd
//	  └→ Accounts            accounts.go, authenticate.go, browser_login.go, credentials.go, activity.go, import.go
//	       ├ canonical names email.go, username.go, unicode.go
//	       ├ what may be said claims.go, validation.go
//	       ├ new passwords   blocklist.go, breach.go
//	       ├ Hasher          the package password
//	       ├ who may try     throttle.go, attempt.go; the arithmetic in throttle_rules.go
//	       ├ what is told    changes.go, recorder.go: events of internal/audit, stored with the act
//	       └→ Store          store.go (interfaces), implemented by userstore/sqlstore
//
// Two names log in, an email address and a username. Each has a canonical key,
// and only keys are compared or unique: whoever reads a row finds what the
// person typed in Email and Username, and must never look up by those.
package userstore
