package mailpages_test

import (
	"encoding/base32"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/totp"
	"github.com/signet-id/signet/userstore"
)

// movedByOperator gives u another address, as an operator does, and returns u with it.
func movedByOperator(s *apitest.Server, u apitest.User) apitest.User {
	s.T.Helper()
	u.Email = "new-" + u.Email
	must(s.Replicas[0].Accounts.EditByOperator(s.T.Context(), u.ID, func(stored *userstore.User) error {
		stored.Email = u.Email
		return nil
	}))
	s.Advance(2 * time.Minute)
	s.Mails()
	return u
}

// importWithApp imports an account with an authenticator app, without a password and without a proof of
// its address, and invites its owner.
func importWithApp(s *apitest.Server, email string) (u apitest.User, app *apitest.App) {
	s.T.Helper()
	secret := []byte("a secret of 20 bytes")
	app = s.NewApp(s.Secret(base32.StdEncoding.EncodeToString(secret)))
	accounts := s.Replicas[0].Accounts
	importer := &userstore.Importer{Accounts: accounts}
	done := must(importer.Import(s.T.Context(), []userstore.User{{Email: email, IsActive: true}},
		map[int]userstore.ImportedFactors{0: {TOTP: &userstore.ImportedTOTP{
			Key: totp.Key{Secret: secret, Algorithm: "SHA1", Digits: 6, Period: 30}, LastCounter: -1}}}))
	if done[0].Err != nil {
		s.T.Fatal(done[0].Err)
	}
	return apitest.User{ID: done[0].User.ID, Email: email}, app
}

// P-04: the mailbox of an address that is not proved, and an account whose second factors an operator
// vouches for. Every page that sets a new password asks for one, and keeps all of them.
func TestP04ANewAddressDoesNotOpenTheAccountOfAFactor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		next := s.Secret("a planted password of the person with the device")
		for _, way := range []string{"verify", "verify by code", "reset", "invite"} {
			var alice apitest.User
			var app *apitest.App
			if way == "invite" {
				alice, app = importWithApp(s, "imported@example.test")
				if err := s.Replicas[0].Accounts.Invite(t.Context(), alice.ID); err != nil {
					t.Fatal(err)
				}
			} else {
				alice = s.SignUp("alice-" + way[:1] + way[len(way)-1:])
				app, _ = s.WithApp(alice)
				alice = movedByOperator(s, alice)
			}
			b, submit, typed := s.Browser(), "verify-submit", map[string]string{"new_password": next}
			var page *apitest.Page
			switch way {
			case "verify by code":
				page = b.Open("/verify").Submit("ask-submit", map[string]string{"email": alice.Email}).WantPage(200, submit)
				typed["code"] = s.MailOf(outbox.VerifyEmail).Code
				page = page.Submit(submit, map[string]string{"code": typed["code"]}).WantPage(409, submit)
			case "verify":
				s.Do(apitest.Request{Method: "POST", Path: "/v1/email/verification",
					Body: apitest.Fields{"email": alice.Email}}).Want(202, "")
				page = b.Open(s.MailOf(outbox.VerifyEmail).Link).WantPage(200, submit)
				page = page.Submit(submit, nil).WantPage(409, submit)
			case "reset":
				submit = "reset-submit"
				page = b.Open(resetLink(s, alice).Link).WantPage(200, submit)
			case "invite":
				submit = "reset-submit"
				page = b.Open(s.MailOf(outbox.Invite).Link).WantPage(200, submit)
			}
			if !page.Has("second-code") {
				t.Fatalf("P-04 %s does not ask for the factor: %s", way, page.Text())
			}
			with := func(more ...string) map[string]string {
				fields := map[string]string{}
				for name, value := range typed {
					fields[name] = value
				}
				for i := 0; i < len(more); i += 2 {
					fields[more[i]] = more[i+1]
				}
				return fields
			}
			s.Unchanged(func() {
				page.Submit(submit, typed).WantPage(400, "second-code-problem")
				page.Submit(submit, with("by", "")).WantPage(200, "second-code")
				page.Submit(submit, with("by", "recovery_code", "recovery_code", "00000-00000-00000")).
					WantPage(403, submit)
			})
			page.Submit(submit, with("app_code", app.Wrong())).WantPage(403, "second-code-problem")
			page.Submit(submit, with("app_code", app.Code())).WantPage(200, "")
			have := must(s.DB.SecondFactors(t.Context(), alice.ID))
			stored := must(s.DB.UserByID(t.Context(), alice.ID))
			if have.App == nil || !stored.EmailVerified {
				t.Errorf("P-04 after %s: %+v, %+v", way, have, stored)
			}
			alice.Password = next
			s.FirstStep(alice)
			for _, m := range s.Mails() {
				if m.Kind == outbox.FactorRemoved {
					t.Errorf("P-04 %s: a notice says that a factor is gone", way)
				}
			}
			s.Advance(2 * time.Minute)
		}

		// A passkey in the place of the code, by the script of the page.
		bob := s.SignUp("bob")
		key, recovery := s.WithPasskey(bob)
		bob = movedByOperator(s, bob)
		s.Do(apitest.Request{Method: "POST", Path: "/v1/email/verification", Body: apitest.Fields{"email": bob.Email}}).Want(202, "")
		b := s.Browser()
		page := b.Open(s.MailOf(outbox.VerifyEmail).Link).Submit("verify-submit", nil).WantPage(409, "second-passkey")
		if !strings.Contains(page.Submit("second-recovery", nil).WantPage(200, "second-recovery-code").Text(), "recovery") ||
			len(recovery) == 0 {
			t.Error("there is no way to the recovery codes")
		}
		fields := fetched(b, page, key)
		fields["new_password"] = next
		if sent := b.Send(page.Form("second-passkey", fields)); sent.Status != 303 {
			t.Fatalf("%d %s", sent.Status, sent.Text())
		}
		bob.Password = next
		s.FirstStep(bob)
	})
}

