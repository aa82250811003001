package issuer

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/strictjson"
)

// claimsRequest is the claims parameter (OIDC Core section 5.5): which claims a client wants from userinfo and
// in the ID token. A claim without more to say about it is nil.
type claimsRequest struct {
	Userinfo map[string]*claimWish `json:"userinfo,omitempty"`
	IDToken  map[string]*claimWish `json:"id_token,omitempty"`
}

// claimWish is what is said of one claim.
type claimWish struct {
	Essential bool              `json:"essential,omitempty"`
	Value     json.RawMessage   `json:"value,omitempty"`
	Values    []json.RawMessage `json:"values,omitempty"`
}

var errClaims = refuse(InvalidRequest, "The claims parameter cannot be read: send the JSON object of OIDC Core section 5.5.")

// maxWishes bounds how many claims one request may name.
const maxWishes = 64

// parseClaims reads the parameter strictly: two readers of one document must not see two requests. Members that
// are not understood are ignored, as section 5.5 has it.
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
			c.Userinfo, err = parseWishes(m.Value)
		case "id_token":
			c.IDToken, err = parseWishes(m.Value)
		}
		if err != nil {
			return claimsRequest{}, errClaims.because(err)
		}
	}
	return c, nil
}

func parseWishes(text []byte) (map[string]*claimWish, error) {
	members, err := strictjson.Members(text)
	if err != nil {
		return nil, err
	}
	if len(members) > maxWishes {
		return nil, errClaims
	}
	wishes := map[string]*claimWish{}
	for _, m := range members {
		// PostgreSQL holds no U+0000, which JSON may escape.
		if strings.Contains(m.Name, "\x00") || strings.Contains(string(m.Value), `\u0000`) {
			return nil, errClaims
		}
		if string(m.Value) == "null" {
			wishes[m.Name] = nil
			continue
		}
		var w claimWish
		if err := strictjson.Unmarshal(m.Value, &w, strictjson.IgnoreUnknown); err != nil {
			return nil, err
		}
		wishes[m.Name] = &w
	}
	return wishes, nil
}

// canonical is the request as it is kept: sorted, without what was not understood. Empty: nothing was asked for.
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

// names tells whether a claim is asked for, wherever.
func (c claimsRequest) names(claim string) bool {
	_, here := c.Userinfo[claim]
	_, there := c.IDToken[claim]
	return here || there
}

// subject is the one user whom a request for a certain sub is about; empty: anybody (OIDC Core section 5.5.1).
func (c claimsRequest) subject() string {
	for _, wishes := range []map[string]*claimWish{c.IDToken, c.Userinfo} {
		if w := wishes["sub"]; w != nil {
			if sub, ok := strictjson.String(w.Value); ok {
				return sub
			}
		}
	}
	return ""
}

// reachable tells whether acr is good enough for a request that insists on some (OIDC Core section 5.5.1.1).
func (c claimsRequest) reachable(acr string) bool {
	w := c.IDToken["acr"]
	if w == nil || !w.Essential {
		return true
	}
	wanted := slices.Clone(w.Values)
	if w.Value != nil {
		wanted = append(wanted, w.Value)
	}
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(v json.RawMessage) bool {
		text, ok := strictjson.String(v)
		return ok && text == acr
	})
}
