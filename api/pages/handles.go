package pages

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/issuer"
)

// handleKind says what a handle stands for: one kind is not taken in the place of another.
type handleKind string

const (
	authorizationHandle handleKind = "authorization"
	logoutHandle        handleKind = "logout"
	secondHandle        handleKind = "second"  // a login that waits for its second step
	setupHandle         handleKind = "setup"   // a login that waits until a second factor is set up
	passkeyHandle       handleKind = "passkey" // a challenge
)

// How long a user may leave a page open. What is older is refused.
const (
	handleAge     = time.Hour           // then the request has expired
	renewableAge  = 24 * time.Hour      // until then an expired request begins again by itself
	answerableAge = 30 * 24 * time.Hour // until then its app can be told that it has expired
)

// maxHandle is the longest handle, which has to fit into the body of a form. The bounds of a request
// keep its handle below.
const maxHandle = 48 << 10

// sealedRequest is what a handle holds.
type sealedRequest struct {
	Kind    handleKind      `json:"kind"`
	Browser []byte          `json:"browser"` // SHA-256 of its cookie
	Fresh   int64           `json:"expires"` // until when; the name stands in handles that are a month old
	Request json.RawMessage `json:"request"`
}

var requestHandle = issuer.Sealed[sealedRequest]{Purpose: "handle", Longest: maxHandle}

// age returns how long ago a handle was made.
func (s sealedRequest) age(now time.Time) time.Duration {
	return time.Duration(now.Unix()-s.Fresh)*time.Second + handleAge
}

// Over reports whether the app of the request cannot even be told any more that it has expired.
func (s sealedRequest) Over(now time.Time) bool { return s.age(now) >= answerableAge }

// seal makes the handle of a pending request, bound to the browser.
func (h *Handlers) seal(kind handleKind, browser string, request any) (string, error) {
	inner, err := json.Marshal(request)
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(browser))
	handle, err := requestHandle.Seal(h.Issuer, sealedRequest{kind, hash[:16], h.Now().Add(handleAge).Unix(), inner})
	if err != nil {
		return "", err
	}
	if len(handle) > maxHandle {
		return "", problem.New(problem.InvalidRequest, "The request is too long to be carried through the pages: send a shorter state.")
	}
	return handle, nil
}

// unseal reads a handle that was made for this browser. age says how long ago: the caller decides
// about it. The request of a handle that is ours, but too old or of another browser, is read as
// well, for the log alone.
func (h *Handlers) unseal(handle string, kind handleKind, browser string, request any) (age time.Duration, err error) {
	sealed, ok, err := requestHandle.Read(h.Issuer, handle)
	if err != nil {
		return 0, err
	}
	if !ok || sealed.Kind != kind {
		return 0, problem.New(problem.RequestInvalid, "")
	}
	if err := json.Unmarshal(sealed.Request, request); err != nil {
		return 0, err
	}
	if sealed.Over(h.Now()) {
		return 0, problem.New(problem.RequestExpired, "")
	}
	if browser == "" {
		return 0, problem.New(problem.CookiesOff, "")
	}
	hash := sha256.Sum256([]byte(browser))
	if !hmac.Equal(hash[:16], sealed.Browser) {
		return 0, problem.New(problem.OtherBrowser, "")
	}
	return sealed.age(h.Now()), nil
}
