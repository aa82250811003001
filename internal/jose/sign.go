package jose

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
)

// Signer signs compact JWS with one key; safe for concurrent use. NewSigner encodes the protected
// headers once.
type Signer struct {
	key       crypto.Signer
	kid       string
	algorithm string
	options   crypto.SignerOpts
	signature int               // its length in bytes
	headers   map[string]string // typ → encoded protected header and its dot
}

// NewSigner prepares key for signing under alg. types are the `typ` values that Sign may be called
// with.
func NewSigner(key crypto.Signer, kid, alg string, types ...string) (*Signer, error) {
	if key == nil {
		return nil, errors.New("there is no key to sign with")
	}
	public := key.Public()
	if err := checkPublic(public, alg); err != nil {
		return nil, err
	}
	s := &Signer{key: key, kid: kid, algorithm: alg, headers: make(map[string]string, len(types))}
	switch alg {
	case RS256:
		s.options, s.signature = crypto.SHA256, public.(*rsa.PublicKey).Size()
	case PS256:
		s.options, s.signature = pssOptions, public.(*rsa.PublicKey).Size()
	case ES256:
		s.options, s.signature = crypto.SHA256, 64
	case EdDSA:
		s.options, s.signature = crypto.Hash(0), 64
	}
	if private, ok := key.(*rsa.PrivateKey); ok {
		var err error
		if s.key, err = rsaSigner(private); err != nil {
			return nil, err
		}
	}
	for _, typ := range types {
		header, err := json.Marshal(struct {
			Algorithm string `json:"alg"`
			KeyID     string `json:"kid"`
			Type      string `json:"typ"`
		}{alg, kid, typ})
		if err != nil {
			return nil, err
		}
		// We must be able to read our own tokens: the parser decides which kid and typ are valid.
		if _, _, err := parseHeader(header, ourRules); err != nil {
			return nil, err
		}
		s.headers[typ] = base64.RawURLEncoding.EncodeToString(header) + "."
	}
	return s, nil
}

// KeyID returns the kid in every header.
func (s *Signer) KeyID() string { return s.kid }

// Algorithm returns the alg in every header.
func (s *Signer) Algorithm() string { return s.algorithm }

// Sign returns the compact JWS of payload, a token. typ must be one of NewSigner's types.
func (s *Signer) Sign(typ string, payload []byte) (string, error) {
	token, err := s.SignAnswer(typ, payload)
	if err == nil && len(token) > MaxTokenBytes {
		return "", fmt.Errorf("the token would be longer than the %d bytes that verifiers accept", MaxTokenBytes)
	}
	return token, err
}

// SignAnswer is Sign for an answer of an endpoint. No verifier takes it as a token, so that it may
// be longer than one.
func (s *Signer) SignAnswer(typ string, payload []byte) (string, error) {
	header, ok := s.headers[typ]
	if !ok {
		return "", fmt.Errorf("this signer is not prepared for tokens of type %.64q", typ)
	}
	encoding := base64.RawURLEncoding
	room := tokens.Get().(*[]byte)
	defer func() {
		if cap(*room) <= MaxTokenBytes { // a status list may be far longer
			tokens.Put(room)
		}
	}()
	token := slices.Grow((*room)[:0], len(header)+encoding.EncodedLen(len(payload))+1+encoding.EncodedLen(s.signature))
	*room = token
	token = append(token, header...)
	token = encoding.AppendEncode(token, payload)

	message := token
	if s.algorithm != EdDSA { // Ed25519 hashes for itself
		digest := sha256.Sum256(token)
		message = digest[:]
	}
	signature, err := s.key.Sign(rand.Reader, message, s.options)
	if err != nil {
		return "", fmt.Errorf("sign with key %s: %w", s.kid, err)
	}
	if s.algorithm == ES256 {
		if signature, err = fixedECDSA(signature); err != nil {
			return "", fmt.Errorf("sign with key %s: %w", s.kid, err)
		}
	}
	token = append(token, '.')
	return string(encoding.AppendEncode(token, signature)), nil
}

// tokens are kept for reuse: Sign returns a copy of the right length.
var tokens = sync.Pool{New: func() any { return new([]byte) }}

// fixedECDSA converts the DER that a crypto.Signer makes to r ‖ s of 32 bytes each (RFC 7518
// section 3.4).
func fixedECDSA(der []byte) ([]byte, error) {
	var pair struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &pair); err != nil || len(rest) > 0 ||
		pair.R.Sign() <= 0 || pair.S.Sign() <= 0 || pair.R.BitLen() > 256 || pair.S.BitLen() > 256 {
		return nil, errors.New("the key made no ES256 signature")
	}
	fixed := make([]byte, 64)
	pair.R.FillBytes(fixed[:32])
	pair.S.FillBytes(fixed[32:])
	return fixed, nil
}
