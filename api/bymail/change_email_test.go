package bymail_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
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
	return s.Replicas[0].Accounts.UndoEmailChange(s.T.Context(), token, password)
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

func TestChangeEmail(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, way := range []string{"link", "code", "code after a refresh", "proof"} {
			t.Run(way, func(t *testing.T) {
				s := s.With(t)
				s.Advance(25 * time.Hour)
				name := strings.ReplaceAll(way, " ", "-")
				u := s.SignUp(name)
				tokens, elsewhere := s.Login(u), s.Login(u)
				s.Mails()
				next := "New." + name + "@Example.test"
				body := apitest.Fields{"email": "  " + next, "current_password": u.Password}
				if way == "proof" {
					var p struct{ Proof string }
					bearing(s, tokens.Access, "POST", "/v1/profile/prove",
						apitest.Fields{"current_password": u.Password}).Want(200, "").JSON(&p)
					body = apitest.Fields{"email": next, "proof": p.Proof}
				}
				var answer struct{ Handle string }
				bearing(s, tokens.Access, "POST", "/v1/profile/email", body).Want(202, "").JSON(&answer)
				if got := emailOf(s, u); got != u.Email {
					t.Errorf("before it is confirmed the address is %s", got)
				}
				mail := s.MailOf(outbox.ChangeEmail)
				if mail.Contents.To != next || !strings.HasPrefix(mail.Link, "/change/") || len(mail.Code) != 8 {
					t.Fatalf("%+v", mail)
				}
				confirming := apitest.Fields{"token": mail.Token()}
				if strings.HasPrefix(way, "code") {
					confirming = apitest.Fields{"handle": answer.Handle, "code": mail.Code[:4] + "-" + mail.Code[4:]}
				}
				access := tokens.Access
				if way == "code after a refresh" {
					var refreshed apitest.Tokens
					s.Refresh(tokens.Refresh).Want(200, "").JSON(&refreshed)
					access = refreshed.Access
				}
				var profile struct {
					Sub, Email    string
					EmailVerified bool `json:"email_verified"`
				}
				confirmed := confirm(s, access, confirming).Want(200, "")
				confirmed.JSON(&profile)
				if profile.Sub != u.ID || profile.Email != next || !profile.EmailVerified ||
					emailOf(s, u) != next+", verified" {
					t.Errorf("%+v, stored %s", profile, emailOf(s, u))
				}
				events := s.EventsOf(confirmed)
				if len(events) != 1 || events[0].Name != audit.EmailChanged || events[0].Actor.ID != u.ID ||
					!slices.Contains(events[0].Changes,
						audit.Change{Field: "email", Before: u.Email, After: next}) {
					t.Errorf("%+v", events)
				}
				notice := s.MailOf(outbox.UndoEmail)
				if notice.Contents.To != u.Email || !strings.HasPrefix(notice.Link, "/undo/") || notice.Code != "" {
					t.Errorf("%+v", notice)
				}
				s.Unchanged(func() { confirm(s, access, confirming).Want(400, "one_time_token_invalid") })
				bearing(s, elsewhere.Access, "GET", "/v1/profile", nil).Want(200, "") // sessions stay
				u.Email = strings.ToUpper(next)
				s.Login(u)
			})
		}
	})
}

