package bymail_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// P-11: whoever lost the account takes it back by the oldest address, and keeps it.
func TestP11Undo(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Mails()
		// Somebody knows the password, changes the address twice, and the password, too.
		thief := s.Login(alice)
		first := changeTo(s, alice, thief.Access, "thief@example.test")
		second := changeTo(s, alice, thief.Access, "thief2@example.test")
		stolen := s.Secret("the planted password of the thief")
		bearing(s, thief.Access, "POST", "/v1/profile/password", proved(alice, "new_password", stolen)).Want(204, "")
		beginChange(s, apitest.User{Password: stolen}, thief.Access, "thief3@example.test")
		var pending string
		for _, m := range s.Mails() {
			if m.Kind == outbox.ChangeEmail {
				pending = m.Token()
			}
		}
		post(s, "/v1/login", apitest.Fields{"email": alice.Email, "password": alice.Password}).Want(401,
			"invalid_credentials")

		// Six days later the owner sees the message.
		s.Advance(6 * 24 * time.Hour)
		s.Refresh(thief.Refresh).Want(200, "").JSON(&thief)
		next := s.Secret("the planted password of the owner again")
		for password, want := range map[string]string{"short": "too_short", "alice@example.test": "own_name"} {
			s.Unchanged(func() {
				var refused *userstore.ValidationError
				if err := undo(s, first, password); !errors.As(err, &refused) || len(refused.Fields) != 1 ||
					refused.Fields[0].Field != "new_password" || refused.Fields[0].Code != want {
					t.Errorf("P-11 %q: %v", password, err)
				}
			})
		}
		if err := undo(s, first, next); err != nil {
			t.Fatalf("P-11 %v", err)
		}
		if got := emailOf(s, alice); got != alice.Email+", verified" {
			t.Errorf("P-11 %s", got)
		}
		bearing(s, thief.Access, "GET", "/v1/profile", nil).Want(401, "token_invalid")
		s.Refresh(thief.Refresh).Want(401, "token_invalid")
		for _, email := range []string{alice.Email, "thief@example.test", "thief2@example.test"} {
			post(s, "/v1/login", apitest.Fields{"email": email, "password": stolen}).Want(401, "invalid_credentials")
		}
		told := s.Mails()
		var to []string
		for _, m := range told {
			to = append(to, string(m.Kind)+" "+m.Contents.To)
		}
		slices.Sort(to)
		if want := []string{"email_changed thief2@example.test",
			"password_changed alice@example.test"}; !slices.Equal(to, want) {
			t.Errorf("P-11 messages %q, want %q", to, want)
		}
		alice.Password = next
		owner := s.Login(alice)
		// What the thief holds still: the undoing of the second change, the confirmation of a
		// third.
		s.Unchanged(func() {
			for name, err := range map[string]error{"the second": undo(s, second, nextPassword),
				"once more": undo(s, first, nextPassword)} {
				if err != userstore.ErrTokenInvalid {
					t.Errorf("P-11 %s: %v", name, err)
				}
			}
			confirm(s, owner.Access, apitest.Fields{"token": pending}).Want(400, "one_time_token_invalid")
		})
		// Their addresses are free.
		s.SignUp("thief")
		s.SignUp("thief2")
	})
}

