package account

import (
	"encoding/json"
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

type loginRequest struct {
	Email    string    `json:"email"`
	Username string    `json:"username"`
	Password string    `json:"password"`
	ClientID string    `json:"client_id"`
	Scope    string    `json:"scope"`
	Resource oneOrMany `json:"resource"`
}

// Login checks a password and answers tokens (RFC 6749 section 5.1).
func (h *Handlers) Login(w http.ResponseWriter, r *http.Request) error {
	if !h.JSONLogin {
		return problem.New(problem.LoginClosed, "")
	}
	var q loginRequest
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	var faults []problem.Fault
	switch {
	case q.Email == "" && q.Username == "":
		faults = append(faults, problem.Fault{Field: "email", Code: "required", Message: "Send either email or username."})
	case q.Email != "" && q.Username != "":
		faults = append(faults, problem.Fault{Field: "username", Code: "not_allowed", Message: "Send either email or username, not both."})
	}
	if q.Password == "" {
		faults = append(faults, problem.Fault{Field: "password", Code: "required", Message: "Send the password."})
	}
	if faults != nil {
		return problem.Invalid(faults...)
	}
	tokens, err := h.Issuer.Login(r.Context(), issuer.LoginRequest{
		Email: q.Email, Username: q.Username, Password: q.Password,
		ClientID: q.ClientID, Scope: q.Scope, Resource: q.Resource,
	})
	if err != nil {
		return err
	}
	return wire.WriteTokens(w, tokens)
}

// oneOrMany is a string or an array of strings, as `resource` may be repeated (RFC 8707).
type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*o = make(oneOrMany, 1)
		return json.Unmarshal(data, &(*o)[0])
	}
	return json.Unmarshal(data, (*[]string)(o))
}