// U-04: free, taken, reserved, one's own: the same answer, and a message only where it is of use.
// Nothing is told by the code form either.
func TestU04AChangeToATakenAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, carol := s.SignUp("alice"), s.SignUp("bob"), s.SignUp("carol")
		tokens := s.Login(alice)
		s.Mails()
		changeTo(s, carol, s.Login(carol).Access, "carols-new@example.test") // and her old address is reserved
		var first string
		for _, row := range []struct {
			email string
			sent  bool
		}{
			{"free@example.test", true}, {bob.Email, false}, {strings.ToUpper(bob.Email), false},
			{"\uff42ob@example.test", false}, {carol.Email, false},
			{"carols-new@example.test", false}, {alice.Email, false},
		} {
			s.Advance(time.Hour)
			tokens = s.Login(alice)
			res := bearing(s, tokens.Access, "POST", "/v1/profile/email", proved(alice, "email", row.email)).Want(202,
				"")
			var answer struct{ Handle string }
			res.JSON(&answer)
			h := res.Header.Clone()
			h.Del("X-Request-Id")
			h.Del("Date")
			seen := fmt.Sprint(res.Status, h, len(res.Body))
			if first == "" {
				first = seen
			} else if seen != first {
				t.Errorf("U-04 %s: %s, the free one %s", row.email, seen, first)
			}
			if sent := s.Mails(); (len(sent) == 1) != row.sent || len(sent) > 1 || len(sent) == 1 &&
				sent[0].Contents.To != row.email {
				t.Errorf("U-04 %s: %+v", row.email, sent)
			}
			if names := s.EventsOf(res); len(names) != 1 || names[0].Name != audit.EmailChangeRequested {
				t.Errorf("U-04 %s: %+v", row.email, names)
			}
			for range 7 { // tries are counted alike, too
				confirm(s, tokens.Access, apitest.Fields{"handle": answer.Handle, "code": "00000001"}).Want(400,
					"one_time_token_invalid")
			}
		}
		if got := emailOf(s, alice) + emailOf(s, bob); got != alice.Email+bob.Email {
			t.Error(got)
		}
		// An address that is taken between the message and its confirmation stays where it is.
		s.Advance(time.Minute)
		beginChange(s, alice, tokens.Access, "late@example.test")
		mail := s.MailOf(outbox.ChangeEmail)
		s.SignUp("late")
		s.Unchanged(func() {
			confirm(s, tokens.Access, apitest.Fields{"token": mail.Token()}).Want(400, "one_time_token_invalid")
		})

		// Another way to write one's own address is confirmed like any other.
		s.Advance(25 * time.Hour)
		changeTo(s, alice, s.Login(alice).Access, "Alice@Example.test")
		if got := emailOf(s, alice); got != "Alice@Example.test, verified" {
			t.Error(got)
		}
	})
}

// P-06, P-12: what does not begin a change, and changes nothing.
func TestP06AChangeThatIsNotBegun(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		tokens, others := s.Login(alice), s.Login(alice)
		s.Mails()
		var p struct{ Proof string }
		bearing(s, others.Access, "POST", "/v1/profile/prove",
			apitest.Fields{"current_password": alice.Password}).Want(200, "").JSON(&p)
		free := apitest.Fields{"email": "free@example.test"}
		for name, row := range map[string]struct {
			body   apitest.Fields
			status int
			code   string
			faults string
		}{
			"P-06 a stolen token alone": {free, 401, "recent_proof_required", ""},
			"P-06 an empty password": {free.With("current_password", ""), 401, "recent_proof_required",
				""},
			"P-06 a proof of another session": {free.With("proof", p.Proof), 401, "recent_proof_required", ""},
			"P-06 a forged proof": {free.With("proof", apitest.FlipLastBit(p.Proof)), 401,
				"recent_proof_required", ""},
			"P-06 a wrong password": {free.With("current_password", "not the password of alice"), 403,
				"wrong_password", ""},
			"both proofs": {free.With("current_password", alice.Password).With("proof",
				p.Proof), 400, "validation_error", "proof:not_allowed"},
			"no address": {apitest.Fields{"current_password": alice.Password}, 400,
				"validation_error", "email:required"},
			"no address that is one": {proved(alice, "email", "alice"), 400, "validation_error",
				"email:invalid"},
			"what is wrong is said before the proof": {apitest.Fields{"email": "alice"}, 400, "validation_error",
				"email:invalid"},
			"P-12 a second header": {proved(alice, "email", "a@example.test\r\nBcc: b@example.test"),
				400, "validation_error", "email:invalid"},
			"P-12 a line break": {proved(alice, "email", "a@example.test\n"), 400,
				"validation_error", "email:invalid"},
			"P-12 a second recipient": {proved(alice, "email", "a@example.test,b@example.test"), 400,
				"validation_error", "email:invalid"},
			"P-12 a hidden character": {proved(alice, "email", "a\u200b@example.test"), 400,
				"validation_error", "email:invalid"},
			"P-12 right to left": {proved(alice, "email", "a\u202e@example.test"), 400,
				"validation_error", "email:invalid"},
			"somewhere to go next": {free.With("current_password", alice.Password).With("next",
				"https://evil.test"), 400, "validation_error", "next:unknown_field"},
		} {
			s.Unchanged(func() {
				res := bearing(s, tokens.Access, "POST", "/v1/profile/email", row.body)
				if res.Status != row.status || res.Code() != row.code || row.faults != "" &&
					res.Faults() != row.faults {
					t.Errorf("%s: %d %s %s", name, res.Status, res.Code(), res.Faults())
				}
			})
		}
		s.Unchanged(func() {
			for _, path := range []string{"/v1/profile/email", "/v1/profile/email/confirm"} {
				post(s, path, free).Want(401, "missing_token")
			}
			s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/email"}).Want(401, "missing_token")
			for _, method := range []string{"PATCH", "PUT"} {
				res := bearing(s, tokens.Access, method, "/v1/profile",
					free.With("current_password", alice.Password)).Want(400, "validation_error")
				if res.Faults() != "email:not_allowed" || !bytes.Contains(res.Body, []byte("/v1/profile/email")) {
					t.Errorf("%s: %s", method, res.Body)
				}
			}
		})
		// What is sent and stays as it is, is no change.
		bearing(s, tokens.Access, "PUT", "/v1/profile", apitest.Fields{"email": alice.Email, "name": "Alice"}).Want(200,
			"")
		bearing(s, tokens.Access, "PATCH", "/v1/profile", apitest.Fields{"email": alice.Email,
			"nickname": "Al"}).Want(200, "")
		bearing(s, tokens.Access, "PATCH", "/v1/profile", proved(alice, "preferred_username", "al")).Want(200, "")
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("%+v", sent)
		}
	})
}

