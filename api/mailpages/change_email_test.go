package mailpages_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// beginChange sends the form of the account with a new address, and returns the page that takes the
// code.
func beginChange(b *apitest.Browser, u apitest.User, email string) *apitest.Page {
	return b.Open("/account/address").WantPage(200, "address-submit").
		Submit("address-submit", map[string]string{"email": email, "current_password": u.Password}).WantPage(200,
		"change-submit")
}

func emailOf(s *apitest.Server, u apitest.User) string {
	s.T.Helper()
	return must(s.DB.UserByID(s.T.Context(), u.ID)).Email
}

func TestChangeOfAddressAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, way := range []string{"code", "link", "link in another browser"} {
			t.Run(way, func(t *testing.T) {
				s := s.With(t)
				s.Advance(25 * time.Hour)
				name := strings.ReplaceAll(way, " ", "-")
				u := s.SignUp(name)
				b := s.SignedIn(u)
				s.Mails()
				address := b.Open("/account/address").WantPage(200, "address-submit")
				if !address.Has("email-hint") {
					t.Error("it does not say that a new address is confirmed")
				}
				for fields, field := range map[[2]string]string{{"nobody", u.Password}: "email",
					{"new-" + u.Email, ""}: "current_password", {"new-" + u.Email,
						"not the password of " + name}: "current_password"} {
					s.Unchanged(func() {
						page := address.Submit("address-submit",
							map[string]string{"email": fields[0], "username": "changed", "current_password": fields[1]})
						if page.Status != 400 && page.Status != 403 || !page.Has(field+"-problem") {
							t.Errorf("%q: %d %s", fields, page.Status, page.Text())
						}
					})
				}
				page := beginChange(b, u, "new-"+u.Email)
				if emailOf(s, u) != u.Email {
					t.Error("changed before it was confirmed")
				}
				mail := s.MailOf(outbox.ChangeEmail)
				fields := map[string]string{"code": mail.Code}
				if way == "code" {
					if wrong := page.Submit("change-submit", map[string]string{"code": "00000001"}).WantPage(400,
						"change-submit"); !wrong.Has("code-problem") {
						t.Error("it does not say what is wrong")
					}
				} else {
					if way != "link" {
						b = s.SignedIn(u)
					}
					first := b.Send(apitest.Request{Path: mail.Link})
					if first.Status != 303 || first.Header.Get("Referrer-Policy") != "no-referrer" ||
						strings.Contains(first.Header.Get("Location"), mail.Token()[:20]) {
						t.Errorf("%d %v", first.Status, first.Header)
					}
					s.Unchanged(func() { // what programs do that look at mail
						s.Do(apitest.Request{Path: mail.Link}).Want(303, "")
						b.Open(mail.Link).WantPage(200, "change-submit")
					})
					page = b.Open(mail.Link).WantPage(200, "change-submit")
					if page.Has("code") || strings.Contains(string(page.Body), mail.Token()) ||
						!strings.Contains(page.Text(), u.Email) {
						t.Errorf("the page of a link: %s", page.Text())
					}
					fields = nil
				}
				done := page.Submit("change-submit", fields).WantPage(200, "address-submit")
				if !done.Has("done") || done.Value("email") != "new-"+u.Email || emailOf(s, u) != "new-"+u.Email {
					t.Errorf("%s", done.Text())
				}
				if again := page.Submit("change-submit", fields); again.Status != 400 {
					t.Errorf("twice: %d", again.Status)
				}
				if text := b.Open("/account/activity").WantPage(200, "").Text(); !strings.Contains(text,
					"Email address changed") || strings.Contains(text, "Another event") {
					t.Errorf("%s", text)
				}

				// P-11: taken back in a browser that is signed in nowhere.
				undoing := s.MailOf(outbox.UndoEmail)
				owner := s.Browser()
				s.Unchanged(func() {
					s.Do(apitest.Request{Path: undoing.Link}).Want(303, "")
					owner.Open(undoing.Link).WantPage(200, "undo-submit")
				})
				undo := owner.Open(undoing.Link).WantPage(200, "undo-submit")
				for password, status := range map[string]int{"": 400, "short": 400, u.Email: 400} {
					s.Unchanged(func() {
						if page := undo.Submit("undo-submit",
							map[string]string{"new_password": password}).WantPage(status, "undo-submit"); !page.Has("new_password-problem") {
							t.Errorf("%q: %s", password, page.Text())
						}
					})
				}
				u.Password = s.Secret("the planted password of the owner by " + way)
				sent := owner.Send(undo.Form("undo-submit", map[string]string{"new_password": u.Password}))
				if sent.Status != 303 {
					t.Errorf("A-37 a new password is answered with %d", sent.Status)
				}
				restored := owner.Open(sent.Header.Get("Location")).WantPage(200, "")
				if !strings.Contains(restored.Text(), "Your email address is restored") || emailOf(s, u) != u.Email {
					t.Errorf("P-11 %s", restored.Text())
				}
				if page := undo.Submit("undo-submit", map[string]string{"new_password": u.Password}); page.Status != 400 {
					t.Errorf("P-11 twice: %d", page.Status)
				}
				b.Open("/account").WantPage(200, "login-submit") // signed out
				owner.SignIn(restored.Link("/login"), u)
				if text := owner.Open("/account/activity").WantPage(200, "").Text(); !strings.Contains(text,
					"was undone") || strings.Contains(text, "Another event") {
					t.Errorf("%s", text)
				}
			})
		}
	})
}

