package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/issuer"
)

// inspection is one look at one token. Its checks explain, claim by claim; the last
// word is that of the code which would really judge it: the verifier's for an access
// token, and the issuer's where its store is at hand.
type inspection struct {
	ctx              context.Context
	raw              string
	now              time.Time
	skew             time.Duration
	issuer, audience string
	keys             map[string]inspectedKey
	keySet           []byte     // the same keys as a JWK set, as a resource server gets them
	own              *ownIssuer // nil: judged without the store

	kind   string
	header jose.Header
	claims map[string]json.RawMessage
	checks []tokenCheck
}

type inspectedKey struct {
	jose.PublicKey
	state     string // for people
	published bool
}

// tokenCheck is one line of the verdict. Without a verdict it is only told.
type tokenCheck struct {
	Name    string `json:"name"`
	Value   string `json:"value,omitempty"`
	OK      *bool  `json:"ok"`
	Unknown bool   `json:"unknown,omitempty"` // it matters, and cannot be told here
	Detail  string `json:"detail"`
}

func (i *inspection) told(name, value, detail string) {
	i.checks = append(i.checks, tokenCheck{Name: name, Value: value, Detail: detail})
}

func (i *inspection) judge(ok bool, name, value, good, bad string) {
	detail := good
	if !ok {
		detail = bad
	}
	i.checks = append(i.checks, tokenCheck{Name: name, Value: value, OK: &ok, Detail: detail})
}

func (i *inspection) untold(name, value, detail string) {
	i.checks = append(i.checks, tokenCheck{Name: name, Value: value, Unknown: true, Detail: detail})
}

// What an inspection ends with.
const (
	accepted = "accepted"
	refused  = "refused"
	unknown  = "unknown"
)

func (i *inspection) verdict() string {
	result := accepted
	for _, c := range i.checks {
		switch {
		case c.OK != nil && !*c.OK:
			return refused
		case c.Unknown:
			result = unknown
		}
	}
	return result
}

const (
	kindAccess  = "access token"
	kindID      = "ID token"
	kindRefresh = "refresh token"
	kindUnknown = "token of an unknown type"
)

func (i *inspection) inspect() {
	token, err := jose.Parse(i.raw)
	if err != nil {
		i.kind = "not a token of Signet's"
		i.judge(false, "format", "", "", err.Error()+foreignForm(i.raw))
		return
	}
	i.header = token.Header
	switch {
	case token.Header.IsType(issuer.TypeAccessToken):
		i.kind = kindAccess
	case token.Header.IsType(issuer.TypeRefreshToken):
		i.kind = kindRefresh
	case token.Header.IsType(issuer.TypeIDToken):
		i.kind = kindID
	default:
		i.kind = kindUnknown
	}
	i.judge(i.kind != kindUnknown, "typ", token.Header.Type, i.kind+"; accepted in no other's place",
		"none of at+jwt, JWT and rt+jwt")
	i.signature(token)
	if err := strictjson.Unmarshal(token.Payload, &i.claims, strictjson.IgnoreUnknown); err != nil {
		i.judge(false, "claims", "", "", err.Error())
		return
	}
	i.names()
	i.judge(i.text("iss") == i.issuer, "iss", i.text("iss"), "the expected issuer", "the issuer is expected to be "+i.issuer+", byte for byte")
	i.whoFor()
	i.times()
	i.subject()
	switch {
	case i.own != nil:
		i.session()
	case i.kind == kindRefresh:
		i.untold("session", "", "only its issuer can tell: run this where the server's store is, without --jwks")
	}
	i.lastWord()
}

// foreignForm guesses what a text is that is not a compact JWS.
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

func (a *app) showInspection(i *inspection) error {
	result := i.verdict()
	verdict := map[string]string{
		accepted: "It would be accepted.",
		refused:  "It would be refused.",
		unknown:  "Whether it would be accepted cannot be told here.",
	}[result]
	if a.asJSON {
		claims := map[string]json.RawMessage{}
		for name, value := range i.claims {
			claims[name] = value
		}
		if i.kind == "refresh token" && claims["jti"] != nil {
			claims["jti"] = json.RawMessage(`"[redacted]"`)
		}
		err := a.printJSON(map[string]any{
			"kind": i.kind, "accepted": result == accepted, "verdict": result, "checks": i.checks, "claims": claims,
			"header": map[string]string{"alg": i.header.Algorithm, "kid": i.header.KeyID, "typ": i.header.Type},
		})
		if err != nil {
			return err
		}
	} else {
		article := "a"
		if strings.HasPrefix(i.kind, "access") || strings.HasPrefix(i.kind, "ID") {
			article = "an"
		}
		if strings.HasPrefix(i.kind, "not ") {
			fmt.Fprintf(a.out, "This is %s. %s\n\n", i.kind, verdict)
		} else {
			fmt.Fprintf(a.out, "This is %s %s. %s\n\n", article, i.kind, verdict)
		}
		var rows [][]string
		for _, c := range i.checks {
			mark := " "
			switch {
			case c.Unknown:
				mark = "?"
			case c.OK != nil:
				mark = map[bool]string{true: "✓", false: "✗"}[*c.OK]
			}
			rows = append(rows, []string{mark, c.Name, c.Value, c.Detail})
		}
		if err := a.table(nil, rows); err != nil {
			return err
		}
	}
	if result != accepted {
		return &failure{}
	}
	return nil
}
