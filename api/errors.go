package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/dpop"
	"github.com/signet-id/signet/issuer"
)

var problemJSON = []string{"application/problem+json"}

// problemDocument is the document of RFC 9457.
type problemDocument struct {
	Type   string          `json:"type"` // points into openapi.json, where the code is explained
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Detail string          `json:"detail"`
	Code   problem.Code    `json:"code"`
	Errors []problem.Fault `json:"errors,omitempty"`

	// Of a login that needs a second step.
	Login     string   `json:"login,omitempty"`
	Methods   []string `json:"methods,omitempty"`
	ExpiresIn int64    `json:"expires_in,omitempty"`

	// Of a login that failed after it set up a second factor.
	RecoveryCodes []string `json:"recovery_codes,omitempty"`
}

// writeProblem answers with p in the form of the route's class.
func (s *Server) writeProblem(w http.ResponseWriter, r *http.Request, class routeClass, p *problem.Problem) {
	k := p.Kind()
	h := w.Header()
	h["Cache-Control"] = noStore
	delete(h, "Etag")
	if retry := p.RetryAfter(); retry != "" {
		h["Retry-After"] = []string{retry}
	}
	if !class.forPeople() && s.isLostPerson(r, p) {
		h["Vary"] = append(slices.Clone(h["Vary"]), varyNotFound)
		h["X-Frame-Options"] = noFraming
		class = ownPage
	}
	if class.forPeople() {
		if s.pages().Error(w, r, p) != nil {
			s.writeOAuthError(w, r, k, p)
		}
		return
	}
	if class != accountAPI {
		s.writeOAuthError(w, r, k, p)
		return
	}
	if k.Bearer != "" {
		h["Www-Authenticate"] = s.challenges(r, k, p)
	}
	document := problemDocument{
		Type:  s.base() + "/openapi.json#/components/examples/" + string(p.Code),
		Title: k.Title, Status: k.Status, Detail: p.Detail, Code: p.Code, Errors: p.Errors,
		RecoveryCodes: p.RecoveryCodes,
	}
	if step := p.Step; step != nil {
		document.Login, document.Methods, document.ExpiresIn = step.Login, step.Methods, step.ExpiresIn
	}
	body, err := json.Marshal(document)
	if err != nil {
		panic(err) // strings and numbers only
	}
	wire.WriteBody(w, k.Status, problemJSON, body)
}

// dpopAlgorithms is the parameter of RFC 9449 section 7.1 that lists the algorithms of proofs.
var dpopAlgorithms = `algs="` + strings.Join(dpop.Algorithms, " ") + `"`

// challenges are the values of WWW-Authenticate. RFC 9110 demands a challenge with each 401. The error
// stands in that of the scheme that the request used; a request without a token sees by which schemes one
// can come (RFC 9449 section 7.2).
func (s *Server) challenges(r *http.Request, k problem.Kind, p *problem.Problem) []string {
	switch scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); {
	case strings.EqualFold(scheme, "DPoP") && k.Bearer != "-":
		return []string{s.challenge("DPoP ", k, p) + ", " + dpopAlgorithms}
	case p.Resource:
		return []string{s.challenge("Bearer ", k, p), "DPoP " + dpopAlgorithms}
	}
	return []string{s.challenge("Bearer ", k, p)}
}

// challenge is a challenge by RFC 6750 section 3: with the error first, and without one when no token
// was sent.
func (s *Server) challenge(scheme string, k problem.Kind, p *problem.Problem) string {
	realm := `realm="` + s.Issuer.URL + `"`
	if k.Bearer == "-" {
		return scheme + realm
	}
	text := scheme + `error="` + k.Bearer + `", error_description="` + quotable(p.Detail) + `"`
	if p.Scope != "" {
		text += `, scope="` + p.Scope + `"`
	}
	return text + ", " + realm
}

// oauthStatus is the status of each error code of the protocol: RFC 6749 section 5.2, RFC 6750
// section 3.1, RFC 7009 section 2.2.1, RFC 8707 section 2.
var oauthStatus = map[issuer.Code]int{
	issuer.InvalidRequest:       400,
	issuer.InvalidGrant:         400,
	issuer.UnauthorizedClient:   400,
	issuer.UnsupportedGrantType: 400,
	issuer.UnsupportedTokenType: 400,
	issuer.InvalidScope:         400,
	issuer.InvalidTarget:        400,

	// Of a pushed request (RFC 9126 section 2.3, OIDC Core section 3.1.2.6).
	issuer.UnsupportedResponseType: 400,
	issuer.UnmetAuthentication:     400,
	issuer.RequestNotSupported:     400,
	issuer.InvalidRequestObject:    400,

	// Of the device authorization grant (RFC 8628 section 3.5).
	issuer.AuthorizationPending: 400,
	issuer.SlowDown:             400,
	issuer.AccessDenied:         400,
	issuer.ExpiredToken:         400,

	// Of a DPoP proof (RFC 9449 sections 5 and 8), where the request presents no access token.
	issuer.InvalidDPoPProof: 400,
	issuer.UseDPoPNonce:     400,

	// Of a registration (RFC 7591 section 3.2.2).
	issuer.InvalidRedirectURI:          400,
	issuer.InvalidClientMetadata:       400,
	issuer.InvalidSoftwareStatement:    400,
	issuer.UnapprovedSoftwareStatement: 400,

	issuer.InvalidClient:     401,
	issuer.InvalidToken:      401,
	issuer.InsufficientScope: 403,
}

// writeOAuthError answers as RFC 6749 section 5.2 does. A 401 has a challenge (RFC 9110 section
// 15.5.2): Basic for a client, whichever way it authenticated, and Bearer for a token.
func (s *Server) writeOAuthError(w http.ResponseWriter, r *http.Request, k problem.Kind, p *problem.Problem) {
	e := struct {
		Error       issuer.Code     `json:"error"`
		Description string          `json:"error_description"`
		Reasons     []problem.Fault `json:"reasons,omitempty"`
	}{k.OAuth, quotable(p.Detail), p.Errors}
	status := k.Status
	if n, ok := oauthStatus[p.Said]; ok {
		e.Error = p.Said
		if !p.Resource || k.Bearer == "" {
			status = n
		}
	}
	if e.Error == "" {
		e.Error = issuer.InvalidRequest
	}
	switch {
	case e.Error == issuer.InvalidClient:
		w.Header()["Www-Authenticate"] = []string{`Basic realm="` + s.Issuer.URL + `"`}
	case (status == http.StatusUnauthorized || status == http.StatusForbidden) && k.Bearer != "":
		w.Header()["Www-Authenticate"] = s.challenges(r, k, p)
	}
	body, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	wire.WriteBody(w, status, wire.JSONHeader, body)
}

// quotable keeps the characters that RFC 6749 allows in error_description:
// %x20-21 / %x23-5B / %x5D-7E, which are also safe between quotes in a header.
func quotable(text string) string {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			c = '\''
		}
		out = append(out, c)
	}
	return string(out)
}
