package mailpages_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// addApp sets up an authenticator app, in the place of the one before, and returns the message about
// it with the recovery codes.
func addApp(s *apitest.Server, u apitest.User) (app *apitest.App, recovery []string, m apitest.Mail) {
	s.T.Helper()
	s.AddressProved(u)
	stored, accounts := must(s.DB.UserByID(s.T.Context(), u.ID)), s.Replicas[0].Accounts
	begun := must(accounts.BeginApp(s.T.Context(), stored))
	app = s.NewApp(s.Secret(begun.Secret))
	recovery = must(accounts.ConfirmApp(s.T.Context(), stored, app.Code(), userstore.KeepAll))
	for _, code := range recovery {
		s.Secret(code)
	}
	return app, recovery, s.MailOf(outbox.FactorAdded)
}

// resetLink asks for a new password of u and returns the link of the message.
func resetLink(s *apitest.Server, u apitest.User) apitest.Mail {
	s.T.Helper()
	s.Advance(2 * time.Minute)
	s.Do(apitest.Request{Method: "POST", Path: "/v1/password/forgot", Body: apitest.Fields{"email": u.Email}}).Want(202, "")
	return s.MailOf(outbox.ResetPassword)
}

// fetched asks for the options of a passkey as the script of the page does, and returns the fields
// that it sends with the form.
func fetched(b *apitest.Browser, p *apitest.Page, key *apitest.Passkey) map[string]string {
	b.Server.T.Helper()
	form := url.Values{}
	for _, name := range []string{"request", "csrf", "page", "by"} {
		form.Set(name, p.Value(name))
	}
	var fresh struct {
		Handle  string
		Options json.RawMessage
	}
	b.Send(apitest.Request{Method: "POST", Path: "/message/passkey", Form: form}).Want(200, "").JSON(&fresh)
	return map[string]string{"passkey": fresh.Handle, "response": string(key.Get(fresh.Options))}
}

// P-04: with the link alone, and whatever is typed beside it, the page sets no password of an account
// with a second factor. With the factor it does.
func TestP04TheResetPageAsksForTheSecondFactor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		key, _ := s.WithPasskey(alice)
		for _, way := range []string{"app", "recovery", "passkey", "code of the message"} {
			next := s.Secret("a planted password that comes by " + way)
			b := s.Browser()
			var page *apitest.Page
			fields := map[string]string{"new_password": next}
			if way == "code of the message" {
				s.Advance(2 * time.Minute)
				page = b.Open("/forgot").Submit("ask-submit", map[string]string{"email": alice.Email}).WantPage(200, "reset-submit")
				mail := s.MailOf(outbox.ResetPassword)
				if page.Has("second-passkey") || page.Has("second-code") {
					t.Error("P-04 the page says what account the address has")
				}
				fields["code"] = mail.Code
				page = page.Submit("reset-submit", fields).WantPage(200, "second-passkey")
			} else {
				mail := resetLink(s, alice)
				s.Unchanged(func() { b.Open(mail.Link).WantPage(200, "second-passkey") })
				page = b.Open(mail.Link).WantPage(200, "second-passkey")
				// What a program sends that forgets the second step, or makes it up.
				for _, more := range []map[string]string{{"by": ""}, {"by": "totp"}, {"by": "totp", "app_code": app.Wrong()},
					{"by": "passkey"}, {"by": "passkey", "response": "{}"}, {"by": "x", "app_code": "1"}} {
					q := page.Form("second-use-app", map[string]string{"new_password": next})
					q.Form.Del("show")
					for name, value := range more {
						q.Form.Set(name, value)
					}
					if more["app_code"] != "" && more["by"] == "totp" && way != "app" {
						continue // few wrong codes, or the account waits
					}
					if got := b.Send(q); got.Status == 303 {
						t.Errorf("P-04 with %v it leads to %s", more, got.Header.Get("Location"))
					}
				}
			}
			switch way {
			case "app", "code of the message":
				page = page.Submit("second-use-app", nil).WantPage(200, "second-code")
				fields["app_code"] = app.Code()
			case "recovery":
				page = page.Submit("second-recovery", nil).WantPage(200, "second-recovery-code")
				fields["recovery_code"] = recovery[3]
			case "passkey":
				for name, value := range fetched(b, page, key) {
					fields[name] = value
				}
			}
			button := "reset-submit"
			if way == "passkey" {
				button = "second-passkey"
			}
			if way == "app" { // what is missing is said
				without := map[string]string{"app_code": fields["app_code"]}
				if again := page.Submit(button, without).WantPage(400, "new_password-problem"); !again.Has("second-code") {
					t.Error("the page has lost the second step")
				}
				page.Submit(button, map[string]string{"new_password": next}).WantPage(400, "second-code-problem")
			}
			sent := b.Send(page.Form(button, fields))
			if sent.Status != 303 {
				t.Fatalf("%s: %d %s", way, sent.Status, sent.Text())
			}
			alice.Password = next
			s.FirstStep(alice)
			if again := b.Send(page.Form(button, fields)); again.Status != 400 && again.Status != 403 {
				t.Errorf("%s twice: %d", way, again.Status)
			}
			s.Mails()
		}
	})
}

