package issuer

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/strictjson"
)

// claimsRequest is the claims parameter (OIDC Core section 5.5): which claims a client wants from
// userinfo and in the ID token. A claim that is requested without conditions is nil.
type claimsRequest struct {
	Userinfo map[string]*requestedClaim `json:"userinfo,omitempty"`
	IDToken  map[string]*requestedClaim `json:"id_token,omitempty"`
}

// requestedClaim holds the conditions on one claim.
type requestedClaim struct {
	Essential bool              `json:"essential,omitempty"`
	Value     json.RawMessage   `json:"value,omitempty"`
	Values    []json.RawMessage `json:"values,omitempty"`
}

var errClaims = refuse(InvalidRequest, "The claims parameter cannot be read: send the JSON object of OIDC Core section 5.5.")

// maxRequestedClaims bounds the claims that one request may name.
const maxRequestedClaims = 64

// parseClaims reads the parameter strictly: two readers of one document must not see two requests.
// Unknown members are ignored, as section 5.5 requires.
func parseClaims(text string) (c claimsRequest, err error) {
	if text == "" {
		return c, nil
	}
	if !storable(text, maxClaims) {
		return c, errClaims
	}
	members, err := strictjson.Members([]byte(text))
	if err != nil {
		return c, errClaims.because(err)
	}
	for _, m := range members {
		switch m.Name {
		case "userinfo":
			c.Userinfo, err = parseRequestedClaims(m.Value)
		case "id_token":
			c.IDToken, err = parseRequestedClaims(m.Value)
		}
		if err != nil {
			return claimsRequest{}, errClaims.because(err)
		}
	}
	return c, nil
}

func parseRequestedClaims(text []byte) (map[string]*requestedClaim, error) {
	members, err := strictjson.Members(text)
	if err != nil {
		return nil, err
	}
	if len(members) > maxRequestedClaims {
		return nil, errClaims
	}
	requested := map[string]*requestedClaim{}
	for _, m := range members {
		// PostgreSQL holds no U+0000, which JSON may escape.
		if strings.Contains(m.Name, "\x00") || strings.Contains(string(m.Value), `\u0000`) {
			return nil, errClaims
		}
		if string(m.Value) == "null" {
			requested[m.Name] = nil
			continue
		}
		var w requestedClaim
		if err := strictjson.Unmarshal(m.Value, &w, strictjson.IgnoreUnknown); err != nil {
			return nil, err
		}
		requested[m.Name] = &w
	}
	return requested, nil
}

// canonical returns the request as it is stored: sorted, without unknown members. Empty: no claims
// are requested.
func (c claimsRequest) canonical() string {
	if len(c.Userinfo) == 0 && len(c.IDToken) == 0 {
		return ""
	}
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // it was JSON before
	}
	return string(text)
}

// names reports whether a claim is requested in the ID token or from userinfo.
func (c claimsRequest) names(claim string) bool {
	_, here := c.Userinfo[claim]
	_, there := c.IDToken[claim]
	return here || there
}

// subject returns the sub that the request insists on; empty: any user (OIDC Core section 5.5.1).
func (c claimsRequest) subject() string {
	for _, requested := range []map[string]*requestedClaim{c.IDToken, c.Userinfo} {
		if w := requested["sub"]; w != nil {
			if sub, ok := strictjson.String(w.Value); ok {
				return sub
			}
		}
	}
	return ""
}

// essentialACR returns the values of acr that the request insists on (OIDC Core section 5.5.1.1);
// none: it does not insist.
func (c claimsRequest) essentialACR() (wanted []string) {
	w := c.IDToken["acr"]
	if w == nil || !w.Essential {
		return nil
	}
	values := slices.Clone(w.Values)
	if w.Value != nil {
		values = append(values, w.Value)
	}
	for _, v := range values {
		text, _ := strictjson.String(v) // what is no text is a value that nobody reaches
		wanted = append(wanted, text)
	}
	return wanted
}

// reachable reports whether some login here satisfies the values that the request insists on.
func (c claimsRequest) reachable() bool {
	wanted := c.essentialACR()
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(v string) bool { return slices.Contains(acrValues, v) })
}
