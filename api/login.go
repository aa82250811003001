package api

import (
	"encoding/json"
	"net/http"

	"github.com/signet-id/signet/issuer"
)

type loginRequest struct {
	Email    string   `json:"email"`
	Username string   `json:"username"`
	Password string   `json:"password"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	Resource oneOrAll `json:"resource"`
}

// login proves a password and answers tokens (RFC 6749 section 5.1).
func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	if !s.JSONLogin {
		return newProblem(loginClosed, "")
	}
	var q loginRequest
	if _, err := decode(w, r, &q); err != nil {
		return err
	}
	var faults []fault
	switch {
	case q.Email == "" && q.Username == "":
		faults = append(faults, fault{"email", "required", "Send either email or username."})
	case q.Email != "" && q.Username != "":
		faults = append(faults, fault{"username", "not_allowed", "Send either email or username, not both."})
	}
	if q.Password == "" {
		faults = append(faults, fault{"password", "required", "Send the password."})
	}
	if faults != nil {
		return invalid(faults...)
	}
	tokens, err := s.Issuer.Login(r.Context(), issuer.LoginRequest{
		Email: q.Email, Username: q.Username, Password: q.Password,
		ClientID: q.ClientID, Scope: q.Scope, Resource: q.Resource,
	})
	if err != nil {
		return err
	}
	return writeTokens(w, tokens)
}

// oneOrAll is a string or an array of strings, as `resource` may be repeated (RFC 8707).
type oneOrAll []string

func (o *oneOrAll) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*o = make(oneOrAll, 1)
		return json.Unmarshal(data, &(*o)[0])
	}
	return json.Unmarshal(data, (*[]string)(o))
}
