package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// adminUserDoc is an account as an admin sees it.
type adminUserDoc struct {
	profile.Document
	HasPassword  bool       `json:"has_password"`
	SecondFactor bool       `json:"second_factor"`
	InvitedUntil *time.Time `json:"invited_until,omitempty"` // absent: there is no open invitation
}

// usersOf returns accounts as an admin sees them.
func (h *Handlers) usersOf(ctx context.Context, users ...userstore.User) ([]adminUserDoc, error) {
	invited, err := h.Accounts.InvitedUntil(ctx, users...)
	if err != nil {
		return nil, err
	}
	docs := make([]adminUserDoc, len(users))
	for i, u := range users {
		docs[i] = adminUserDoc{Document: profile.Of(u), HasPassword: u.PasswordHash != "", SecondFactor: u.SecondFactor}
		if until, ok := invited[u.ID]; ok {
			docs[i].InvitedUntil = &until
		}
	}
	return docs, nil
}

func (h *Handlers) writeUser(w http.ResponseWriter, r Request, status int, u userstore.User) error {
	docs, err := h.usersOf(r.Context(), u)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, status, docs[0])
}

// Sizes of a page.
const (
	usualPage   = 50
	largestPage = 500
)

var userStates = map[string]userstore.State{"": userstore.AnyState, "active": userstore.Enabled, "disabled": userstore.Disabled}

// ListUsers is a page of the users, oldest first.
func (h *Handlers) ListUsers(w http.ResponseWriter, r Request) error {
	q := &r.query
	ask := userstore.UserQuery{Text: q.text("search"), Role: q.text("role"), State: userStates[q.oneOf("status", "active", "disabled")]}
	size := q.limit(usualPage, largestPage)
	ask.Limit = size + 1 // one more than a page shows whether there is a next page
	if err := q.err(); err != nil {
		return err
	}
	if text := q.text("cursor"); text != "" {
		p, err := h.openCursor("users", q.conditions(), text)
		if err != nil {
			return err
		}
		ask.After = &userstore.User{CreatedAt: p.at, ID: p.id}
	}
	out := struct {
		Users      []adminUserDoc `json:"users"`
		NextCursor string         `json:"next_cursor,omitempty"` // absent: this is the last page
	}{}
	var found userstore.UserPage
	if storable(ask.Text, ask.Role) {
		var err error
		if found, err = h.Users.ListUsers(r.Context(), ask); err != nil {
			return err
		}
	}
	users, next := found.Users, found.Next
	if len(users) > size {
		users, next = users[:size], &users[size-1]
	}
	if next != nil {
		var err error
		if out.NextCursor, err = h.sealCursor("users", q.conditions(), position{next.CreatedAt, next.ID}); err != nil {
			return err
		}
	}
	var err error
	if out.Users, err = h.usersOf(r.Context(), users...); err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, out)
}

type adminCreateRequest struct {
	Password      string   `json:"password"`
	Roles         []string `json:"roles"`
	IsStaff       bool     `json:"is_staff"`
	EmailVerified bool     `json:"email_verified"`
	Invite        bool     `json:"invite"` // instead of password
	profile.Fields[string]
}

// CreateUser makes an account, also when sign-up is closed.
func (h *Handlers) CreateUser(w http.ResponseWriter, r Request) error {
	var q adminCreateRequest
	if _, err := decodeAdmin(w, r, &q); err != nil {
		return err
	}
	username, err := profile.UsernameOf(q.Fields)
	if err != nil {
		return err
	}
	user, err := h.Accounts.RegisterByOperator(r.Context(), userstore.OperatorUser{
		NewUser: userstore.NewUser{Email: q.Email, Username: username, Password: q.Password, Claims: profile.ClaimsOf(q.Fields)},
		Roles:   q.Roles, IsStaff: q.IsStaff, EmailVerified: q.EmailVerified, Invite: q.Invite,
	})
	if q.PreferredUsername != "" {
		err = profile.AsPreferredUsername(err)
	}
	if err != nil {
		return err
	}
	docs, err := h.usersOf(r.Context(), user)
	if err != nil {
		return err
	}
	w.Header().Set("Location", h.IssuerPath+"/v1/admin/users/"+user.ID)
	return wire.WriteJSON(w, http.StatusCreated, docs[0])
}

func (h *Handlers) GetUser(w http.ResponseWriter, r Request) error {
	return h.answerUser(w, r)
}

// answerUser answers with the account that the path names, as it is now.
func (h *Handlers) answerUser(w http.ResponseWriter, r Request) error {
	user, err := h.Users.UserByID(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.writeUser(w, r, http.StatusOK, user)
}

// DeleteUser demands no password, because the admin does not know it.
func (h *Handlers) DeleteUser(w http.ResponseWriter, r Request) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	if err := h.Accounts.DeleteByOperator(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handlers) DisableUser(w http.ResponseWriter, r Request) error {
	return h.setUserActive(w, r, false)
}

func (h *Handlers) EnableUser(w http.ResponseWriter, r Request) error {
	return h.setUserActive(w, r, true)
}

func (h *Handlers) setUserActive(w http.ResponseWriter, r Request, active bool) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	if err := h.Accounts.SetActive(r.Context(), r.PathValue("id"), active); err != nil {
		return err
	}
	return h.answerUser(w, r)
}

type adminPasswordRequest struct {
	NewPassword string `json:"new_password"`
}

// SetPassword sets a password and revokes every session of the user.
func (h *Handlers) SetPassword(w http.ResponseWriter, r Request) error {
	var q adminPasswordRequest
	if _, err := decodeAdmin(w, r, &q); err != nil {
		return err
	}
	if q.NewPassword == "" {
		return problem.Invalid(problem.Fault{Field: "new_password", Code: "required", Message: "Send the password that the account shall have."})
	}
	err := h.Accounts.SetPassword(r.Context(), r.PathValue("id"), q.NewPassword)
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
