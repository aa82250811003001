// Package admin is the API of administrators, /v1/admin. Its handlers take a Request, and only
// Handlers.Only makes one: after it has checked the scope and read the query. cursor.go pages the
// lists.
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
	"github.com/signet-id/signet/userstore/registration"
)

// Handlers are the endpoints of /v1/admin. Each goes through Only.
type Handlers struct {
	Bearer   bearer.Authenticator
	Accounts *userstore.Accounts
	Clients  *registration.Registry
	Users    userstore.Users
	Audit    userstore.Audit
	Sessions profile.Sessions
	Secret   func(keys.Purpose) ([]byte, error) // the HMAC key of cursors
	// Proof reads a proof of the caller from the header of a request. problem.RecentProofRequired: there
	// is none.
	Proof      func(*http.Request, issuer.Session) (userstore.Proof, error)
	IssuerPath string // of the issuer identifier, where Location and Link begin
}

// Request is a request with an admin's token, and with its query read. Handlers of the admin API
// take nothing else, so that none can be reached without the check.
type Request struct {
	*http.Request
	Session issuer.Session
	query   query
}

// Only calls a handler for access tokens of scope admin. Only a user with the role admin gets such
// a token, through a first-party client, and the token loses the scope when its user loses the
// role.
//
// parameters are the names that the query may have. They are checked after the token, so that a
// caller without a token learns nothing about them.
func (h *Handlers) Only(handle func(http.ResponseWriter, Request) error, parameters ...string) wire.Handler {
	return h.Bearer.User(func(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
		if !session.HasScope(userstore.ScopeAdmin) {
			h.Accounts.RecordAdminRefused(r.Context())
			p := problem.New(problem.InsufficientScope, "This needs an access token with the scope admin, of a user with the role admin.")
			p.Scope = userstore.ScopeAdmin
			return p
		}
		q, err := readQuery(r, parameters)
		if err != nil {
			return err
		}
		return handle(w, Request{r, session, q})
	})
}

// userAdvice says what to do about members that an admin does not set, or not here.
var userAdvice = map[string]string{
	"is_active":             "An account begins enabled; disable it once it is there.",
	"role":                  "Send roles, a list.",
	"phone_number_verified": "A phone number cannot be declared verified.",
	"password":              "Set it at /v1/admin/users/{id}/password.",
}

// decodeAdmin is profile.Decode with userAdvice in its errors.
func decodeAdmin(w http.ResponseWriter, r Request, v any, types ...string) ([]byte, error) {
	body, err := profile.Decode(w, r.Request, v, types...)
	if p := (*problem.Problem)(nil); errors.As(err, &p) {
		for i, f := range p.Errors {
			if message, ok := userAdvice[strings.ToLower(f.Field)]; ok && f.Code == "not_allowed" {
				p.Errors[i].Message = message
			}
		}
	}
	return body, err
}

// expectNoBody is for calls whose path says everything: no body, or an empty object, as some
// clients send.
func expectNoBody(w http.ResponseWriter, r Request) error {
	if wire.Bodyless(r.Request) {
		return nil
	}
	_, err := decodeAdmin(w, r, &struct{}{})
	return err
}

// nullFault is the fault of a null where a merge patch needs true or false.
func nullFault(field string) problem.Fault {
	return problem.Fault{Field: field, Code: strictjson.WrongType, Message: "This must be true or false."}
}
