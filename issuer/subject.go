package issuer

import "github.com/signet-id/signet/userstore"

// subjectOf returns the sub of a grant's user: what the client of the grant, and every resource
// server that gets its tokens, knows the user by (OIDC Core section 8).
func subjectOf(g userstore.Grant) string { return g.UserID }
