// Package userstore keeps the accounts, the clients and the grants of Signet, and holds the rules of
// accounts. The rules by which clients are registered are the package registration.
//
// The rules live here, once; a storage engine only moves rows. A call passes through:
//
//	api, issuer, cmd
//	  └→ Accounts            accounts.go, authenticate.go, browser_login.go, credentials.go, activity.go, import.go
//	       ├ canonical names email.go, username.go, unicode.go
//	       ├ valid claims    claims.go, validation.go
//	       ├ new passwords   blocklist.go, breach.go
//	       ├ Hasher          the package password
//	       ├ throttling      throttle.go, attempt.go; the arithmetic in throttle_rules.go
//	       ├ audit entries   changes.go, recorder.go: events of internal/audit, stored with the change
//	       └→ Store          store.go (interfaces), implemented by userstore/sqlstore
//
// A user logs in by an email address or a username. Each has a canonical key, and only keys are
// compared and unique. The fields Email and Username hold what the user typed: never look up an
// account by them.
package userstore
