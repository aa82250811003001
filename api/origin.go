package api

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/audit"
)

// origin is where a request comes from, as the pipeline notes it for every route at once: by
// its address attempts are counted, and with all of it the audit log tells of what the request
// did. Who asks is added by bearer, when that is proved.
func (h *handler) origin(r *http.Request, id string) audit.Origin {
	return audit.Origin{Address: h.clientAddress(r), UserAgent: userAgent(r), RequestID: id}
}

// userAgent is kept for the user's own list of sessions and in the audit log; a stranger wrote it,
// so it is bounded and must be text that every store can hold.
func userAgent(r *http.Request) string {
	const most = 256
	ua := strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == utf8.RuneError {
			return -1
		}
		return c
	}, r.UserAgent())
	if len(ua) > most {
		ua = strings.ToValidUTF8(ua[:most], "")
	}
	return ua
}