// U-27, P-06, P-13: what does not confirm a change.
func TestU27AChangeThatIsNotConfirmed(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		tokens, others, bobs := s.Login(alice), s.Login(alice), s.Login(bob)
		s.Mails()
		n := 0
		fresh := func() (string, apitest.Mail) {
			t.Helper()
			n++
			handle := beginChange(s, alice, tokens.Access, fmt.Sprintf("new%d@example.test", n))
			return handle, s.MailOf(outbox.ChangeEmail)
		}
		invalid := func(name, access string, body apitest.Fields) {
			t.Helper()
			s.Unchanged(func() {
				if res := confirm(s, access, body); res.Status != 400 || res.Code() != "one_time_token_invalid" {
					t.Errorf("U-27 %s: %d %s", name, res.Status, res.Body)
				}
			})
		}
		handle, mail := fresh()
		code := apitest.Fields{"handle": handle, "code": mail.Code}
		token := mail.Token()
		for name, text := range map[string]string{
			"forged": apitest.FlipLastBit(token), "cut": token[:len(token)-1], "id only": mail.Message.ID, "with the code": mail.Message.ID + "." + mail.Code, "the handle": handle,
		} {
			invalid(name, tokens.Access, apitest.Fields{"token": text})
		}
		// P-06: somebody with another token of the account, and no message, or not that of this
		// session.
		invalid("P-06 the code in another session", others.Access, code)
		invalid("P-06 a guess", tokens.Access, apitest.Fields{"handle": handle, "code": "00000001"})
		invalid("P-03 the link at another account", bobs.Access, apitest.Fields{"token": token})
		invalid("P-03 the code at another account", bobs.Access, code)
		for path, body := range map[string]apitest.Fields{
			"/v1/email/verify": {"token": token, "new_password": nextPassword}, "/v1/password/reset": {"token": token,
				"new_password": nextPassword},
		} {
			post(s, path, body).Want(400, "one_time_token_invalid")
		}
		if err := undo(s, token, nextPassword); err != userstore.ErrTokenInvalid {
			t.Errorf("a change is no undoing: %v", err)
		}
		for _, body := range []apitest.Fields{code.With("token", token), {"handle": handle}, {"code": mail.Code}, {}} {
			confirm(s, tokens.Access, body).Want(400, "validation_error")
		}
		s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email/confirm", Body: code}).Want(401, "missing_token")

		// A newer one, one that is withdrawn, one that has ended.
		_, newer := fresh()
		invalid("replaced by a newer one", tokens.Access, apitest.Fields{"token": token})
		bearing(s, tokens.Access, "DELETE", "/v1/profile/email", nil).Want(204, "")
		invalid("withdrawn", tokens.Access, apitest.Fields{"token": newer.Token()})
		s.Unchanged(func() { bearing(s, tokens.Access, "DELETE", "/v1/profile/email", nil).Want(204, "") })
		beginChange(s, alice, tokens.Access, "unsent@example.test")
		bearing(s, tokens.Access, "DELETE", "/v1/profile/email", nil).Want(204, "")
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("a message of a change that was withdrawn: %+v", sent)
		}
		handle, mail = fresh()
		code = apitest.Fields{"handle": handle, "code": mail.Code}
		for range 5 {
			invalid("a guess", tokens.Access, apitest.Fields{"handle": handle, "code": "00000001"})
		}
		invalid("the right code after five guesses", tokens.Access, code)
		s.Advance(time.Hour)
		tokens = s.Login(alice)
		invalid("ended", tokens.Access, apitest.Fields{"token": mail.Token()})

		// Whatever happens to the account; and what is sent to the address before proves the new
		// one in no way.
		for name, act := range map[string]func(){
			"a change of password": func() {
				next := s.Secret(fmt.Sprintf("the planted password of change %d", n))
				bearing(s, tokens.Access, "POST", "/v1/profile/password", proved(alice, "new_password", next)).Want(204,
					"")
				alice.Password = next
			},
			"signing out everywhere": func() {
				bearing(s, s.Login(alice).Access, "POST", "/v1/logout", apitest.Fields{"everywhere": true}).Want(204,
					"")
				tokens = s.Login(alice)
			},
			"P-13 disabling": func() {
				for _, active := range []bool{false, true} {
					if err := s.DB.SetActive(t.Context(), alice.ID, active, s.Clock.Now()); err != nil {
						t.Fatal(err)
					}
					if !active {
						confirm(s, tokens.Access, apitest.Fields{"token": mail.Token()}).Want(401, "token_invalid")
					}
				}
				tokens = s.Login(alice)
			},
			"another change": func() { changeTo(s, alice, tokens.Access, fmt.Sprintf("another%d@example.test", n)) },
			"an operator's change": func() {
				_, err := s.Replicas[0].Accounts.EditByOperator(t.Context(), alice.ID, func(u *userstore.User) error {
					u.Email = fmt.Sprintf("set%d@example.test", n)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			},
		} {
			s.Advance(10 * time.Minute)
			u, err := s.DB.UserByID(t.Context(), alice.ID)
			if err != nil {
				t.Fatal(err)
			}
			alice.Email = u.Email
			tokens = s.Login(alice)
			s.Mails()
			_, mail = fresh()
			act()
			if u, err = s.DB.UserByID(t.Context(), alice.ID); err != nil {
				t.Fatal(err)
			}
			alice.Email = u.Email
			invalid("after "+name, s.Login(alice).Access, apitest.Fields{"token": mail.Token()})
		}
	})
}

