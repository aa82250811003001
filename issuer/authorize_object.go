package issuer

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/strictjson"
)

// heeding is r with what its request object says of the way to answer. We take no request objects; but response_mode and state
// may stand in one alone (OIDC Core section 6.1), where they win, and a client that waits for a form, or for its state, would
// not know the refusal otherwise. That nobody verified the object does no harm: nobody verifies a query either.
func (r AuthorizationRequest) heeding() AuthorizationRequest {
	parts := strings.Split(r.Request, ".")
	if len(parts) != 3 || slices.Contains(r.Repeated, "request") {
		return r
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return r
	}
	members, err := strictjson.Members(payload)
	if err != nil {
		return r
	}
	for _, m := range members {
		switch text, ok := strictjson.String(m.Value); {
		case !ok:
		case m.Name == "state":
			r.State = text
		case m.Name == "response_mode" && (text == ModeQuery || text == ModeFormPost):
			r.ResponseMode = text
		}
	}
	return r
}
