package api

import (
	"errors"
	"net/http"

	"github.com/signet-id/signet/userstore"
)

// adminUserDoc is an account as an admin sees it.
type adminUserDoc struct {
	profileDoc
	HasPassword bool `json:"has_password"`
}

func adminUserOf(u userstore.User) adminUserDoc {
	return adminUserDoc{profileOf(u), u.PasswordHash != ""}
}

// Sizes of a page.
const (
	usualPage   = 50
	largestPage = 500
)

var userStates = map[string]userstore.State{"": userstore.AnyState, "active": userstore.Enabled, "disabled": userstore.Disabled}

// adminListUsers is a page of the users, oldest first.
func (s *Server) adminListUsers(w http.ResponseWriter, r adminRequest) error {
	q := &r.query
	ask := userstore.UserQuery{Text: q.text("search"), Role: q.text("role"), State: userStates[q.oneOf("status", "active", "disabled")]}
	size := q.limit(usualPage, largestPage)
	ask.Limit = size + 1 // the one more tells whether there is another page
	if err := q.err(); err != nil {
		return err
	}
	if text := q.text("cursor"); text != "" {
		p, err := s.openCursor("users", q.conditions(), text)
		if err != nil {
			return err
		}
		ask.After = &userstore.User{CreatedAt: p.at, ID: p.id}
	}
	out := struct {
		Users      []adminUserDoc `json:"users"`
		NextCursor string         `json:"next_cursor,omitempty"` // absent: this is the last page
	}{Users: []adminUserDoc{}}
	var users []userstore.User
	if findable(ask.Text, ask.Role) {
		var err error
		if users, err = s.Store.ListUsers(r.Context(), ask); err != nil {
			return err
		}
	}
	if len(users) > size {
		users = users[:size]
		last := users[size-1]
		var err error
		if out.NextCursor, err = s.sealCursor("users", q.conditions(), position{last.CreatedAt, last.ID}); err != nil {
			return err
		}
	}
	for _, u := range users {
		out.Users = append(out.Users, adminUserOf(u))
	}
	return writeJSON(w, http.StatusOK, out)
}

type adminCreateRequest struct {
	Password      string   `json:"password"`
	Roles         []string `json:"roles"`
	IsStaff       bool     `json:"is_staff"`
	EmailVerified bool     `json:"email_verified"`
	editable[string]
}

// adminCreateUser makes an account, also when sign-up is closed.
func (s *Server) adminCreateUser(w http.ResponseWriter, r adminRequest) error {
	var q adminCreateRequest
	if _, err := decodeAdmin(w, r, &q); err != nil {
		return err
	}
	username, err := usernameOf(q.editable)
	if err != nil {
		return err
	}
	user, err := s.Accounts.RegisterByOperator(r.Context(), userstore.OperatorUser{
		NewUser: userstore.NewUser{Email: q.Email, Username: username, Password: q.Password, Claims: claimsOf(q.editable)},
		Roles:   q.Roles, IsStaff: q.IsStaff, EmailVerified: q.EmailVerified,
	})
	if q.PreferredUsername != "" {
		err = asPreferred(err)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", s.issuerPath()+"/v1/admin/users/"+user.ID)
	return writeJSON(w, http.StatusCreated, adminUserOf(user))
}

func (s *Server) adminGetUser(w http.ResponseWriter, r adminRequest) error {
	return s.answerUser(w, r)
}

// answerUser answers with the account that the path names, as it is now.
func (s *Server) answerUser(w http.ResponseWriter, r adminRequest) error {
	user, err := s.Store.UserByID(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, adminUserOf(user))
}

// adminDeleteUser asks for no password: it is not the admin's.
func (s *Server) adminDeleteUser(w http.ResponseWriter, r adminRequest) error {
	if err := bare(w, r); err != nil {
		return err
	}
	if err := s.Accounts.DeleteByOperator(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) adminDisableUser(w http.ResponseWriter, r adminRequest) error {
	return s.setActive(w, r, false)
}

func (s *Server) adminEnableUser(w http.ResponseWriter, r adminRequest) error {
	return s.setActive(w, r, true)
}

func (s *Server) setActive(w http.ResponseWriter, r adminRequest, active bool) error {
	if err := bare(w, r); err != nil {
		return err
	}
	if err := s.Accounts.SetActive(r.Context(), r.PathValue("id"), active); err != nil {
		return err
	}
	return s.answerUser(w, r)
}

type adminPasswordRequest struct {
	NewPassword string `json:"new_password"`
}

// adminSetPassword revokes every session of the user: whoever knew the password before is out.
func (s *Server) adminSetPassword(w http.ResponseWriter, r adminRequest) error {
	var q adminPasswordRequest
	if _, err := decodeAdmin(w, r, &q); err != nil {
		return err
	}
	if q.NewPassword == "" {
		return invalid(fault{"new_password", "required", "Send the password that the account shall have."})
	}
	err := s.Accounts.SetPassword(r.Context(), r.PathValue("id"), q.NewPassword)
	if faults := (*userstore.ValidationError)(nil); errors.As(err, &faults) {
		for i := range faults.Fields {
			faults.Fields[i].Field = "new_password"
		}
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
