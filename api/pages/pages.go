// Package pages is what a browser is led through: the authorization endpoint, the end session endpoint and the hosted
// pages between them. api/web makes the pages; which of them is shown when is decided here.
package pages

import (
	"time"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// Handlers are the endpoints and pages.
type Handlers struct {
	Issuer   *issuer.Issuer
	Accounts *userstore.Accounts
	Pages    *web.Pages
	Now      func() time.Time
}
