package issuer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/signet-id/signet/internal/mac"
)

// FormMAC authenticates parts for a purpose: HMAC-SHA-256 under FormSecret, the same on every
// replica. A MAC for one purpose is not valid for another.
func (i *Issuer) FormMAC(purpose string, parts ...string) ([]byte, error) {
	secret, err := i.FormSecret()
	if err != nil {
		return nil, unready(fmt.Errorf("seal what goes through a browser: %w", err))
	}
	return mac.Sum(secret, append([]string{purpose}, parts...)...), nil
}

// Seal returns text with a MAC for a purpose, in base64url. The holder can read the text, but cannot
// change it.
func (i *Issuer) Seal(purpose string, text []byte) (string, error) {
	sum, err := i.FormMAC(purpose, string(text))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(sum, text...)), nil
}

// Unseal returns the text that Seal sealed for this purpose; ok is false for everything else. The
// error says that the secret cannot be read.
func (i *Issuer) Unseal(purpose, sealed string) (text []byte, ok bool, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || len(raw) <= sha256.Size {
		return nil, false, nil
	}
	sent, text := raw[:sha256.Size], raw[sha256.Size:]
	want, err := i.FormMAC(purpose, string(text))
	if err != nil || !hmac.Equal(want, sent) {
		return nil, false, err
	}
	return text, true, nil
}
