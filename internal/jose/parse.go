package jose

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/strictjson"
)

// MaxTokenBytes bounds a compact token.
const MaxTokenBytes = 16 << 10

// Bounds on the header; our kids have 43 bytes.
const (
	maxHeaderBytes   = 1 << 10
	maxForeignHeader = 8 << 10 // has room for a chain of certificates
	maxKeyIDBytes    = 256
	maxTypeBytes     = 64
)

// Header is the protected header of a token.
type Header struct {
	Algorithm string
	KeyID     string
	Type      string // as sent; compare with IsType
}

// IsType compares media types as RFC 8725 section 3.11 asks: without case and
// with or without the application/ prefix (RFC 7515 section 4.1.9).
func (h Header) IsType(typ string) bool {
	return typ != "" && strings.EqualFold(shortType(h.Type), shortType(typ))
}

func shortType(typ string) string {
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) && !strings.Contains(typ[len(prefix):], "/") {
		return typ[len(prefix):]
	}
	return typ
}

// Token is a compact JWS taken apart, not yet verified.
type Token struct {
	Header  Header
	Payload []byte // unverified until Verify returns nil

	jwk       []byte // of the header, if the rules allow one
	signed    []byte // header "." payload, as sent
	signature []byte
}

// Parse splits and decodes a compact JWS and refuses everything that is not strictly one: other
// serializations, JWE, more than MaxTokenBytes, non-canonical base64url, unknown or duplicate
// header members, crit, alg none. Excess is refused before anything is decoded or allocated for it.
func Parse(compact string) (*Token, error) { return parse(compact, ourRules) }

// ParseStatusList is Parse for a token status list, which may have up to MaxStatusListBytes.
func ParseStatusList(compact string) (*Token, error) { return parse(compact, statusListRules) }

// MaxStatusListBytes limits a status list token.
const MaxStatusListBytes = 8 << 20

// ParseForeign is Parse for tokens that others sign. They may call EdDSA by its newer name Ed25519
// (RFC 9864), as current client libraries do whatever the key's own alg says; Header.Algorithm is
// then EdDSA. Unknown header members are ignored (RFC 7515 section 4), unless crit names them, and
// so is a certificate beside the kid: the key is one that is known here, or none. Members that
// offer another key, and b64, stay refused.
func ParseForeign(compact string) (*Token, error) { return parse(compact, foreignRules) }

// VerifyProof parses a token that brings the key that signed it (RFC 7515 section 4.1.3), as a DPoP
// proof does, and checks the signature with that key. So it shows only that its sender has the key. The
// rules are those of ParseForeign, and the key must be public, sound, and of the header's alg.
func VerifyProof(compact string) (*Token, PublicKey, error) {
	t, err := parse(compact, proofRules)
	if err != nil {
		return nil, PublicKey{}, err
	}
	if t.jwk == nil {
		return nil, PublicKey{}, errors.New("the token's header has no jwk")
	}
	key, err := parsePublicFor(t.Header.Algorithm, t.jwk)
	if err != nil {
		return nil, PublicKey{}, err
	}
	if !verifies(key, t.signed, t.signature) {
		return nil, PublicKey{}, ErrSignature
	}
	return t, key, nil
}

// headerRules say what a header may hold.
type headerRules struct {
	algorithm func(name []byte) (string, bool)
	refused   []string // members; nil: all unknown members
	bytes     int      // the longest header
	token     int      // the longest token
	jwk       bool     // the header may bring a key
}

var (
	ourRules     = headerRules{algorithm: algorithmOf, bytes: maxHeaderBytes, token: MaxTokenBytes}
	foreignRules = headerRules{algorithm: foreignAlgorithm, refused: []string{"crit", "b64", "jwk", "jku", "x5u"},
		bytes: maxForeignHeader, token: MaxTokenBytes}
	proofRules = headerRules{algorithm: foreignAlgorithm, refused: []string{"crit", "b64", "jku", "x5u", "x5c"},
		bytes: maxForeignHeader, token: MaxTokenBytes, jwk: true}
	bundleRules     = headerRules{algorithm: algorithmOf, bytes: maxHeaderBytes, token: MaxBundleBytes}
	statusListRules = headerRules{algorithm: algorithmOf, bytes: maxHeaderBytes, token: MaxStatusListBytes}
)

