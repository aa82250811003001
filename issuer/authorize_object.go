package issuer

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/userstore"
)

// A request object is a JWT that holds parameters of an authorization request as its claims (OIDC
// Core section 6.1, RFC 9101). Once it is verified, its parameters and those beside it are one
// request, which is judged like any other.
//
// An object is good for as many requests as its exp allows: its jti is not remembered, because a
// person who loads the page again sends the same object again. What a second use gets is a login page,
// and its answer goes to the redirect URI that the client signed.

// unsigned is the request_object_signing_alg of a client whose objects have no signature.
const unsigned = userstore.RequestObjectUnsigned

// typeRequestObject is the typ of a request object (RFC 9101 section 10.8).
const typeRequestObject = "oauth-authz-req+jwt"

const maxObjectID = 256 // bytes of a jti

var (
	errNoObjects = refuse(RequestNotSupported,
		"This client has no keys registered that could verify a request object: send the parameters themselves.")
	errObjectDemanded = refuse(InvalidRequest,
		"This client is registered to send its parameters in a signed request object: send request.")
	errObjectEncrypted = refuse(InvalidRequestObject, "The request object is encrypted, which is not supported: sign it only.")
	errObjectForm      = refuse(InvalidRequestObject, "The request object is no JWS in compact form, or its algorithm is not supported.")
	errObjectUnsigned  = refuse(InvalidRequestObject,
		"The client is registered to send request objects without a signature: alg has to be none, and the signature empty.")
	errObjectAlgorithm = refuse(InvalidRequestObject,
		"The request object is not signed with the request_object_signing_alg that the client is registered for.")
	errObjectSignature = refuse(InvalidRequestObject, "No registered key of the client verifies the signature of the request object.")
	errObjectType      = refuse(InvalidRequestObject, "The typ of the request object is that of another kind of token: use oauth-authz-req+jwt.")
	errObjectJSON      = refuse(InvalidRequestObject, "The claims of the request object are no JSON object whose members stand once each.")
	errObjectNested    = refuse(InvalidRequestObject, "The request object must hold neither request nor request_uri.")
	errObjectIssuer    = refuse(InvalidRequestObject, "The iss of the request object is not the client.")
	errObjectAudience  = refuse(InvalidRequestObject, "The aud of the request object does not name this issuer.")
	errObjectSubject   = refuse(InvalidRequestObject, "The sub of the request object must not be the client: leave it out.")
	errObjectTime      = refuse(InvalidRequestObject, "The request object has expired, or is not valid yet, by its exp, nbf and iat.")
	errObjectID        = refuse(InvalidRequestObject, "The jti of the request object has to be text of 1 to 256 bytes.")
	errObjectParameter = refuse(InvalidRequestObject,
		"A parameter in the request object is no string, nor what it may be instead: max_age a number, claims an object, resource a list.")
	errObjectClient  = refuse(InvalidRequestObject, "The client_id in the request object is not the one beside it.")
	errObjectDiffers = refuse(InvalidRequestObject, "The response_type in the request object is not the one beside it.")
)

// withRequestObject returns r with the parameters of its request object, which may be at a
// request_uri. They win over those beside it (OIDC Core section 6.1). For a client that has to sign
// its requests, those beside it do not count at all (RFC 9101 section 6.3).
//
// If the object is refused, the request gets the refusal, and as much of the object as says where
// the client looks for the answer. The error is for a page: nothing was decided.
func (i *Issuer) withRequestObject(
	ctx context.Context, c userstore.Client, r AuthorizationRequest,
) (AuthorizationRequest, error) {
	r, err := i.withReference(ctx, c, r)
	switch {
	case err != nil || r.refused != nil:
		return r, err
	case slices.Contains(r.Repeated, "request"):
		return r, nil // which object counts cannot be known: the repetition is refused
	case r.Request == "":
		if c.RequireSignedRequestObject {
			r.refused = errObjectDemanded
		}
		return r, nil
	}
	object, err := i.readRequestObject(ctx, c, r)
	var refused *Error
	switch {
	case err == nil && c.RequireSignedRequestObject:
		object.ClientID, object.Repeated = r.ClientID, r.Repeated
		return object, nil
	case err == nil:
		return r.overriddenBy(object), nil
	case errors.As(err, &refused) && refused.Code != Unavailable && refused.Code != ServerError:
		r = r.overriddenBy(answerOf(r.Request))
		r.refused = refused
		return r, nil
	}
	return r, failed(err)
}

// readRequestObject verifies the request object of r and returns its parameters.
func (i *Issuer) readRequestObject(
	ctx context.Context, c userstore.Client, r AuthorizationRequest,
) (AuthorizationRequest, error) {
	token, err := i.verifyRequestObject(ctx, c, r.Request)
	if err != nil {
		return AuthorizationRequest{}, err
	}
	if err := i.checkObjectClaims(c, token); err != nil {
		return AuthorizationRequest{}, err
	}
	object, err := readObjectParameters(token.Payload)
	switch {
	case err != nil:
		return AuthorizationRequest{}, err
	case object.Request != "" || object.RequestURI != "":
		return AuthorizationRequest{}, errObjectNested
	case object.ClientID != "" && object.ClientID != r.ClientID:
		return AuthorizationRequest{}, errObjectClient
	case object.ResponseType != "" && r.ResponseType != "" && object.ResponseType != r.ResponseType:
		return AuthorizationRequest{}, errObjectDiffers
	}
	return object, nil
}

