package pages

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
)

// encrypt makes a text that only this server reads, for one purpose and whatever it is bound to.
func (h *Handlers) encrypt(purpose, bound string, v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	aead, err := h.aead(purpose, bound)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, text, nil)), nil
}

// decrypt reads what encrypt made for this purpose and bound; ok is false for any other text.
func (h *Handlers) decrypt(purpose, bound, text string, v any) (ok bool, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(text) > maxHandle {
		return false, nil
	}
	aead, err := h.aead(purpose, bound)
	if err != nil {
		return false, err
	}
	opened, err := aead.Open(nil, nil, raw, nil)
	return err == nil && json.Unmarshal(opened, v) == nil, nil
}

func (h *Handlers) aead(purpose, bound string) (cipher.AEAD, error) {
	key, err := h.Issuer.FormMAC("encrypted "+purpose, bound)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
