package jose

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// None is the alg of a token without a signature (RFC 7518 section 3.6).
const None = "none"

var unsignedRules = headerRules{
	algorithm: func(name []byte) (string, bool) { return None, string(name) == None },
	refused:   foreignRules.refused, bytes: maxForeignHeader,
}

// ParseUnsigned is ParseForeign for a token whose alg is none and whose signature is empty, and for
// no other. Nothing vouches for its payload, and Verify returns nil under no key: it is for callers
// that would believe the payload without any token around it.
func ParseUnsigned(compact string) (*Token, error) {
	if len(compact) > MaxTokenBytes {
		return nil, fmt.Errorf("the token is longer than %d bytes", MaxTokenBytes)
	}
	signed, ended := strings.CutSuffix(compact, ".")
	head, payload, found := strings.Cut(signed, ".")
	switch {
	case !ended || !found || strings.Contains(payload, "."):
		return nil, errors.New("the token is not a compact JWS with an empty signature")
	case head == "" || payload == "":
		return nil, errors.New("the token has an empty segment")
	case len(head) > base64.RawURLEncoding.EncodedLen(unsignedRules.bytes):
		return nil, errors.New("the token's header is too long")
	}
	header, err := decodeSegment(nil, []byte(head))
	if err != nil {
		return nil, fmt.Errorf("the token's header: %w", err)
	}
	t := &Token{signed: []byte(signed)}
	if t.Header, _, err = parseHeader(header, unsignedRules); err != nil {
		return nil, err
	}
	if t.Payload, err = decodeSegment(nil, []byte(payload)); err != nil {
		return nil, fmt.Errorf("the token's payload: %w", err)
	}
	return t, nil
}