// P-04: an invitation to an account that came with a second factor, as from an import.
func TestP04AnInvitationAsksForTheSecondFactor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := must(s.Replicas[0].Accounts.RegisterByOperator(t.Context(),
			userstore.OperatorUser{NewUser: userstore.NewUser{Email: "invited@example.test"}, Invite: true}))
		mail := s.MailOf(outbox.Invite)
		alice := apitest.User{ID: u.ID, Email: u.Email, Password: s.Secret("a planted password of somebody invited")}
		s.AddressProved(alice)
		app, _, _ := addApp(s, alice)
		page := s.Browser().Open(mail.Link).WantPage(200, "second-code")
		s.Unchanged(func() {
			page.Submit("reset-submit", map[string]string{"new_password": alice.Password}).WantPage(400, "second-code-problem")
		})
		page.Submit("reset-submit", map[string]string{"new_password": alice.Password, "app_code": app.Code()}).WantPage(200, "")
		s.FirstStep(alice)
	})
}

// P-04, P-11: an undo of a change of address asks for the factor that the account had at the change,
// and takes away what came since.
func TestP04AnUndoAsksForTheSecondFactor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		move := func(u apitest.User) (undo apitest.Mail) {
			accounts := s.Replicas[0].Accounts
			s.Advance(2 * time.Minute)
			handle := must(accounts.BeginEmailChange(t.Context(), u.ID, "session", "new-"+u.Email,
				userstore.Proof{Earlier: func(userstore.User) bool { return true }}, ""))
			code := s.MailOf(outbox.ChangeEmail).Code
			must(accounts.ConfirmEmailChange(t.Context(), u.ID, "session", userstore.Mailed{Handle: handle, Code: code}))
			undo = s.MailOf(outbox.UndoEmail)
			s.Advance(time.Minute)
			return undo
		}
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		app, _ := s.WithApp(alice)
		undo := move(alice)
		s.WithPasskey(alice)
		next := s.Secret("a planted password after an undo")
		page := s.Browser().Open(undo.Link).WantPage(200, "second-code")
		if page.Has("second-use-passkey") {
			t.Error("P-04 a passkey of after the change is a proof")
		}
		s.Unchanged(func() {
			page.Submit("undo-submit", map[string]string{"new_password": next}).WantPage(400, "second-code-problem")
			page.Submit("undo-submit", map[string]string{"new_password": next, "by": ""}).WantPage(200, "second-code")
		})
		page.Submit("undo-submit", map[string]string{"new_password": next, "app_code": app.Wrong()}).
			WantPage(403, "second-code-problem")
		passkey := must(s.DB.SecondFactors(t.Context(), alice.ID)).Passkeys[0].ID
		page.Submit("undo-submit", map[string]string{"new_password": next, "app_code": app.Code()}).WantPage(200, "")
		var removed []audit.Change
		for _, e := range must(s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 1000})) {
			if e.Name == audit.FactorRemoved && e.Target == audit.User(alice.ID) {
				removed = append(removed, e.Changes...)
			}
		}
		if len(removed) != 1 || removed[0] != (audit.Change{Field: "passkey", Before: passkey}) {
			t.Errorf("P-11 the audit log says that %+v are removed", removed)
		}
		have := must(s.DB.SecondFactors(t.Context(), alice.ID))
		if have.App == nil || len(have.Passkeys) != 0 || emailOf(s, alice) != alice.Email {
			t.Errorf("P-11 %+v", have)
		}

		// An account without one by then: whatever came since goes, and is asked for nothing.
		undo = move(bob)
		_, _, added := addApp(s, apitest.User{ID: bob.ID, Email: "new-" + bob.Email})
		page = s.Browser().Open(undo.Link).WantPage(200, "undo-submit")
		if page.Has("second-code") {
			t.Error("P-11 the attacker's app is asked for")
		}
		page.Submit("undo-submit", map[string]string{"new_password": next}).WantPage(200, "")
		if have := must(s.DB.SecondFactors(t.Context(), bob.ID)); have.App != nil || have.RecoveryCodes != 0 {
			t.Errorf("P-11 %+v", have)
		}
		s.Unchanged(func() { // the message about the app went to the address that is gone
			page := s.Browser().Open(added.Link).WantPage(200, "undo-submit")
			page.Submit("undo-submit", map[string]string{"new_password": next}).WantPage(400, "")
		})
	})
}

