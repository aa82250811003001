// Package protocol is the endpoints of OAuth 2.1 and OpenID Connect that apps and resource servers
// call themselves, without a browser: token, introspection, revocation and userinfo.
package protocol

import "github.com/signet-id/signet/issuer"

// Handlers are the endpoints. Each reads one request, asks the issuer once and writes its answer.
type Handlers struct {
	Issuer *issuer.Issuer
}