// U-27: a proof of the address before is of no use for the new one.
func TestU27AProofOfTheAddressBefore(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u, handle, mail := signUp(s, "u")
		tokens := s.Login(u)
		s.Advance(2 * time.Minute)
		reset := forgot(s, u.Email)
		resetMail := s.MailOf(outbox.ResetPassword)
		changeTo(s, u, tokens.Access, "new-"+u.Email)
		s.Unchanged(func() {
			post(s, "/v1/email/verify", apitest.Fields{"handle": handle, "code": mail.Code}).Want(400,
				"one_time_token_invalid")
			bearing(s, tokens.Access, "POST", "/v1/email/verify", apitest.Fields{"token": mail.Token()}).Want(400,
				"one_time_token_invalid")
			post(s, "/v1/password/reset", apitest.Fields{"token": resetMail.Token(),
				"new_password": nextPassword}).Want(400, "one_time_token_invalid")
			post(s, "/v1/password/reset", apitest.Fields{"handle": reset, "code": resetMail.Code,
				"new_password": nextPassword}).Want(400, "one_time_token_invalid")
		})
		forgot(s, u.Email)
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("U-27 the address before is written to: %+v", sent)
		}
	}, apitest.Verifying)
}

// P-01, P-12: changes share the budget of an address, and say nothing of it; only the network is
// told 429.
func TestP12ChangesShareTheBudgetOfAnAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := signUpAs(s, "alice")
		s.Mails()
		sent := 0
		for i := range 24 {
			tokens := s.Login(alice)
			res := s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email", Token: tokens.Access, Replica: i % 3,
				Header: from(fmt.Sprintf("192.0.2.%d", i)),
				Body:   proved(alice, "email", "victim@example.test")})
			res.Want(202, "")
			sent += len(s.Mails())
			s.Advance(7 * time.Minute)
		}
		if sent != 10 {
			t.Errorf("P-12 %d messages in three hours", sent)
		}
		// A message that was not sent ends nothing: the one before works still.
		tokens := s.Login(alice)
		begin := func(email string) *apitest.Response {
			return s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email", Token: tokens.Access,
				Header: from("203.0.113.1"),
				Body:   proved(alice, "email", email)})
		}
		begin("twice@example.test").Want(202, "")
		mail := s.MailOf(outbox.ChangeEmail)
		begin("twice@example.test").Want(202, "")
		begin("thrice@example.test\r\n").Want(400, "validation_error") // counts nothing
		begin("twice@example.test").Want(202, "")
		limited(s, begin("other@example.test"), time.Hour)
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("%+v", sent)
		}
		confirm(s, tokens.Access, apitest.Fields{"token": mail.Token()}).Want(200, "")
	}, behindProxy, func(o *apitest.Options) {
		configure := o.Configure
		o.Configure = func(r *apitest.Replica) { configure(r); r.Accounts.Throttle.SignupsPerNetwork = 3 }
	})
}

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
				if err := undo(s, first, password); err == nil || !strings.Contains(fmt.Sprintf("%+v", err), want) &&
					!strings.Contains(err.Error(), "new_password") {
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
			{Email: "imported@example.test"}})
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

