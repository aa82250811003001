package api

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/issuer"
)

// bearer finds out who is calling, by the access token in the Authorization header. Take the
// request that it returns in the place of the one it was given, as in
//
//	session, r, err := s.bearer(r)
//
// so that the audit log tells of whatever the request does who did it.
func (s *Server) bearer(r *http.Request) (issuer.Session, *http.Request, error) {
	raw, err := bearerToken(r)
	if err != nil {
		return issuer.Session{}, r, err
	}
	session, err := s.Issuer.Bearer(r.Context(), raw)
	if err != nil {
		return issuer.Session{}, r, err
	}
	g := session.View.Grant
	ctx := audit.As(r.Context(), audit.Actor{Type: audit.ByUser, ID: g.UserID}, g.ClientID, g.SessionID)
	return session, r.WithContext(ctx), nil
}

// writer is bearer for what changes the profile, which needs the scope profile.
func (s *Server) writer(r *http.Request) (issuer.Session, *http.Request, error) {
	session, r, err := s.bearer(r)
	if err == nil && !session.HasScope("profile") {
		p := newProblem(insufficientScope, "Changing the profile needs an access token with the scope profile.")
		p.scope = "profile"
		return issuer.Session{}, r, p
	}
	return session, r, err
}

// bearerToken takes the token from the one Authorization header. OAuth 2.1 allows one
// way of sending it per request: two are refused rather than chosen from, and a token in the query counts for nothing
// (it would end up in logs and histories).
func bearerToken(r *http.Request) (string, error) {
	headers := r.Header["Authorization"]
	if len(headers) > 1 {
		return "", newProblem(invalidRequest, "Send exactly one Authorization header.")
	}
	inBody, err := tokenInForm(r)
	switch {
	case err != nil:
		return "", err
	case inBody && len(headers) == 1:
		return "", newProblem(invalidRequest, "Send the access token once, in the Authorization header.")
	case len(headers) == 0:
		return "", newProblem(missingToken, "")
	}
	return schemeBearer(headers[0])
}

// schemeBearer is the token of an Authorization header of that scheme, behind one space or several (RFC 6750 section 2.1).
// verifier.Authenticate has the same rule; it shares no package with us.
func schemeBearer(header string) (string, error) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", newProblem(missingToken, "")
	}
	return token, nil
}

// tokenInForm tells whether the body is a form that carries an access_token
// (RFC 6750 section 2.2). Who takes forms does not ask here, so it may be eaten.
func tokenInForm(r *http.Request) (bool, error) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != formType {
		return false, nil
	}
	body, err := readBody(r)
	if err != nil {
		return false, err
	}
	form, _ := url.ParseQuery(string(body)) // what is malformed is not a token
	return form.Has("access_token"), nil
}
