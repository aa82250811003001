package bymail_test

import (
	"bytes"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// P-03: the owner of an address follows the link of a stranger's change.
func TestP03AClickOnAStrangersChange(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		attacker, other := s.SignUp("attacker"), s.SignUp("other")
		tokens, others := s.Login(attacker), s.Login(other)
		s.Mails()
		handle := beginChange(s, attacker, tokens.Access, "victim@example.test")
		mail := s.MailOf(outbox.ChangeEmail)
		s.Unchanged(func() {
			for name, res := range map[string]*apitest.Response{
				"not signed in":          confirm(s, "", apitest.Fields{"token": mail.Token()}),
				"signed in to their own": confirm(s, others.Access, apitest.Fields{"token": mail.Token()}),
				"the code at their own account": confirm(s, others.Access,
					apitest.Fields{"handle": handle, "code": mail.Code}),
				"as a proof of an address": bearing(s, others.Access, "POST", "/v1/email/verify",
					apitest.Fields{"token": mail.Token(), "new_password": nextPassword}),
				"the attacker, without it": confirm(s, tokens.Access,
					apitest.Fields{"handle": handle, "code": "00000001"}),
			} {
				if res.Status != 400 && res.Status != 401 {
					t.Errorf("P-03 %s: %d %s", name, res.Status, res.Body)
				}
			}
		})
		if got := emailOf(s, attacker) + emailOf(s, other); got != attacker.Email+other.Email {
			t.Errorf("P-03 %s", got)
		}
		s.SignUp("victim") // the address is free
	})
}

// P-14: a copy of the database in the middle of a change and of its undoing redeems nothing.
func TestP14ADumpConfirmsAndUndoesNothing(t *testing.T) {
	sqltest.EachURL(t, func(t *testing.T, at string) {
		s := apitest.New(t, apitest.Options{DB: apitest.Open(t, at)})
		alice := s.SignUp("alice")
		tokens := s.Login(alice)
		var secrets []string
		look := func(when string) {
			dump := sqltest.Dump(t, at)
			if len(dump) < 1000 {
				t.Fatalf("the dump has %d bytes", len(dump))
			}
			for _, secret := range secrets {
				if bytes.Contains(dump, []byte(secret)) {
					t.Errorf("P-14 %s the database holds %q", when, secret)
				}
			}
		}
		secrets = append(secrets, beginChange(s, alice, tokens.Access, "new@example.test"))
		look("while it waits")
		mail := s.MailOf(outbox.ChangeEmail)
		secrets = append(secrets, mail.Token(), mail.Token()[len(mail.Message.ID)+1:], mail.Code)
		look("when it was sent")
		confirm(s, tokens.Access, apitest.Fields{"token": mail.Token()}).Want(200, "")
		look("when it was confirmed")
		undoing := s.MailOf(outbox.UndoEmail)
		secrets = append(secrets, undoing.Token(), undoing.Token()[len(undoing.Message.ID)+1:])
		look("when it can be undone")
		if err := undo(s, undoing.Token(), s.Secret(nextPassword)); err != nil {
			t.Fatal(err)
		}
		look("when it was undone")
	})
}