func parse(compact string, rules headerRules) (*Token, error) {
	if len(compact) > rules.token {
		return nil, fmt.Errorf("the token is longer than %d bytes", rules.token)
	}
	// Two dots, found one by one: splitting would allocate per dot (CVE-2025-30204).
	first := strings.IndexByte(compact, '.')
	if first < 0 {
		return nil, errNotCompact
	}
	second := first + 1 + strings.IndexByte(compact[first+1:], '.')
	if second == first || strings.IndexByte(compact[second+1:], '.') >= 0 {
		return nil, errNotCompact
	}
	if first == 0 || second == first+1 || second == len(compact)-1 {
		return nil, errors.New("the token has an empty segment")
	}
	if first > base64.RawURLEncoding.EncodedLen(rules.bytes) {
		return nil, errors.New("the token's header is too long")
	}

	raw := []byte(compact)
	var space [maxHeaderBytes]byte
	head, err := decodeSegment(space[:0], raw[:first])
	if err != nil {
		return nil, fmt.Errorf("the token's header: %w", err)
	}
	t := &Token{signed: raw[:second:second]}
	if t.Header, t.jwk, err = parseHeader(head, rules); err != nil {
		return nil, err
	}
	// One buffer for both: the capacities keep an append to the payload off the signature.
	room := make([]byte, 0, base64.RawURLEncoding.DecodedLen(len(raw)-first))
	if t.Payload, err = decodeSegment(room, raw[first+1:second]); err != nil {
		return nil, fmt.Errorf("the token's payload: %w", err)
	}
	n := len(t.Payload)
	t.Payload = t.Payload[:n:n]
	if t.signature, err = decodeSegment(room[n:n], raw[second+1:]); err != nil {
		return nil, fmt.Errorf("the token's signature: %w", err)
	}
	return t, nil
}

var (
	errNotCompact = errors.New("the token is not a compact JWS of three segments")
	errBase64     = errors.New("not canonical base64url without padding")

	strictBase64 = base64.RawURLEncoding.Strict()
)

// decodeSegment appends the decoded segment to dst. Go's decoder skips line breaks, even a strict
// one; here each segment has one spelling.
func decodeSegment(dst, segment []byte) ([]byte, error) {
	before := len(dst)
	out, err := strictBase64.AppendDecode(dst, segment)
	if err != nil || base64.RawURLEncoding.EncodedLen(len(out)-before) != len(segment) {
		return nil, errBase64
	}
	return out, nil
}

// parseHeader knows three members. In a token of ours it refuses all others: extensions must be
// understood or refused (crit, b64); members that bring or point to a key (jwk, jku, x5u, x5c) have
// no place in a token whose keys the issuer publishes; and a member that is never sent needs no
// code that ignores it correctly.
func parseHeader(head []byte, rules headerRules) (h Header, jwk []byte, err error) {
	var problem error
	refuse := func(format string, args ...any) {
		if problem == nil {
			problem = fmt.Errorf(format, args...)
		}
	}
	err = strictjson.Object(head, func(name, value []byte) {
		switch string(name) {
		case "alg":
			// Our algorithm names hold no escape: compare the bytes between the quotes.
			known := false
			if len(value) > 2 && value[0] == '"' {
				h.Algorithm, known = rules.algorithm(value[1 : len(value)-1])
			}
			if !known {
				refuse("the token's alg is not one of RS256, PS256, ES256 and EdDSA")
			}
		case "kid":
			h.KeyID = headerString(value, maxKeyIDBytes)
			if h.KeyID == "" {
				refuse("the token's kid is not a string of 1 to %d bytes", maxKeyIDBytes)
			}
		case "typ":
			h.Type = headerString(value, maxTypeBytes)
			if h.Type == "" {
				refuse("the token's typ is not a string of 1 to %d bytes", maxTypeBytes)
			}
		case "jwk":
			if !rules.jwk {
				refuse("the token's header has the member \"jwk\", which is not accepted")
			}
			jwk = value
		default:
			if rules.refused != nil && !slices.Contains(rules.refused, string(name)) {
				return
			}
			refuse("the token's header has the member %.32q, which is not accepted", name)
		}
	})
	switch {
	case err != nil:
		return Header{}, nil, fmt.Errorf("the token's header: %w", err)
	case problem != nil:
		return Header{}, nil, problem
	case h.Algorithm == "":
		return Header{}, nil, errors.New("the token's header has no alg")
	}
	return h, jwk, nil
}

// headerString returns the string in value; empty: value is no string, or too long.
func headerString(value []byte, longest int) string {
	s, ok := strictjson.String(value)
	if !ok || len(s) > longest {
		return ""
	}
	return s
}
