package issuer

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// browserStateBytes is how much of the HMAC a browser state holds: enough to tell any two apart.
const browserStateBytes = 16

// BrowserState returns the state of a browser for session management (OpenID Connect Session
// Management 1.0 section 3.2): a text that a frame of ours reads from a cookie. It is another one as
// soon as another session begins or the session ends. It is derived, and not random, so that
// requests at the same time get the same one; and it reveals nothing, because it is an HMAC. b is nil
// if no user is logged in: then the state is that of the browser with this device cookie.
//
// A user who proves a factor once more goes on with the session, and so does the state.
func (i *Issuer) BrowserState(b *Browser, device string) (string, error) {
	of, value := "browser", device
	if b != nil {
		of, value = "session", b.Session.ID
	}
	mac, err := i.FormMAC("browser state", of, value)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(mac[:browserStateBytes]), nil
}

// WithSession returns r with the session_state for a browser in this state. r keeps what it has if it
// is no response to an OpenID request, or if no page can ask for the state because the redirect URI
// belongs to an app and not to a website.
func (i *Issuer) WithSession(r AuthorizationResponse, browserState string) AuthorizationResponse {
	origin := userstore.OriginOf(r.RedirectURI)
	if r.monitor == "" || origin == "" {
		return r
	}
	state := sessionState(r.monitor, origin, browserState, saltOf(r))
	r.Parameters = append(slices.Clip(r.Parameters), [2]string{"session_state", state})
	return r
}

// saltOf returns a salt for the session_state of a response. It is derived, so that a response that is
// given once more is the same one; it need not be secret.
func saltOf(r AuthorizationResponse) string {
	sum := sha256.New()
	for _, p := range r.Parameters {
		for _, text := range p {
			sum.Write([]byte(strconv.Quote(text)))
		}
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:browserStateBytes])
}

// sessionState returns what the script of the frame calculates, too: api/web/static/session.js. A
// client ID and an origin have no spaces.
func sessionState(clientID, origin, browserState, salt string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{clientID, origin, browserState, salt}, " ")))
	return hex.EncodeToString(sum[:]) + "." + salt
}