// P-03: whatever a stranger may have set up goes with the first proof of the address, although the
// address was changed since: by the account itself, or by an operator who had no proof of the one before.
func TestP03AStrangersFactorsGoAtAnAddressThatWasChanged(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		accounts := s.Replicas[0].Accounts
		next := s.Secret("a planted password of the victim")
		for _, way := range []string{"the account", "an operator", "both"} {
			mallory := s.SignUp("mallory-" + way[len(way)-1:])
			accounts.NoMail = true // as before this service had mail
			if way == "the account" {
				s.AddressProved(mallory)
			}
			stored := must(s.DB.UserByID(t.Context(), mallory.ID))
			begun := must(accounts.BeginApp(t.Context(), stored))
			must(accounts.ConfirmApp(t.Context(), stored, s.NewApp(s.Secret(begun.Secret)).Code(), userstore.KeepAll))
			victim := apitest.User{ID: mallory.ID, Email: "victim-" + mallory.Email, Password: next}
			move := func(u *userstore.User) error { u.Email = victim.Email; return nil }
			switch way {
			case "the account":
				must(accounts.Edit(t.Context(), mallory.ID, move))
			case "an operator":
				must(accounts.EditByOperator(t.Context(), mallory.ID, move))
			case "both":
				must(accounts.Edit(t.Context(), mallory.ID, move))
				victim.Email = "x" + victim.Email
				must(accounts.EditByOperator(t.Context(), mallory.ID, move))
			}
			accounts.NoMail = false
			s.Do(apitest.Request{Method: "POST", Path: "/v1/email/verification",
				Body: apitest.Fields{"email": victim.Email}}).Want(202, "")
			page := s.Browser().Open(s.MailOf(outbox.VerifyEmail).Link).Submit("verify-submit", nil).WantPage(409, "verify-submit")
			if page.Has("second-code") {
				t.Errorf("P-03 %s: the victim is asked for the stranger's factor", way)
			}
			page.Submit("verify-submit", map[string]string{"new_password": next}).WantPage(200, "")
			if have := must(s.DB.SecondFactors(t.Context(), victim.ID)); have.App != nil || have.RecoveryCodes != 0 {
				t.Errorf("P-03 %s: left are %+v", way, have)
			}
			s.Login(victim)
		}
	})
}
