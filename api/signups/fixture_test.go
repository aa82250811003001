package signups_test

import (
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// requiring is a server where accounts are made when the address is proved.
func requiring(t *testing.T, replicas int, fn func(t *testing.T, s *apitest.Server)) {
	apitest.Each(t, fn, func(o *apitest.Options) { o.Replicas = replicas }, apitest.Requiring)
}

// account is the account with this address; ok is false if there is none.
func account(s *apitest.Server, email string) (userstore.User, bool) {
	s.T.Helper()
	key, _ := userstore.EmailKey(email)
	u, err := s.DB.UserByLogin(s.T.Context(), userstore.Login{EmailKey: key})
	if err != nil && !errors.Is(err, userstore.ErrNotFound) {
		s.T.Fatal(err)
	}
	return u, err == nil
}

func loginFails(s *apitest.Server, u apitest.User) {
	s.T.Helper()
	post(s, "/v1/login", apitest.Fields{"email": u.Email, "password": u.Password}).Want(401, "invalid_credentials")
}

// again asks for another message, and returns its handle.
func again(s *apitest.Server, email string) (handle string) {
	s.T.Helper()
	s.Advance(time.Minute)
	var answer struct{ Handle string }
	post(s, "/v1/email/verification", apitest.Fields{"email": email}).Want(202, "").JSON(&answer)
	return answer.Handle
}
