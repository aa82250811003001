// Package account is the account API, /v1: what people do with their own account through a
// first-party app.
package account

import (
	"time"

	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// Handlers are the endpoints. Those that take an issuer.Session are called by way of
// bearer.Authenticator.
type Handlers struct {
	Issuer    *issuer.Issuer
	Accounts  *userstore.Accounts
	Export    profile.Exporter
	Now       func() time.Time
	JSONLogin bool // accounts.json_login
}