// verifyRequestObject checks that the client signed the object as it is registered to. An object
// without a signature is taken only from a client that is registered for it.
func (i *Issuer) verifyRequestObject(ctx context.Context, c userstore.Client, compact string) (*jose.Token, error) {
	switch {
	case c.RequestObjectAlg == "" && len(c.JWKS) == 0 && c.JWKSURI == "" && !c.UnsignedObjects():
		return nil, errNoObjects
	case strings.Count(compact, ".") == 4:
		return nil, errObjectEncrypted
	case c.UnsignedObjects():
		token, err := jose.ParseUnsigned(compact)
		if err == nil {
			return token, nil
		}
		if c.RequestObjectAlg == unsigned {
			return nil, errObjectUnsigned.because(err)
		}
	}
	token, err := jose.ParseForeign(compact)
	switch {
	case err != nil:
		return nil, errObjectForm.because(err)
	case c.RequestObjectAlg != "" && !jose.SameAlgorithm(token.Header.Algorithm, c.RequestObjectAlg):
		return nil, errObjectAlgorithm
	}
	err = i.verifyBy(ctx, c, token)
	if errors.Is(err, errUnproved) {
		err = errObjectSignature.because(err)
	}
	return token, err
}

// objectClaims are the claims about a request object itself. Instants are numbers that need not be
// whole (RFC 7519 section 2).
type objectClaims struct {
	Issuer    *string  `json:"iss"`
	Subject   *string  `json:"sub"`
	Audience  audience `json:"aud"`
	Expires   *float64 `json:"exp"`
	NotBefore float64  `json:"nbf"`
	IssuedAt  float64  `json:"iat"`
	ID        *string  `json:"jti"`
}

// checkObjectClaims checks the claims that say for whom and when an object is good. None of them has
// to be there (OIDC Core section 6.1). sub must not be the client, and typ is that of a request
// object or of any JWT: so neither a client assertion passes for a request object, nor a request
// object for an assertion (RFC 9101 section 10.8).
func (i *Issuer) checkObjectClaims(c userstore.Client, token *jose.Token) error {
	var claims objectClaims
	if err := strictjson.Unmarshal(token.Payload, &claims, strictjson.IgnoreUnknown); err != nil {
		return errObjectJSON.because(err)
	}
	now := float64(i.now().UnixMicro()) / 1e6
	skew := i.ClockSkew.Seconds()
	switch {
	case token.Header.Type != "" && !token.Header.IsType("JWT") && !token.Header.IsType(typeRequestObject):
		return errObjectType
	case claims.Issuer != nil && *claims.Issuer != c.ID:
		return errObjectIssuer
	case claims.Audience != nil && !slices.Contains(claims.Audience, i.URL):
		return errObjectAudience
	case claims.Subject != nil && *claims.Subject == c.ID:
		return errObjectSubject
	case claims.Expires != nil && now-skew >= *claims.Expires, claims.NotBefore > now+skew, claims.IssuedAt > now+skew:
		return errObjectTime
	case claims.ID != nil && (*claims.ID == "" || len(*claims.ID) > maxObjectID):
		return errObjectID
	}
	return nil
}

// readObjectParameters reads the parameters among the claims of a request object.
func readObjectParameters(payload []byte) (r AuthorizationRequest, err error) {
	members, err := strictjson.Members(payload)
	if err != nil {
		return r, errObjectJSON.because(err)
	}
	for _, m := range members {
		if m.Name == "resource" {
			if r.Resource, err = readResources(m.Value); err != nil {
				return AuthorizationRequest{}, err
			}
			continue
		}
		for _, p := range single {
			if p.name != m.Name {
				continue
			}
			text, ok := objectText(m)
			if !ok {
				return AuthorizationRequest{}, errObjectParameter
			}
			*p.of(&r) = text
		}
	}
	return r, nil
}

// objectText returns a claim as the text of its parameter: max_age may be a number, and claims an
// object (OIDC Core section 6.1).
func objectText(m strictjson.Member) (string, bool) {
	text, ok := strictjson.String(m.Value)
	switch first := m.Value[0]; {
	case ok:
		return text, true
	case m.Name == "max_age" && (first == '-' || first >= '0' && first <= '9'), m.Name == "claims" && first == '{':
		return string(m.Value), true
	}
	return "", false
}

// readResources reads the claim resource: a URI or a list of them.
func readResources(value []byte) ([]string, error) {
	if uri, ok := strictjson.String(value); ok {
		return []string{uri}, nil
	}
	var list []string
	if err := strictjson.Unmarshal(value, &list, strictjson.RefuseUnknown); err != nil || list == nil {
		return nil, errObjectParameter
	}
	return slices.DeleteFunc(list, func(uri string) bool { return uri == "" }), nil
}

// answerOf returns what a refused request object says about the answer: a client that waits for a
// form, or for its state, would not recognize the refusal otherwise. The object is not verified,
// which does no harm: a query is not verified either.
func answerOf(compact string) (r AuthorizationRequest) {
	parts := strings.SplitN(compact, ".", 4)
	if len(parts) != 3 {
		return r
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return r
	}
	members, err := strictjson.Members(payload)
	if err != nil {
		return r
	}
	for _, m := range members {
		switch text, ok := strictjson.String(m.Value); {
		case !ok:
		case m.Name == "redirect_uri":
			r.RedirectURI = text
		case m.Name == "state":
			r.State = text
		case m.Name == "response_mode" && (text == ModeQuery || text == ModeFormPost):
			r.ResponseMode = text
		}
	}
	return r
}