// P-11: the undoings in the order in which they were made; the one of the oldest change wins,
// whichever comes first.
func TestP11UndoTheLaterChangeFirst(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Mails()
		tokens := s.Login(alice)
		// In one instant of the clock, too, it is known which was first.
		first := changeTo(s, alice, tokens.Access, "b@example.test")
		second := changeTo(s, alice, tokens.Access, "c@example.test")
		for _, row := range []struct{ token, want string }{{second, "b@example.test"}, {first, alice.Email}} {
			alice.Password = s.Secret("the planted password of " + row.want)
			if err := undo(s, row.token, alice.Password); err != nil {
				t.Fatalf("P-11 %v", err)
			}
			if got := emailOf(s, alice); got != row.want+", verified" {
				t.Errorf("P-11 %s, want %s", got, row.want)
			}
		}
		// An operator's change has no link, and a user's earlier change wins over it. Disabled, it
		// waits.
		alice.Email = "alice@example.test"
		third := changeTo(s, alice, s.Login(alice).Access, "d@example.test")
		admin := s.Replicas[0].Accounts
		set := func(edit func(u *userstore.User)) {
			t.Helper()
			if _, err := admin.EditByOperator(t.Context(), alice.ID,
				func(u *userstore.User) error { edit(u); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		set(func(u *userstore.User) { u.Email = "e@example.test" })
		if sent := s.Mails(); len(sent) != 1 || sent[0].Kind != outbox.EmailSet || sent[0].Link != "" {
			t.Errorf("%+v", sent)
		}
		set(func(u *userstore.User) { u.IsActive = false })
		s.Unchanged(func() {
			if err := undo(s, third, nextPassword); err != userstore.ErrTokenInvalid {
				t.Errorf("P-13 disabled: %v", err)
			}
		})
		set(func(u *userstore.User) { u.IsActive = true })
		s.Advance(7*24*time.Hour - time.Second)
		if err := undo(s, third, s.Secret(nextPassword)); err != nil || emailOf(s, alice) != alice.Email+", verified" {
			t.Errorf("P-11 %v %s", err, emailOf(s, alice))
		}
	})
}

// P-11: the address before a change is reserved for a week, for whatever way somebody takes; the
// account itself may have it.
func TestP11TheOldAddressIsReserved(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		root, _ := s.Admin("root")
		tokens := s.Login(alice)
		s.Mails()
		first := changeTo(s, alice, tokens.Access, "new@example.test")
		accounts := s.Replicas[0].Accounts
		s.Advance(7*24*time.Hour - time.Minute)
		admin, bobs := s.Login(root, apitest.Fields{"scope": "admin"}), s.Login(bob)
		password := s.Secret("a planted password of somebody else")
		for _, email := range []string{alice.Email, strings.ToUpper(alice.Email)} {
			post(s, "/v1/signup", apitest.Fields{"email": email, "password": password}).Want(409, "user_already_exists")
			bearing(s, admin.Access, "POST", "/v1/admin/users",
				apitest.Fields{"email": email, "password": password}).Want(409, "user_already_exists")
			bearing(s, admin.Access, "PATCH", "/v1/admin/users/"+bob.ID, apitest.Fields{"email": email}).Want(409,
				"user_already_exists")
			if _, err := accounts.RegisterByOperator(t.Context(),
				userstore.OperatorUser{NewUser: userstore.NewUser{Email: email, Password: password}}); err == nil {
				t.Error("P-11 an operator made an account of a reserved address")
			}
			s.Advance(time.Second)
		}
		importer := userstore.Importer{Accounts: accounts}
		id := strings.Repeat("i", 22)
		done, err := importer.Import(t.Context(), []userstore.User{{Email: alice.Email}, {ID: id, Email: alice.Email},
			{Email: "imported@example.test"}}, nil)
		if err != nil || len(done) != 3 || !done[0].Existed || done[0].User.ID != alice.ID ||
			!errors.Is(done[1].Err, userstore.ErrExists) || done[2].Err != nil || done[2].Existed {
			t.Errorf("P-11 an import: %+v %v", done, err)
		}
		beginChange(s, bob, bobs.Access, alice.Email)
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("P-11 a message to a reserved address: %+v", sent)
		}
		s.Advance(time.Minute) // the week is over
		if err := undo(s, first, nextPassword); err != userstore.ErrTokenInvalid {
			t.Errorf("P-11 after a week: %v", err)
		}
		taken := s.SignUp("alice")
		if taken.ID == alice.ID {
			t.Error("the same account")
		}
	})
}

// P-11: an account may go back to the address that is reserved for it, by the ordinary way. Whoever
// moved it away gets no link to move it away once more, which would outlive the owner's.
func TestP11BackToTheOldAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		tokens := s.Login(alice)
		s.Mails()
		first := changeTo(s, alice, tokens.Access, "new@example.test")
		second := changeTo(s, alice, tokens.Access, "newer@example.test")
		beginChange(s, alice, tokens.Access, alice.Email)
		confirm(s, tokens.Access, apitest.Fields{"token": s.MailOf(outbox.ChangeEmail).Token()}).Want(200, "")
		if sent := s.Mails(); len(sent) != 1 || sent[0].Kind != outbox.EmailChanged || sent[0].Link != "" ||
			sent[0].Contents.To != "newer@example.test" {
			t.Errorf("P-11 %+v", sent)
		}
		if err := undo(s, second, nextPassword); err != userstore.ErrTokenInvalid {
			t.Errorf("P-11 what came after the address that the account is back at: %v", err)
		}
		if got := emailOf(s, alice); got != alice.Email+", verified" {
			t.Errorf("P-11 %s", got)
		}
		if _, err := s.Replicas[0].Accounts.EditByOperator(t.Context(), alice.ID,
			func(u *userstore.User) error { u.Claims.Nickname = "Al"; return nil }); err != nil {
			t.Error(err)
		}
		if err := undo(s, first, s.Secret(nextPassword)); err != nil {
			t.Errorf("P-11 %v", err)
		}
		bearing(s, tokens.Access, "GET", "/v1/profile", nil).Want(401, "token_invalid")
		s.SignUp("new")
	})
}
