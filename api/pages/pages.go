// Package pages serves browsers: the authorization endpoint, the end session endpoint and the
// hosted pages between them. This package decides which page is shown when; api/web makes it.
package pages

import (
	"time"

	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/logos"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// Handlers are the endpoints and pages.
type Handlers struct {
	Issuer   *issuer.Issuer
	Accounts *userstore.Accounts
	Pages    *web.Pages
	Export   profile.Exporter
	Logos    *logos.Cache // nil: clients have no logos
	Now      func() time.Time
}
