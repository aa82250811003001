package pages

import (
	"encoding/base64"
	"net/http"
	"slices"
	"time"

	"github.com/signet-id/signet/userstore"
)

// askedCookie remembers the messages that were asked for in this browser. A person who asks again
// before the address can get another message is led back to the page that takes the code of the
// first: a new request would have a handle whose message is never sent.
//
// Known and unknown addresses are remembered alike.
const askedCookie = "asked"

// askedMemory stands in askedCookie in the place of a page, so that no page takes the cookie.
const askedMemory page = "asked"

const (
	askedAge = 24 * time.Hour // no code is valid for longer
	maxAsked = 8              // so that the cookie stays short
)

// askedMessage is a message that was asked for.
type askedMessage struct {
	Key    string `json:"key"` // a MAC of what was asked for: the cookie holds no address
	Handle string `json:"handle"`
	Why    string `json:"why,omitempty"` // of the page that takes the code
	At     int64  `json:"at"`            // microseconds
}

// wanted is what a person asks for: a message to an address, and the page that takes its code.
type wanted struct {
	browser, email string
	page           page
	why            string
	session        string // that alone may use the handle; empty: any
}

// askOnce asks for a message and remembers it. Within a minute it returns the one that is remembered.
func (h *Handlers) askOnce(
	w http.ResponseWriter, r *http.Request, m wanted, ask func() (handle string, err error),
) (askedMessage, error) {
	if before, ok, err := h.askedBefore(r, m, userstore.MailEvery); ok || err != nil {
		return before, err
	}
	handle, err := ask()
	if err != nil {
		return askedMessage{}, err
	}
	return askedMessage{Handle: handle, Why: m.why}, h.remember(w, r, m, handle)
}

// askedBefore returns the newest message of this kind that the browser asked for, unless that was
// longer ago.
func (h *Handlers) askedBefore(
	r *http.Request, m wanted, ago time.Duration,
) (before askedMessage, ok bool, err error) {
	key, err := h.askedKey(m)
	if err != nil || key == "" {
		return before, false, err
	}
	for _, before = range h.allAsked(r, m.browser) {
		if before.Key == key {
			return before, h.Now().Sub(time.UnixMicro(before.At)) < ago, nil
		}
	}
	return askedMessage{}, false, nil
}

// remember keeps the handle of a message in the browser, in the place of an older one.
func (h *Handlers) remember(w http.ResponseWriter, r *http.Request, m wanted, handle string) error {
	key, err := h.askedKey(m)
	if err != nil || key == "" || handle == "" {
		return err
	}
	list := slices.DeleteFunc(h.allAsked(r, m.browser), func(old askedMessage) bool { return old.Key == key })
	list = append([]askedMessage{{Key: key, Handle: handle, Why: m.why, At: h.Now().UnixMicro()}}, list...)
	memory := mailedHandle{Page: askedMemory, Asked: list[:min(len(list), maxAsked)]}
	return h.keep(w, r, askedCookie, m.browser, memory, askedAge)
}

// allAsked returns what the browser remembers, newest first.
func (h *Handlers) allAsked(r *http.Request, browser string) []askedMessage {
	return h.kept(r, askedCookie, browser, askedMemory).Asked
}

// askedKey returns the key of what a person asks for; empty: the address is none.
func (h *Handlers) askedKey(m wanted) (string, error) {
	address, ok := userstore.EmailKey(m.email)
	if !ok || m.browser == "" {
		return "", nil
	}
	key, err := h.Issuer.FormMAC("asked", m.browser, string(m.page), address, m.session)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(key[:16]), nil
}
