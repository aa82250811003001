// Package inspect explains tokens to people: what a token is and, claim by claim, why it would or
// would not be accepted. Its own checks only explain. A token counts as accepted only if the code
// that really decides accepts it too: the verifier for access tokens, and the issuer if its store
// can be read.
package inspect

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/issuer"
)

// Input is a token and the values that it is checked against.
type Input struct {
	Raw      string // the token
	Now      time.Time
	Skew     time.Duration // how far verifiers allow clocks to be off
	Issuer   string        // the issuer that must have issued the token
	Audience string        // the audience that is to accept the token; empty: the audience in the token
	Keys     Keys
	Own      *issuer.Issuer // with Grants, to check against the store; nil: check without the store
}

// Report is the result of an inspection.
type Report struct {
	Kind   string
	Header jose.Header
	Claims map[string]json.RawMessage // nil when the payload is not valid
	Checks []Check
}

// Check is one line of the report. A line with neither OK nor Unknown is for information only.
type Check struct {
	Name    string `json:"name"`
	Value   string `json:"value,omitempty"`
	OK      *bool  `json:"ok"`
	Unknown bool   `json:"unknown,omitempty"` // the check matters, but could not be made
	Detail  string `json:"detail"`
}

// Token inspects one token.
func Token(ctx context.Context, in Input) Report {
	i := inspection{Input: in, ctx: ctx}
	i.run()
	return i.Report
}

// inspection is a running inspection: the input, and the report so far.
type inspection struct {
	Input
	Report
	ctx context.Context
}

// note adds a line for information.
func (i *inspection) note(name, value, detail string) {
	i.Checks = append(i.Checks, Check{Name: name, Value: value, Detail: detail})
}

// check adds a line with the detail good if ok, or else with the detail bad.
func (i *inspection) check(ok bool, name, value, good, bad string) {
	if !ok {
		i.refuse(name, value, bad)
		return
	}
	i.accept(name, value, good)
}

func (i *inspection) accept(name, value, detail string) { i.add(true, name, value, detail) }

func (i *inspection) refuse(name, value, detail string) { i.add(false, name, value, detail) }

func (i *inspection) add(ok bool, name, value, detail string) {
	i.Checks = append(i.Checks, Check{Name: name, Value: value, OK: &ok, Detail: detail})
}

// cannotTell adds a line for a check that matters but could not be made.
func (i *inspection) cannotTell(name, value, detail string) {
	i.Checks = append(i.Checks, Check{Name: name, Value: value, Unknown: true, Detail: detail})
}

// The results of Verdict.
const (
	Accepted = "accepted"
	Refused  = "refused"
	Unknown  = "unknown"
)

// Verdict returns the result of all checks together.
func (r *Report) Verdict() string {
	result := Accepted
	for _, c := range r.Checks {
		switch {
		case c.OK != nil && !*c.OK:
			return Refused
		case c.Unknown:
			result = Unknown
		}
	}
	return result
}

// Kinds of token.
const (
	kindAccess  = "access token"
	kindID      = "ID token"
	KindRefresh = "refresh token"
	kindAnswer  = "answer of introspection, which is no token"
	kindUnknown = "token of an unknown type"
)

func (i *inspection) run() {
	token, err := jose.Parse(i.Raw)
	if err != nil {
		i.Kind = "not a token of Signet's"
		i.refuse("format", "", err.Error()+foreignForm(i.Raw))
		return
	}
	i.Header = token.Header
	switch {
	case token.Header.IsType(issuer.TypeAccessToken):
		i.Kind = kindAccess
	case token.Header.IsType(issuer.TypeRefreshToken):
		i.Kind = KindRefresh
	case token.Header.IsType(issuer.TypeIDToken):
		i.Kind = kindID
	case token.Header.IsType(issuer.TypeIntrospection):
		i.Kind = kindAnswer
	default:
		i.Kind = kindUnknown
	}
	i.check(i.Kind != kindUnknown && i.Kind != kindAnswer, "typ", token.Header.Type, i.Kind+"; accepted in no other's place",
		"none of at+jwt, JWT and rt+jwt")
	i.signature(token)
	if err := strictjson.Unmarshal(token.Payload, &i.Claims, strictjson.IgnoreUnknown); err != nil {
		i.refuse("claims", "", err.Error())
		return
	}
	i.unknownClaims()
	i.check(i.text("iss") == i.Issuer, "iss", i.text("iss"), "the expected issuer", "the issuer is expected to be "+i.Issuer+", byte for byte")
	i.audience()
	i.times()
	i.subject()
	switch {
	case i.Own != nil:
		i.session()
	case i.Kind == KindRefresh:
		i.cannotTell("session", "", "only its issuer can tell: run this where the server's store is, without --jwks")
	}
	i.askDeciders()
}

// foreignForm names the kind of text that the user probably gave instead of a compact JWS.
func foreignForm(text string) string {
	switch {
	case text == "":
		return "; nothing was given"
	case strings.Count(text, ".") == 4:
		return "; five segments are an encrypted token (JWE), which Signet never issues"
	case strings.HasPrefix(text, "{"):
		return "; this is JSON: pass the value of access_token, id_token or refresh_token alone"
	case strings.HasPrefix(strings.ToLower(text), "bearer "):
		return "; leave out the word Bearer"
	}
	return ""
}