// The message about a new second factor: its link changes nothing until the button is pressed. Then
// the factor is gone, every session ends, and the password is another. It is of use for a week, also
// after a change of the password, and not while the account is disabled (P-13).
func TestAMessageAboutANewFactorRemovesIt(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		stolen := s.Login(alice)
		_, recovery, mail := addApp(s, alice)
		if mail.Contents.To != alice.Email || !strings.HasPrefix(mail.Link, "/factor-undo/") || mail.Code != "" ||
			mail.Message.EndsAt.Sub(mail.Message.At) != 7*24*time.Hour {
			t.Fatalf("%+v", mail)
		}
		s.Advance(time.Minute)
		s.WithPasskey(alice) // one more, by the person who has the app
		changed := s.Secret("the password that the thief chose")
		if err := s.Replicas[0].Accounts.SetPassword(t.Context(), alice.ID, changed); err != nil {
			t.Fatal(err)
		}
		s.Advance(7*24*time.Hour - 2*time.Minute)
		next := s.Secret("the planted password of the owner")
		b := s.Browser()
		first := b.Send(apitest.Request{Path: mail.Link})
		if first.Status != 303 || first.Header.Get("Referrer-Policy") != "no-referrer" ||
			strings.Contains(first.Header.Get("Location"), mail.Token()[:20]) {
			t.Errorf("%d %v", first.Status, first.Header)
		}
		var page *apitest.Page
		s.Unchanged(func() {
			s.Do(apitest.Request{Path: mail.Link}).Want(303, "")
			page = b.Open(mail.Link).WantPage(200, "undo-submit")
			page.Submit("undo-submit", map[string]string{"new_password": "short"}).WantPage(400, "new_password-problem")
		})
		if page.Has("second-code") || !strings.Contains(page.Text(), "passkey was added") ||
			strings.Contains(string(page.Body), mail.Token()) {
			t.Errorf("%s", page.Text())
		}
		if err := s.DB.SetActive(t.Context(), alice.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		s.Unchanged(func() {
			page.Submit("undo-submit", map[string]string{"new_password": next}).WantPage(400, "")
		})
		if err := s.DB.SetActive(t.Context(), alice.ID, true, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		done := page.Submit("undo-submit", map[string]string{"new_password": next}).WantPage(200, "")
		if !strings.Contains(done.Text(), "The second factor is removed") {
			t.Error(done.Text())
		}
		if again := page.Submit("undo-submit", map[string]string{"new_password": next}); again.Status != 400 {
			t.Errorf("twice: %d", again.Status)
		}
		have := must(s.DB.SecondFactors(t.Context(), alice.ID))
		if have.App != nil || len(have.Passkeys) != 0 || have.RecoveryCodes != 0 || len(recovery) != 10 {
			t.Errorf("left: %+v", have)
		}
		s.Refresh(stolen.Refresh).Want(401, "token_invalid")
		alice.Password = next
		s.Login(alice)
		sent := map[outbox.Kind]int{}
		for _, m := range s.Mails() {
			sent[m.Kind]++
		}
		if sent[outbox.PasswordChanged] != 1 || sent[outbox.FactorRemoved] != 1 {
			t.Errorf("messages: %v", sent)
		}

		// After a week it is over.
		_, _, mail = addApp(s, alice)
		s.Advance(7 * 24 * time.Hour)
		s.Unchanged(func() {
			page := s.Browser().Open(mail.Link).WantPage(200, "undo-submit")
			page.Submit("undo-submit", map[string]string{"new_password": next}).WantPage(400, "")
		})
	})
}

