package admin_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// An invitation that waits is not sent once the account has a password, nor to another account that
// has the address by then.
func TestInvitationsThatWereOvertakenAreNotSent(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		do := func(method, path string, body any) *apitest.Response {
			return s.Do(apitest.Request{Method: method, Path: "/v1/admin/users" + path, Token: admin.Access, Body: body})
		}
		invite := func(email string) (u invitedUser) {
			do("POST", "", apitest.Fields{"email": email, "invite": true}).Want(201, "").JSON(&u)
			return u
		}
		kinds := func() (out []outbox.Kind) {
			for _, m := range s.Mails() {
				out = append(out, m.Kind)
			}
			return out
		}
		ada := invite("ada@example.test")
		do("POST", "/"+ada.ID+"/password",
			apitest.Fields{"new_password": s.Secret("a planted password of ada")}).Want(204, "")
		if got := kinds(); len(got) != 1 || got[0] != outbox.PasswordSet {
			t.Errorf("a password came first: %v", got)
		}

		// Carol has no password either, and gets the address of the account that bob's invitation is for.
		carol := invite("carol@example.test")
		s.MailOf(outbox.Invite)
		s.Advance(time.Second)
		bob := invite("bob@example.test")
		do("PATCH", "/"+bob.ID, apitest.Fields{"email": "robert@example.test"}).Want(200, "")
		do("PATCH", "/"+carol.ID, apitest.Fields{"email": "bob@example.test"}).Want(200, "")
		for _, kind := range kinds() {
			if kind == outbox.Invite {
				t.Error("the invitation of one account was made for another")
			}
		}
	})
}
