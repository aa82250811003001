package bymail_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/mac"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// P-14: a copy of the database at each moment of the flows of second factors: while the code that the
// setup asks for waits, and the message about the new factor; during a reset that asks for it; after a
// recovery code was used. It holds neither code nor link nor handle, nothing of the app or the recovery
// codes, and no key that makes them.
func TestP14ADumpRedeemsNothingOfSecondFactors(t *testing.T) {
	const next = "a planted password of who holds the dump"
	sqltest.EachURL(t, func(t *testing.T, at string) {
		s := apitest.New(t, apitest.Options{DB: apitest.Open(t, at)})
		ctx, accounts := t.Context(), s.Replicas[0].Accounts
		alice := s.SignUp("alice")
		s.AddressProved(alice)
		s.Mails()
		s.Advance(time.Hour)
		s.Secret(next)
		var dump strings.Builder
		var secrets, ids []string
		look := func(more ...string) {
			dump.Write(sqltest.Dump(t, at))
			secrets = append(secrets, more...)
		}
		read := func() userstore.User {
			u, err := s.DB.UserByID(ctx, alice.ID)
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}

		handle, err := accounts.RequestFactorCode(ctx, read(), "session")
		must(err)
		look(handle)
		code := s.MailOf(outbox.FactorCode)
		look()
		ids = append(ids, code.Message.ID)
		must(accounts.CheckFactorCode(ctx, read(), "session", handle, code.Code))
		begun, err := accounts.BeginApp(ctx, read())
		must(err)
		app := s.NewApp(s.Secret(begun.Secret))
		look(strings.ReplaceAll(begun.Secret, " ", ""), begun.Secret)
		recovery, err := accounts.ConfirmApp(ctx, read(), app.Code(), userstore.KeepAll)
		must(err)
		for _, c := range recovery {
			secrets = append(secrets, s.Secret(c), strings.ReplaceAll(c, "-", ""))
		}
		look()
		added := s.MailOf(outbox.FactorAdded)
		look(added.Token())
		ids = append(ids, added.Message.ID)
		forgot(s, alice.Email)
		reset := s.MailOf(outbox.ResetPassword)
		login, _ := secondOfReset(s, apitest.Fields{"token": reset.Token(), "new_password": next})
		look(reset.Token(), login)
		waits := s.FirstStep(alice)
		look(waits)
		post(s, "/v1/login/recovery-code", apitest.Fields{"login": waits, "code": recovery[0]}).Want(200, "")
		look()

		text := dump.String()
		for _, id := range ids {
			if !strings.Contains(text, id) {
				t.Fatal("the copies do not show the row's id: the search is blind")
			}
		}
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("P-14 a copy holds %q", secret)
			}
		}

		// Whatever the copies hold, as a key.
		link := func(key []byte) string {
			sum := mac.Sum(key, "one-time link", string(outbox.FactorAdded), added.Message.ID)
			return added.Message.ID + "." + base64.RawURLEncoding.EncodeToString(sum)
		}
		ofCode := func(key []byte) string {
			sum := mac.Sum(key, "recovery code", alice.ID, strings.ReplaceAll(recovery[1], "-", ""))
			return string(sum)
		}
		secret, err := accounts.TokenSecret()
		must(err)
		recoveryKey, err := accounts.RecoveryKey()
		must(err)
		known, err := s.DB.HasRecoveryCode(ctx, alice.ID, [][]byte{[]byte(ofCode(recoveryKey))})
		if must(err); link(secret) != added.Token() || !known {
			t.Fatal("with the secrets themselves, they are not made as they are here")
		}
		right, rightCode := added.Token(), ofCode(recoveryKey)
		for key := range candidates(text) {
			if link([]byte(key)) == right || ofCode([]byte(key)) == rightCode {
				t.Errorf("P-14 the copies hold a secret: %x", key)
			}
		}

		// What can be sent without a key, also with the code of the message.
		s.Advance(time.Minute)
		s.Unchanged(func() {
			for _, id := range ids {
				for _, guess := range []string{id, id + ".", link(nil), link(make([]byte, 32))} {
					page := s.Browser().Open("/factor-undo/"+guess).WantPage(200, "undo-submit")
					if done := page.Submit("undo-submit", map[string]string{"new_password": next}); done.Status != 400 {
						t.Errorf("P-14 %q is taken for the link: %d", guess, done.Status)
					}
					if err := accounts.CheckFactorCode(ctx, read(), "session", "c"+guess, code.Code); err == nil {
						t.Errorf("P-14 %q is taken for the handle", guess)
					}
				}
			}
		})
		page := s.Browser().Open(added.Link).WantPage(200, "undo-submit")
		page.Submit("undo-submit", map[string]string{"new_password": next}).WantPage(200, "")
	})
}
