package issuer

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"github.com/signet-id/signet/internal/jose"
)

// TypeIntrospection is the type of a signed introspection answer (RFC 9701 section 5).
const TypeIntrospection = "token-introspection+jwt"

// Answer is what userinfo or introspection says: Claims, as JSON, or the same signed.
type Answer struct {
	Claims map[string]any
	Signed string // compact JWS; empty: the answer is not signed
}

// signAnswer signs an answer with alg; empty means RS256. It waits for its turn, as a request for
// tokens does.
//
// No answer has an exp: it says what was true when it was asked for, and is verified then, while the
// key that signed it is published. So it never counts as an ID token, which needs an exp, and no key
// has to stay published for it longer than for tokens.
func (i *Issuer) signAnswer(ctx context.Context, alg, typ string, claims map[string]any) (string, error) {
	leave, err := i.Admission.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	signer, err := i.Keys.Signer(cmp.Or(alg, jose.RS256))
	if err != nil {
		return "", unready(fmt.Errorf("take a signer: %w", err))
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", errServer.because(fmt.Errorf("encode an answer: %w", err))
	}
	signed, err := i.Admission.signAnswer(signer, typ, payload)
	if err != nil {
		return "", errServer.because(fmt.Errorf("sign an answer: %w", err))
	}
	return signed, nil
}
