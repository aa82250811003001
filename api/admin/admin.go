// Package admin is the API of administrators, /v1/admin. Its handlers take a Request, which only Handlers.Only makes: past
// the check of the scope, with the query read and nothing unknown in it. Its lists are paged by cursor.go.
package admin

import (
	"errors"
	"net/http"
	"strings"

	"github.com/signet-id/signet/api/bearer"
	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// Handlers are the endpoints of /v1/admin. Each goes through Only.
type Handlers struct {
	Bearer     bearer.Authenticator
	Accounts   *userstore.Accounts
	Clients    *userstore.Registry
	Users      userstore.Users
	Audit      userstore.Audit
	Sessions   profile.Sessions
	Secret     func(keys.Purpose) ([]byte, error) // the HMAC key of cursors
	IssuerPath string                             // of the issuer identifier, where Location and Link begin
}

// Request is a request of somebody who may administer, with the parameters of its query read.
// Handlers of the admin API take nothing else, so that none can be reached without the check.
type Request struct {
	*http.Request
	Session issuer.Session
	query   query
}

// Only lets a handler be called with an access token of scope admin and no other. Such a token only a
// user with the role admin gets, through a first-party client, and it loses the scope in
// the moment in which its user loses the role.
//
// parameters are the names that its query may have. They are looked at after the token: what a
// stranger asks for is nobody's business.
func (h *Handlers) Only(handle func(http.ResponseWriter, Request) error, parameters ...string) wire.Handler {
	return h.Bearer.User(func(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
		if !session.HasScope(issuer.ScopeAdmin) {
			h.Accounts.NotAdmin(r.Context())
			p := problem.New(problem.InsufficientScope, "This needs an access token with the scope admin, of a user with the role admin.")
			p.Scope = issuer.ScopeAdmin
			return p
		}
		q, err := readQuery(r, parameters)
		if err != nil {
			return err
		}
		return handle(w, Request{r, session, q})
	})
}

// adminReserved says of members that an admin does not set either, or not here, what to do instead.
var adminReserved = map[string]string{
	"is_active":             "An account begins enabled; disable it once it is there.",
	"role":                  "Send roles, a list.",
	"phone_number_verified": "A phone number cannot be declared verified.",
	"password":              "Set it at /v1/admin/users/{id}/password.",
}

// decodeAdmin is decode with the advice that an admin needs.
func decodeAdmin(w http.ResponseWriter, r Request, v any, types ...string) ([]byte, error) {
	body, err := wire.Decode(w, r.Request, v, types...)
	if p := (*problem.Problem)(nil); errors.As(err, &p) {
		for i, f := range p.Errors {
			if message, ok := adminReserved[strings.ToLower(f.Field)]; ok && f.Code == "not_allowed" {
				p.Errors[i].Message = message
			}
		}
	}
	return body, err
}

// bare is for calls that say everything by their path: no body, or an empty object, as some clients send.
func bare(w http.ResponseWriter, r Request) error {
	if wire.Bodyless(r.Request) {
		return nil
	}
	_, err := decodeAdmin(w, r, &struct{}{})
	return err
}

// nullFault is for a member that a merge patch cannot empty.
func nullFault(field string) problem.Fault {
	return problem.Fault{Field: field, Code: strictjson.WrongType, Message: "This must be true or false."}
}
