package pages

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// mailedHandle is what the pages carry of a message: the token of its link, or the handle of the request for it. Unlike the
// handle of a pending request it is encrypted, for it stands in addresses and a token must not.
type mailedHandle struct {
	Page    page   `json:"page"`
	Token   string `json:"token,omitempty"`
	Invited bool   `json:"invited,omitempty"` // the token is an invitation's
	Handle  string `json:"handle,omitempty"`
	Request string `json:"request,omitempty"` // the handle of the pending request to go on with; empty: none
	Why     string `json:"why,omitempty"`     // verifySignedUp, verifyLogin; empty: the message was asked for
	Expires int64  `json:"expires"`

	// Of provingCookie: the account whose password was typed in this browser, and when.
	UserID string `json:"user,omitempty"`
	Typed  int64  `json:"typed,omitempty"`
}

// mailedAge is how long such a handle is of use: as long as the longest token.
const mailedAge = 24 * time.Hour

func (h *Handlers) mailedCipher(browser string) (cipher.AEAD, error) {
	key, err := h.Issuer.FormMAC("mailed handle", browser)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// veil encrypts for this browser.
func (h *Handlers) veil(browser string, m mailedHandle) (string, error) {
	if m.Expires == 0 {
		m.Expires = h.Now().Add(mailedAge).Unix()
	}
	text, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	aead, err := h.mailedCipher(browser)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, text, nil)), nil
}

// unveil reads what veil made for this browser and page.
func (h *Handlers) unveil(handle, browser string, p page) (m mailedHandle, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(handle)
	if err != nil || browser == "" || len(handle) > maxHandle {
		return m, problem.New(problem.OneTimeInvalid, "")
	}
	aead, err := h.mailedCipher(browser)
	if err != nil {
		return m, err
	}
	text, err := aead.Open(nil, nil, raw, nil)
	if err != nil || json.Unmarshal(text, &m) != nil || m.Page != p || h.Now().Unix() >= m.Expires {
		return m, problem.New(problem.OneTimeInvalid, "")
	}
	return m, nil
}

// followLink takes the token out of the address: nothing has happened yet, for programs that look at mail follow links.
func (h *Handlers) followLink(w http.ResponseWriter, r *http.Request, m mailedHandle) error {
	w.Header()["Referrer-Policy"] = []string{"no-referrer"}
	m.Token = r.PathValue("token")
	handle, err := h.veil(h.browserID(w, r), m)
	if err != nil {
		return err
	}
	return wire.SeeOther(w, h.pagePath(m.Page, handle))
}

// asked leads from the form that asks for a message to the one that takes its code.
func (h *Handlers) asked(w http.ResponseWriter, browser string, p page, handle, request string) error {
	return h.askedFor(w, browser, mailedHandle{Page: p, Handle: handle, Request: request})
}

func (h *Handlers) askedFor(w http.ResponseWriter, browser string, m mailedHandle) error {
	veiled, err := h.veilShort(browser, m)
	if err != nil {
		return err
	}
	return wire.SeeOther(w, h.pagePath(m.Page, veiled))
}

// veilShort is veil for a header of an answer: a pending request that is too long is left out, and the
// person starts again from the app.
func (h *Handlers) veilShort(browser string, m mailedHandle) (string, error) {
	veiled, err := h.veil(browser, m)
	if err == nil && !web.FitsAddress(veiled) {
		m.Request = ""
		veiled, err = h.veil(browser, m)
	}
	return veiled, err
}

// mailed is m as the rules take it.
func (m mailedHandle) mailed(code string) userstore.Mailed {
	return userstore.Mailed{Token: m.Token, Handle: m.Handle, Code: code}
}

// mailedProblems are the messages beside the fields of a form about a message. A code that is wrong is told beside its
// field; a link that does not work is told by a page.
func mailedProblems(err error, m mailedHandle) (*problem.Problem, []web.Problem, bool) {
	p := problem.From(err)
	if errors.Is(err, userstore.ErrTokenInvalid) && m.Handle != "" {
		return p, []web.Problem{{Field: "code", Code: string(p.Code)}}, true
	}
	list, ok := formProblems(p)
	return p, list, ok
}
