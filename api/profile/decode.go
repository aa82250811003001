package profile

import (
	"errors"
	"net/http"
	"strings"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/strictjson"
)

// reserved lists members of an account that its owner must not set. Sending one is an error of its
// own, so that the client does not believe that it was stored.
var reserved = map[string]string{
	"is_active":             "Only an administrator changes this.",
	"is_staff":              "Only an administrator changes this.",
	"roles":                 "Only an administrator changes this.",
	"role":                  "Only an administrator changes this.",
	"email_verified":        "This follows from a verification, not from a request.",
	"phone_number_verified": "This follows from a verification, not from a request.",
	"id":                    "The server chooses this.",
	"sub":                   "The server chooses this.",
	"created_at":            "The server keeps this.",
	"updated_at":            "The server keeps this.",
	"last_login_at":         "The server keeps this.",
	"password_hash":         "Passwords are sent as such and hashed here.",
	"password":              "Change it at /v1/profile/password.",
}

// Decode is wire.Decode for the account API. A reserved member is refused with its own message.
func Decode(w http.ResponseWriter, r *http.Request, v any, types ...string) ([]byte, error) {
	body, err := wire.Decode(w, r, v, types...)
	if p := (*problem.Problem)(nil); errors.As(err, &p) {
		for i, f := range p.Errors {
			if message, ok := reserved[strings.ToLower(f.Field)]; ok && f.Code == strictjson.UnknownField {
				p.Errors[i].Code, p.Errors[i].Message = "not_allowed", message
			}
		}
	}
	return body, err
}
