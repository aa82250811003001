package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

// requestedClaim holds the conditions on one claim. They bind the login where the claim is sub or
// acr. Any other claim is returned as the user has it: a request for a value is a wish, and the app
// compares (OIDC Core section 5.5.1 wants no error, and to withhold the claim would say less than
// the value).
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
		w, err := parseRequestedClaim(m.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		if m.Name == "sub" && !w.wantsText() {
			return nil, errors.New("sub: a value is not text")
		}
		requested[m.Name] = w
	}
	return requested, nil
}

// parseRequestedClaim reads the conditions on one claim: null, or an object.
func parseRequestedClaim(text []byte) (*requestedClaim, error) {
	if string(text) == "null" {
		return nil, nil
	}
	members, err := strictjson.Members(text)
	if err != nil {
		return nil, err
	}
	var w requestedClaim
	for _, m := range members {
		switch m.Name {
		case "essential":
			if string(m.Value) != "true" && string(m.Value) != "false" {
				return nil, errors.New("essential is neither true nor false")
			}
			w.Essential = string(m.Value) == "true"
		case "value":
			w.Value = m.Value
		case "values":
			if err := json.Unmarshal(m.Value, &w.Values); err != nil || len(w.Values) == 0 {
				return nil, errors.New("values is not a list with a member")
			}
		}
	}
	return &w, nil
}

// conditional reports whether the request names values; w may be nil.
func (w *requestedClaim) conditional() bool { return w != nil && (w.Value != nil || w.Values != nil) }

// wanted returns the values of a claim of text that the request wants, the preferred one first.
// value and values are both conditions: of a request with both, only a value that meets both
// remains.
func (w *requestedClaim) wanted() (out []string) {
	if !w.conditional() {
		return nil
	}
	values := w.Values
	if values == nil {
		values = []json.RawMessage{w.Value}
	}
	only, isText := strictjson.String(w.Value)
	for _, v := range values {
		if text, ok := strictjson.String(v); ok && (w.Value == nil || isText && text == only) {
			out = append(out, text)
		}
	}
	return out
}

// wantsText reports whether all values that the request names are text.
func (w *requestedClaim) wantsText() bool {
	if !w.conditional() {
		return true
	}
	values := w.Values
	if w.Value != nil {
		values = append(slices.Clone(values), w.Value)
	}
	return !slices.ContainsFunc(values, func(v json.RawMessage) bool { _, ok := strictjson.String(v); return !ok })
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

// withoutUserinfo drops the claims of userinfo, for a response without an access token: nobody is
// asked about what is never told. A condition on sub stays.
func (c *claimsRequest) withoutUserinfo() {
	maps.DeleteFunc(c.Userinfo, func(claim string, _ *requestedClaim) bool { return claim != "sub" })
}

// of returns the claims that are requested for a place: InIDToken or InUserinfo.
func (c claimsRequest) of(in string) map[string]*requestedClaim {
	if in == InIDToken {
		return c.IDToken
	}
	return c.Userinfo
}

// subjects returns the requested claims about the user's sub that insist on values.
func (c claimsRequest) subjects() (out []*requestedClaim) {
	for _, w := range []*requestedClaim{c.IDToken["sub"], c.Userinfo["sub"]} {
		if w.conditional() {
			out = append(out, w)
		}
	}
	return out
}

// admitsSubject reports whether the request is for the user whom the client knows as sub (OIDC Core
// section 5.5.1): a request may insist on one user, or on one of several.
func (c claimsRequest) admitsSubject(sub string) bool {
	return !slices.ContainsFunc(c.subjects(), func(w *requestedClaim) bool { return !slices.Contains(w.wanted(), sub) })
}

// acr returns the values of acr that the request wants, the preferred one first, and whether it
// insists on them (OIDC Core section 5.5.1.1). A request that does not insist is one by acr_values.
func (c claimsRequest) acr() (wanted []string, essential bool) {
	w := c.IDToken["acr"]
	return w.wanted(), w.conditional() && w.Essential
}

// reachable reports whether some login here satisfies the values that the request insists on.
func (c claimsRequest) reachable() bool {
	wanted, essential := c.acr()
	return !essential || slices.ContainsFunc(wanted, func(v string) bool { return slices.Contains(acrValues, v) })
}
