package webauthn

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/signet-id/signet/internal/strictjson"
)

// MaxResponse is how many bytes a response may have. Real ones have about two thousand.
const MaxResponse = 64 << 10

// maxCredentialID is the limit of section 7.1 step 25.
const maxCredentialID = 1023

var (
	// ErrResponse means that a response cannot be read or proves nothing. What follows it in the
	// text is for a log, not for the client.
	ErrResponse = errors.New("the response of the authenticator is refused")

	// ErrCounter means that everything about a response is right, except that the signature counter
	// did not grow: there may be a copy of the authenticator (section 6.1.1).
	ErrCounter = errors.New("the signature counter of the authenticator did not grow")
)

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrResponse}, args...)...)
}

// refused turns an error of the library into an ErrResponse. The library spreads its reasons over
// two texts of each error in a chain, and some of them quote the response.
func refused(err error) error {
	reasons := make([]string, 0, 4)
	for e := (*protocol.Error)(nil); len(reasons) < cap(reasons) && errors.As(err, &e); err = e.Err {
		reasons = append(reasons, fmt.Sprintf("%.200q", e.Details))
		if e.DevInfo != "" {
			reasons = append(reasons, fmt.Sprintf("%.200q", e.DevInfo))
		}
	}
	if len(reasons) == 0 {
		return refuse("%.200q", err.Error())
	}
	return refuse("%s", strings.Join(reasons, ": "))
}

// credential is a PublicKeyCredential as its toJSON writes it: RegistrationResponseJSON or
// AuthenticationResponseJSON (section 5.1). Members that this package does not need, such as the
// results of extensions, are ignored, because none was requested.
type credential[Response any] struct {
	ID       string   `json:"id"`
	RawID    string   `json:"rawId"`
	Type     string   `json:"type"`
	Response Response `json:"response"`
	id       []byte   // decoded
}

type attestationResponse struct {
	ClientDataJSON    string   `json:"clientDataJSON"`
	AttestationObject string   `json:"attestationObject"`
	Transports        []string `json:"transports"`
}

type assertionResponse struct {
	ClientDataJSON    string  `json:"clientDataJSON"`
	AuthenticatorData string  `json:"authenticatorData"`
	Signature         string  `json:"signature"`
	UserHandle        *string `json:"userHandle"` // authenticators may leave it out
}

// read decodes the JSON of a response.
func read[Response any](response json.RawMessage) (*credential[Response], error) {
	if len(response) > MaxResponse {
		return nil, refuse("it has %d bytes, and %d are the limit", len(response), MaxResponse)
	}
	var c credential[Response]
	if err := strictjson.Unmarshal(response, &c, strictjson.IgnoreUnknown); err != nil {
		return nil, refuse("%.200q", err.Error())
	}
	if c.ID != c.RawID {
		return nil, refuse("id and rawId differ")
	}
	var err error
	if c.id, err = decode(c.ID); err != nil || len(c.id) == 0 || len(c.id) > maxCredentialID {
		return nil, refuse("its id is not 1 to %d bytes in base64url", maxCredentialID)
	}
	return &c, nil
}

// member decodes a member of a response that is in base64url. Each of them must be there.
func member(name, value string) (protocol.URLEncodedBase64, error) {
	b, err := decode(value)
	if err != nil || len(b) == 0 {
		return nil, refuse("%s is not base64url without padding, or is missing", name)
	}
	return b, nil
}

// clientData is CollectedClientData (section 5.8.1), which the browser wrote and the authenticator
// signed.
type clientData struct {
	Type        string  `json:"type"`
	Challenge   string  `json:"challenge"`
	Origin      string  `json:"origin"`
	CrossOrigin *bool   `json:"crossOrigin"`
	TopOrigin   *string `json:"topOrigin"`

	raw       protocol.URLEncodedBase64
	challenge []byte // decoded
}

func readClientData(encoded string) (*clientData, error) {
	var c clientData
	var err error
	if c.raw, err = member("clientDataJSON", encoded); err != nil {
		return nil, err
	}
	if err := strictjson.Unmarshal(c.raw, &c, strictjson.IgnoreUnknown); err != nil {
		return nil, refuse("clientDataJSON: %.200q", err.Error())
	}
	c.challenge, err = member("challenge", c.Challenge)
	return &c, err
}

// checkClientData checks what the browser says: which call was made, by which page, for which
// challenge. The library checks the same again, but takes an origin in another case or with a path.
func (rp *RelyingParty) checkClientData(c *clientData, ceremony protocol.CeremonyType, challenge []byte) error {
	switch {
	case c.Type != string(ceremony):
		return refuse("its type is %.50q instead of %s", c.Type, ceremony)
	case subtle.ConstantTimeCompare(c.challenge, challenge) != 1:
		return refuse("its challenge is another one")
	case !slices.Contains(rp.origins, c.Origin):
		return refuse("its origin %.200q is not one of %s", c.Origin, rp.origins)
	case c.CrossOrigin != nil && *c.CrossOrigin, c.TopOrigin != nil:
		// What a person sees around such a page, and clicks on, is another page's choice.
		return refuse("it was made in a frame of another origin's page")
	}
	return nil
}

// Challenge returns the challenge that a response of either kind is an answer to. It verifies
// nothing: the caller finds out whether the challenge is one of its own, and gives it to Register
// or Verify.
func Challenge(response json.RawMessage) ([]byte, error) {
	c, err := read[struct {
		ClientDataJSON string `json:"clientDataJSON"`
	}](response)
	if err != nil {
		return nil, err
	}
	client, err := readClientData(c.Response.ClientDataJSON)
	if err != nil {
		return nil, err
	}
	return client.challenge, nil
}
