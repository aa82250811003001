package admin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"strings"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/internal/mac"
	"github.com/signet-id/signet/keys"
)

// A cursor says where a page of a list ended: the instant and the id of its last entry, under
// HMAC-SHA-256. Only this server can make one, and it works only with the list and the conditions
// that it was made for: a client that changed the conditions between two pages would miss entries
// without notice. A cursor lives as long as the refresh secret, and every replica takes it.
//
// It names the last entry and not the number of a page, so that entries which are added or deleted
// meanwhile neither repeat an entry nor hide one.
type position struct {
	at time.Time // microseconds, as the store keeps them
	id string
}

// maxCursor is beyond any that was made: ids have at most 64 characters.
const maxCursor = 256

func (h *Handlers) sealCursor(list string, conditions url.Values, p position) (string, error) {
	sum, err := h.cursorMAC(list, conditions, p)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(sum, p.bytes()...)), nil
}

func (h *Handlers) openCursor(list string, conditions url.Values, text string) (position, error) {
	bad := problem.Invalid(problem.Fault{Field: "cursor", Code: "invalid", Message: "Send next_cursor of the page before with the parameters that it was asked with, or begin again without a cursor."})
	// One cursor has one spelling; the decoder would pass line breaks over.
	if len(text) > maxCursor || strings.ContainsAny(text, "\r\n") {
		return position{}, bad
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < sha256.Size+8 {
		return position{}, bad
	}
	sent, rest := raw[:sha256.Size], raw[sha256.Size:]
	p := position{at: time.UnixMicro(int64(binary.BigEndian.Uint64(rest))).UTC(), id: string(rest[8:])}
	want, err := h.cursorMAC(list, conditions, p)
	if err != nil {
		return position{}, err
	}
	if !hmac.Equal(sent, want) {
		return position{}, bad
	}
	return p, nil
}

func (p position) bytes() []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(p.at.UnixMicro())), p.id...)
}

// cursorMAC seals an entry of a list that was asked for under conditions.
func (h *Handlers) cursorMAC(list string, conditions url.Values, p position) ([]byte, error) {
	secret, err := h.Secret(keys.Cursors)
	if err != nil {
		return nil, err
	}
	sum := mac.New(secret, list, conditions.Encode())
	sum.Write(p.bytes())
	return sum.Sum(nil), nil
}
