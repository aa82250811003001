package protocol

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

// Media types of signed answers (OIDC Core section 5.3.2, RFC 9701 section 5).
const (
	jwtType           = "application/jwt"
	introspectionType = "application/token-introspection+jwt"
)

// Values of Content-Type, to be shared between answers.
var (
	jwtHeader           = []string{jwtType}
	introspectionHeader = []string{introspectionType}
)

// writeAnswer writes an answer, which has the type signed if it is signed.
func writeAnswer(w http.ResponseWriter, a issuer.Answer, signed []string) error {
	if a.Signed == "" {
		return wire.WriteJSON(w, http.StatusOK, a.Claims)
	}
	wire.WriteBody(w, http.StatusOK, signed, []byte(a.Signed))
	return nil
}

// introspectionForm reads from Accept (RFC 9110 section 12.5.1) which form the caller of
// introspection prefers. A caller that names neither, or only */*, gets what it is registered for,
// as does one that wants both equally. What cannot be read says nothing.
func introspectionForm(accept []string) issuer.AnswerForm {
	signed, plain := 0.0, 0.0
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		media, parameters, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, weighed := parameters["q"]; weighed {
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		switch media {
		case introspectionType:
			signed = max(signed, quality)
		case wire.JSONType:
			plain = max(plain, quality)
		}
	}
	switch {
	case signed > plain:
		return issuer.AsJWT
	case plain > signed:
		return issuer.AsJSON
	}
	return issuer.AsRegistered
}
