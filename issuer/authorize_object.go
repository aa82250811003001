package issuer

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/strictjson"
)

// withRequestObject returns r with state and response_mode from its request object. We accept no
// request objects; but these two may stand in the object alone (OIDC Core section 6.1), where they
// win, and a client that waits for a form, or for its state, would not recognize the refusal
// otherwise. The object is not verified, which does no harm: a query is not verified either.
func (r AuthorizationRequest) withRequestObject() AuthorizationRequest {
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
