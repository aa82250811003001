package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/issuer"
)

// adminRequest is a request of somebody who may administer, with the parameters of its query read.
// Handlers of the admin API take nothing else, so that none can be reached without the check.
type adminRequest struct {
	*http.Request
	session issuer.Session
	query   query
}

// admin lets a handler be called with an access token of scope admin and no other. Such a token only a
// user with the role admin gets, through a first-party client, and it loses the scope in
// the moment in which its user loses the role.
//
// parameters are the names that its query may have. They are looked at after the token: what a
// stranger asks for is nobody's business.
func (s *Server) admin(handle func(http.ResponseWriter, adminRequest) error, parameters ...string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		session, r, err := s.bearer(r)
		if err != nil {
			return err
		}
		if !session.HasScope(issuer.ScopeAdmin) {
			s.Accounts.NotAdmin(r.Context())
			p := newProblem(insufficientScope, "This needs an access token with the scope admin, of a user with the role admin.")
			p.scope = issuer.ScopeAdmin
			return p
		}
		q, err := readQuery(r, parameters)
		if err != nil {
			return err
		}
		return handle(w, adminRequest{r, session, q})
	}
}

// adminReserved says of members that an admin does not set either, or not here, what to do instead.
var adminReserved = map[string]string{
	"is_active":             "An account begins enabled; disable it once it is there.",
	"role":                  "Send roles, a list.",
	"phone_number_verified": "A phone number cannot be declared verified.",
	"password":              "Set it at /v1/admin/users/{id}/password.",
}

// decodeAdmin is decode with the advice that an admin needs.
func decodeAdmin(w http.ResponseWriter, r adminRequest, v any, types ...string) ([]byte, error) {
	body, err := decode(w, r.Request, v, types...)
	if p := (*problem)(nil); errors.As(err, &p) {
		for i, f := range p.Errors {
			if message, ok := adminReserved[strings.ToLower(f.Field)]; ok && f.Code == "not_allowed" {
				p.Errors[i].Message = message
			}
		}
	}
	return body, err
}

// bare is for calls that say everything by their path: no body, or an empty object, as some clients send.
func bare(w http.ResponseWriter, r adminRequest) error {
	if bodyless(r.Request) {
		return nil
	}
	_, err := decodeAdmin(w, r, &struct{}{})
	return err
}

// nullFault is for a member that a merge patch cannot empty.
func nullFault(field string) fault {
	return fault{field, strictjson.WrongType, "This must be true or false."}
}