// P-02: confirmations and undoings at once on three replicas.
func TestP02ChangesAtOnce(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		s := apitest.New(t, apitest.Options{DB: db, Replicas: 3})
		alice := s.SignUp("alice")
		tokens := s.Login(alice)
		s.Mails()
		for round := range 3 {
			next := fmt.Sprintf("round%d@example.test", round)
			handle := beginChange(s, alice, tokens.Access, next)
			mail := s.MailOf(outbox.ChangeEmail)
			var won atomic.Int64
			var wait sync.WaitGroup
			for i := range 6 {
				wait.Go(func() {
					body := apitest.Fields{"token": mail.Token()}
					if i%2 == 1 {
						body = apitest.Fields{"handle": handle, "code": mail.Code}
					}
					switch res := s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email/confirm",
						Token: tokens.Access, Replica: i % 3, Body: body}); {
					case res.Status == 200:
						won.Add(1)
					case res.Code() != "one_time_token_invalid":
						t.Errorf("%d %s", res.Status, res.Body)
					}
				})
			}
			wait.Wait()
			if won.Load() != 1 {
				t.Fatalf("P-02 %d confirmations won", won.Load())
			}
			undoing := s.MailOf(outbox.UndoEmail).Token()

			// Undone, while the thief confirms the next change.
			beginChange(s, alice, tokens.Access, "x"+next)
			mail = s.MailOf(outbox.ChangeEmail)
			passwords := make([]string, 3)
			var undone atomic.Int64
			winner := make([]bool, 3)
			for i := range passwords {
				passwords[i] = s.Secret(fmt.Sprintf("%s %d %d", nextPassword, round, i))
				wait.Go(func() {
					err := s.Replicas[i].Accounts.UndoEmailChange(t.Context(), undoing, passwords[i])
					if err == nil {
						undone.Add(1)
						winner[i] = true
					} else if err != userstore.ErrTokenInvalid {
						t.Error(err)
					}
				})
			}
			wait.Go(func() {
				s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email/confirm", Token: tokens.Access,
					Replica: round % 3, Body: apitest.Fields{"token": mail.Token()}})
			})
			wait.Wait()
			if undone.Load() != 1 || emailOf(s, alice) != alice.Email+", verified" {
				t.Fatalf("P-02 %d undoings won, and the address is %s", undone.Load(), emailOf(s, alice))
			}
			bearing(s, tokens.Access, "GET", "/v1/profile", nil).Want(401, "token_invalid")
			alice.Password = passwords[slices.Index(winner, true)]
			tokens = s.Login(alice)
			s.Mails()
			s.Advance(time.Minute)
		}
	})
}

// P-14: a copy of the database in the middle of a change and of its undoing redeems nothing.
func TestP14ADumpConfirmsAndUndoesNothing(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": sqltest.SQLitePath,
		"postgres": sqltest.PostgresURL} {
		t.Run(name, func(t *testing.T) {
			at := url(t)
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
}

// Without mail there is nothing of it, and the address changes by an edit, with a proof.
func TestWithoutMailAnAddressIsEdited(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		tokens := s.Login(alice)
		for _, path := range []string{"/v1/profile/email", "/v1/profile/email/confirm"} {
			bearing(s, tokens.Access, "POST", path, proved(alice, "email", "new@example.test")).Want(404, "not_found")
		}
		bearing(s, tokens.Access, "DELETE", "/v1/profile/email", nil).Want(404, "not_found")
		for _, path := range []string{"/change", "/change/x", "/undo", "/undo/x"} {
			s.Do(apitest.Request{Path: path}).Want(http.StatusNotFound, "not_found")
		}
		var doc struct{ Paths map[string]any }
		s.Do(apitest.Request{Path: "/openapi.json"}).Want(200, "").JSON(&doc)
		if doc.Paths["/v1/profile/email"] != nil || doc.Paths["/v1/profile/email/confirm"] != nil ||
			doc.Paths["/v1/profile"] == nil {
			t.Error("openapi.json describes what there is not")
		}
		bearing(s, tokens.Access, "PATCH", "/v1/profile", apitest.Fields{"email": "new@example.test"}).Want(401,
			"recent_proof_required")
		bearing(s, tokens.Access, "PATCH", "/v1/profile", proved(alice, "email", "new@example.test")).Want(200, "")
		if got := emailOf(s, alice); got != "new@example.test" {
			t.Errorf("%s: an address that nobody proved", got)
		}
	}, apitest.WithoutMail)
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
