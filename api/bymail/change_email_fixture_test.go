package bymail_test

import (
	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// beginChange asks for a message to a new address with the password of u, and returns the handle.
func beginChange(s *apitest.Server, u apitest.User, token, email string) string {
	s.T.Helper()
	var answer struct{ Handle string }
	bearing(s, token, "POST", "/v1/profile/email", proved(u, "email", email)).Want(202, "").JSON(&answer)
	return answer.Handle
}

// proved is a body with the password of u.
func proved(u apitest.User, name, value string) apitest.Fields {
	return apitest.Fields{name: value, "current_password": u.Password}
}

func bearing(s *apitest.Server, token, method, path string, body any) *apitest.Response {
	return s.Do(apitest.Request{Method: method, Path: path, Token: token, Body: body})
}

func confirm(s *apitest.Server, token string, body apitest.Fields) *apitest.Response {
	return bearing(s, token, "POST", "/v1/profile/email/confirm", body)
}

// changeTo changes the address of u and returns the token that undoes it.
func changeTo(s *apitest.Server, u apitest.User, token, email string) string {
	s.T.Helper()
	beginChange(s, u, token, email)
	confirm(s, token, apitest.Fields{"token": s.MailOf(outbox.ChangeEmail).Token()}).Want(200, "")
	return s.MailOf(outbox.UndoEmail).Token()
}

func undo(s *apitest.Server, token, password string) error {
	s.T.Helper()
	return s.Replicas[0].Accounts.UndoEmailChange(s.T.Context(), userstore.Mailed{Token: token}, password)
}

func emailOf(s *apitest.Server, u apitest.User) string {
	s.T.Helper()
	user, err := s.DB.UserByID(s.T.Context(), u.ID)
	if err != nil {
		s.T.Fatal(err)
	}
	if user.EmailVerified {
		return user.Email + ", verified"
	}
	return user.Email
}
