package issuer

import (
	"errors"
	"fmt"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
)

// idTokenHint holds the claims of an id_token_hint.
type idTokenHint struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"` // text in every ID token of ours
	SessionID string `json:"sid"`
	Expires   int64  `json:"exp"` // that there is one tells an ID token from a signed answer of userinfo
}

// readIDTokenHint verifies that raw is an ID token of ours, however old: an expired one still says
// who was logged in (OIDC Core section 3.1.2.1, RP-Initiated Logout section 2). A key that has
// retired since then verifies it, a revoked key does not.
func (i *Issuer) readIDTokenHint(raw string) (idTokenHint, error) {
	token, err := jose.Parse(raw)
	if err != nil {
		return idTokenHint{}, errIDTokenHint.because(err)
	}
	key, ok := i.Keys.HintKey(token.Header.KeyID)
	if !ok {
		return idTokenHint{}, errIDTokenHint.because(errors.New("not signed with a key of ours"))
	}
	if err := token.Verify(key); err != nil {
		return idTokenHint{}, errIDTokenHint.because(err)
	}
	// An access token names its user as well, and must not be shown around as a hint (J-16).
	if !token.Header.IsType(TypeIDToken) {
		return idTokenHint{}, errIDTokenHint.because(fmt.Errorf("typ is not %s", TypeIDToken))
	}
	var c idTokenHint
	if err := strictjson.Unmarshal(token.Payload, &c, strictjson.IgnoreUnknown); err != nil {
		return idTokenHint{}, errIDTokenHint.because(err)
	}
	if c.Issuer != i.URL || c.Subject == "" || c.Audience == "" || c.Expires == 0 {
		return idTokenHint{}, errIDTokenHint.because(errors.New("iss, sub, aud or exp is not as we write it"))
	}
	return c, nil
}
