package bymail_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

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
