// Package registration holds the rules by which clients come to be, change and end. What a client is,
// and how it authenticates, is userstore's; the store only moves rows.
//
// A registration passes through:
//
//	api/admin, cmd, issuer
//	  └→ Registry              registry.go: clients of operators; register.go: clients that register
//	     │                     themselves; metadata_document.go: clients whose client_id is an address
//	     ├ what can be left out usable.go
//	     ├ rules               rules.go, and a file for each subject: uris.go, keys.go, responses.go, …
//	     ├ who may register    tokens.go (initial access tokens), userstore.Throttle
//	     ├ audit entries       changes.go
//	     └→ Store              implemented by userstore/sqlstore
package registration
