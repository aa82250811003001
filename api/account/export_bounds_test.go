package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
)

// An export is bounded in bytes, too: a user who has edited the profile many thousand times gets an
// answer, which says that it is not all.
func TestExportOfALongHistory(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		tokens := s.Login(alice)
		for n := range 30 {
			events := make([]audit.Event, 50)
			for i := range events {
				at := s.Clock.Now().Add(-time.Duration(n*50+i) * time.Second)
				events[i] = audit.New(t.Context(), at, audit.UserUpdated, audit.User(alice.ID))
				events[i].Actor = audit.Actor{Type: audit.ByUser, ID: alice.ID}
				for _, field := range []string{
					"name", "given_name", "family_name", "middle_name", "nickname", "profile", "picture", "website",
				} {
					events[i].Changes = append(events[i].Changes, audit.Change{
						Field: field, Before: strings.Repeat("a", 500), After: strings.Repeat("b", 500),
					})
				}
			}
			if err := s.DB.Record(t.Context(), events...); err != nil {
				t.Fatal(err)
			}
		}
		res := export(s, tokens.Access, proofFrom(s, tokens.Access, alice.Password)).Want(200, "")
		var doc struct {
			Audit    []struct{ Event string }
			Complete bool `json:"audit_complete"`
		}
		res.JSON(&doc)
		if len(res.Body) > 12<<20 || doc.Complete || len(doc.Audit) < 800 || len(doc.Audit) > 1200 {
			t.Errorf("%d bytes, %d entries, complete: %t", len(res.Body), len(doc.Audit), doc.Complete)
		}
	})
}
