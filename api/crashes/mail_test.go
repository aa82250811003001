package crashes_test

import (
	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// mailed sends the outbox, and returns the last message of a kind to an address: a request that was
// sent twice may have been answered by two messages, and other walks left theirs.
func mailed(s *apitest.Server, kind outbox.Kind, address string) apitest.Mail {
	s.T.Helper()
	var found apitest.Mail
	for _, m := range quiet(s).Mails() {
		if m.Kind == kind && m.Contents.To == address {
			found = m
		}
	}
	if found.Kind == "" {
		s.T.Fatalf("no message of the kind %s", kind)
	}
	return found
}

// mailJourneys are those of addresses by JSON.
var mailJourneys = []journey{
	{"a pending sign-up by JSON", with(apitest.Requiring), func(s *apitest.Server, name string) {
		// By the link: a sign-up that is sent again within a minute gets a handle, and no message with its code.
		u, _ := s.SignUpPending(name + "@example.test")
		post(s, "/v1/email/verify", apitest.Fields{"token": mailed(s, outbox.VerifyEmail, u.Email).Token(),
			"password": u.Password}).Want(204, "")
	}},
	{"an address that is proved later", with(apitest.Verifying), func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", false)
		post(s, "/v1/email/verification", apitest.Fields{"email": u.Email}).Want(202, "")
		post(s, "/v1/email/verify", apitest.Fields{"token": mailed(s, outbox.VerifyEmail, u.Email).Token(),
			"password": u.Password}).Want(204, "")
	}},
	{"a sign-up that asks for a proof", with(apitest.Verifying), func(s *apitest.Server, name string) {
		s.SignUp(name)
	}},
	{"a change of address by JSON", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		body := apitest.Fields{"email": "new-" + u.Email, "current_password": u.Password}
		me.do("POST", "/v1/profile/email", body).Want(202, "")
		me.do("POST", "/v1/profile/email/confirm", apitest.Fields{"token": mailed(s, outbox.ChangeEmail, "new-"+u.Email).
			Token()}).
			Want(200, "")
	}},
	{"a change of address that is withdrawn", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		quiet(s).Do(apitest.Request{Method: "POST", Path: "/v1/profile/email", Token: me.token,
			Body: apitest.Fields{"email": "new-" + u.Email, "current_password": u.Password}}).Want(202, "")
		me.do("DELETE", "/v1/profile/email", nil).Want(204, "")
	}},
}
