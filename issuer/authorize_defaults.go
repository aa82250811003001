package issuer

import (
	"strconv"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// withDefaults returns r with what the client registered for requests that do not say it (OIDC
// Registration section 2): default_max_age and default_acr_values. A third one, require_auth_time,
// needs nothing: every ID token has auth_time.
func (r AuthorizationRequest) withDefaults(c userstore.Client) AuthorizationRequest {
	if r.MaxAge == "" && c.DefaultMaxAge != nil {
		r.MaxAge = strconv.FormatInt(*c.DefaultMaxAge, 10)
	}
	if r.ACRValues == "" {
		r.ACRValues = strings.Join(c.DefaultACRValues, " ")
	}
	return r
}