// P-04: the owner had a factor when another one came, such as on a new telephone. The mailbox alone
// then removes nothing and sets no password.
func TestP04TheMessageAboutASecondFactorBesideAnother(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		before, recovery, _ := addApp(s, alice)
		s.Advance(time.Minute)
		app, _, mail := addApp(s, alice)
		s.Advance(time.Minute)
		next := s.Secret("a planted password of somebody")
		page := s.Browser().Open(mail.Link).WantPage(200, "second-code")
		s.Unchanged(func() {
			page.Submit("undo-submit", map[string]string{"new_password": next}).WantPage(400, "second-code-problem")
			recovery := page.Submit("second-recovery", nil).WantPage(200, "second-recovery-code")
			recovery.Submit("undo-submit", map[string]string{"new_password": next}).WantPage(400, "second-recovery-code-problem")
		})
		// P-04 the app that the message is about is no proof.
		page.Submit("undo-submit", map[string]string{"new_password": next, "app_code": app.Shown(0)}).WantPage(403, "")
		page = page.Submit("second-recovery", nil).WantPage(200, "second-recovery-code")
		page.Submit("undo-submit", map[string]string{"new_password": next, "recovery_code": recovery[0]}).WantPage(200, "")
		alice.Password = next
		s.LoginByApp(alice, before) // the app that was replaced is there again

		// With nothing left of before, the page says whom to ask.
		bob := s.SignUp("bob")
		s.WithPasskey(bob)
		s.Advance(time.Minute)
		_, _, mail = addApp(s, bob)
		stored, accounts := must(s.DB.UserByID(t.Context(), bob.ID)), s.Replicas[0].Accounts
		s.Advance(time.Minute)
		must(accounts.NewRecoveryCodes(t.Context(), stored, userstore.KeepAll))
		passkey := must(s.DB.SecondFactors(t.Context(), bob.ID)).Passkeys[0].ID
		if err := accounts.RemoveFactorsByOperator(t.Context(), bob.ID, passkey); err != nil {
			t.Fatal(err)
		}
		s.Unchanged(func() {
			page := s.Browser().Open(mail.Link).WantPage(200, "undo-submit")
			page.Submit("undo-submit", map[string]string{"new_password": next}).WantPage(200, "undo-submit")
			if !strings.Contains(page.Text(), "Ask an administrator") {
				t.Error(page.Text())
			}
		})
	})
}