// U-04: the page after the form is the same for every address. A username is saved at once.
func TestU04ChangesToTakenAddressesLookAlike(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		b := s.SignedIn(alice)
		s.Mails()
		free := beginChange(b, alice, "free@example.test").Text()
		if sent := s.Mails(); len(sent) != 1 {
			t.Errorf("U-04 %+v", sent)
		}
		if taken := beginChange(b, alice, bob.Email).Text(); taken != free {
			t.Errorf("U-04 the page tells that there is an account:\n%s\n%s", taken, free)
		}
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("U-04 %+v", sent)
		}
		page := b.Open("/account/address").Submit("address-submit",
			map[string]string{"username": "Ali", "current_password": alice.Password}).WantPage(200, "address-submit")
		if !page.Has("done") || page.Value("username") != "Ali" || page.Value("email") != alice.Email {
			t.Errorf("%s", page.Text())
		}
		page = b.Open("/account/address").Submit("address-submit",
			map[string]string{"email": "other@example.test", "username": "Alina", "current_password": alice.Password}).
			WantPage(200, "change-submit")
		if u := must(s.DB.UserByID(t.Context(), alice.ID)); u.Username != "Alina" || u.Email != alice.Email {
			t.Errorf("%+v", u)
		}
		withdrawn := page.Submit("change-withdraw", nil).WantPage(200, "address-submit")
		if !withdrawn.Has("done") || emailOf(s, alice) != alice.Email {
			t.Errorf("%s", withdrawn.Text())
		}
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("a message of a change that was withdrawn: %+v", sent)
		}
	})
}

// P-03: whoever gets the message of a stranger's change gives that account nothing, signed in or
// not.
func TestP03TheLinkOfAStrangersChange(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		attacker, victim := s.SignUp("attacker"), s.SignUp("victim")
		theirs := s.SignedIn(attacker)
		s.Mails()
		page := beginChange(theirs, attacker, "victims-other@example.test")
		mail := s.MailOf(outbox.ChangeEmail)
		s.Unchanged(func() {
			anonymous := s.Browser()
			shown := anonymous.Open(mail.Link).WantPage(200, "")
			if shown.Has("change-submit") || !strings.Contains(shown.Text(), "Sign in to the account") {
				t.Errorf("P-03 not signed in: %s", shown.Text())
			}
		})
		b := s.SignedIn(victim)
		shown := b.Open(mail.Link).WantPage(200, "change-submit")
		s.Unchanged(func() {
			if got := shown.Submit("change-submit", nil); got.Status != 400 {
				t.Errorf("P-03 in another account: %d", got.Status)
			}
			if got := b.Open(page.Path); got.Status != 400 {
				t.Errorf("P-03 the page of the attacker's browser: %d", got.Status)
			}
			_, handle, _ := strings.Cut(shown.Path, "?")
			for _, path := range []string{"/undo?", "/reset?", "/verify?"} {
				if got := b.Open(path + handle); got.Status != 400 {
					t.Errorf("P-03 %s: %d", path, got.Status)
				}
			}
			form := shown.Form("change-submit", nil)
			form.Form.Set("csrf", "forged")
			if got := b.Send(form); got.Status != 403 {
				t.Errorf("P-12 a forged form: %d", got.Status)
			}
		})
		// The code in another browser of the same account is of no use either; with its session
		// gone, nothing is.
		second := s.SignedIn(attacker)
		second.Open(mail.Link).WantPage(200, "change-submit")
		if _, err := s.Replicas[0].Accounts.RevokeSessions(t.Context(), attacker.ID, ""); err != nil {
			t.Fatal(err)
		}
		if got := page.Submit("change-submit", map[string]string{"code": mail.Code}); got.Status != 403 {
			t.Errorf("signed out: %d %s", got.Status, got.Text())
		}
		if emailOf(s, attacker) != attacker.Email || emailOf(s, victim) != victim.Email {
			t.Error("P-03 an address was changed")
		}
		b.Open("/undo").WantPage(200, "")
		b.Open("/change").WantPage(200, "address-submit")
	})
}
