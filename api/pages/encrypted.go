package pages

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"time"
)

// encrypted is one kind of text that only this server reads, which holds a T. It is issuer.Sealed for
// what its holder must not read. The purpose keeps the kinds apart, and a text is bound to more, such
// as the browser.
type encrypted[T interface{ Over(now time.Time) bool }] struct {
	purpose string
}

// seal makes a text of this kind.
func (e encrypted[T]) seal(h *Handlers, bound string, held T) (string, error) {
	text, err := json.Marshal(held)
	if err != nil {
		return "", err
	}
	aead, err := e.aead(h, bound)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, text, nil)), nil
}

// open returns what a text of this kind holds; ok is false for every other text, and for one that is
// over. The error says that the secret of the key cannot be read.
func (e encrypted[T]) open(h *Handlers, bound, text string) (held T, ok bool, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(text) > maxHandle {
		return held, false, nil
	}
	aead, err := e.aead(h, bound)
	if err != nil {
		return held, false, err
	}
	opened, err := aead.Open(nil, nil, raw, nil)
	if err != nil || json.Unmarshal(opened, &held) != nil || held.Over(h.Now()) {
		return *new(T), false, nil
	}
	return held, true, nil
}

func (e encrypted[T]) aead(h *Handlers, bound string) (cipher.AEAD, error) {
	key, err := h.Issuer.FormMAC(e.purpose, bound)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
