package account_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

func export(s *apitest.Server, token, proof string) *apitest.Response {
	s.T.Helper()
	return s.Do(apitest.Request{Path: "/v1/profile/export", Token: token, Header: http.Header{"Signet-Proof": {proof}}})
}

func TestExportHoldsWhatIsKeptInTheUsersName(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, admin := s.Admin("root")
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		web := s.WebClient()
		browser, page := s.Allowed(alice, web)
		s.TokensOf(web, page)
		_ = browser
		tokens := s.Login(alice)
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: tokens.Access,
			Body: apitest.Fields{"nickname": "Al"}}).Want(200, "")
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/admin/users/" + alice.ID, Token: admin.Access,
			Header: http.Header{"User-Agent": {"AdminBrowser"}},
			Body:   apitest.Fields{"zoneinfo": "Europe/Berlin"}}).Want(200, "")
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/admin/users/" + bob.ID, Token: admin.Access,
			Body: apitest.Fields{"nickname": "Bobby"}}).Want(200, "")

		res := export(s, tokens.Access, proofFrom(s, tokens.Access, alice.Password)).Want(200, "")
		if got := res.Header.Get("Content-Disposition"); got != `attachment; filename="account.json"` {
			t.Errorf("Content-Disposition %q", got)
		}
		var doc struct {
			Issuer   string
			Profile  apitest.Fields
			Sessions []apitest.Fields
			Consents []apitest.Fields
			Audit    []struct {
				Event     string
				Actor     struct{ Type, ID string }
				Target    struct{ Type, ID string }
				UserAgent string `json:"user_agent"`
				Address   string
				Changes   []any
			}
			Complete bool `json:"audit_complete"`
		}
		res.JSON(&doc)
		if doc.Issuer != apitest.IssuerURL || doc.Profile["sub"] != alice.ID || doc.Profile["nickname"] != "Al" ||
			doc.Profile["email"] != alice.Email || !doc.Complete {
			t.Errorf("%+v", doc)
		}
		kinds := map[any]int{}
		for _, session := range doc.Sessions {
			kinds[session["kind"]]++
		}
		if kinds["browser"] != 1 || kinds["grant"] != 2 || len(doc.Consents) != 1 || doc.Consents[0]["client_id"] != web.ID {
			t.Errorf("sessions %v, consents %v", kinds, doc.Consents)
		}
		seen := map[string]int{}
		for _, e := range doc.Audit {
			seen[e.Event]++
			if e.Actor.ID != alice.ID && e.Target.ID != alice.ID {
				t.Errorf("an entry about somebody else: %+v", e)
			}
			if e.Actor.Type == "user" && e.Actor.ID != alice.ID && (e.Actor.ID != "" || e.Address != "" || e.UserAgent != "") {
				t.Errorf("an entry tells of the admin: %+v", e)
			}
		}
		for _, name := range []string{"user_created", "user_updated", "login_succeeded", "consent_granted", "grant_started"} {
			if seen[name] == 0 {
				t.Errorf("no %s among %v", name, seen)
			}
		}
		for _, secret := range []string{"argon2", "$", "AdminBrowser", root.ID, bob.ID, bob.Email, alice.Password,
			tokens.Access, tokens.Refresh} {
			if strings.Contains(string(res.Body), secret) {
				t.Errorf("the export holds %q", secret)
			}
		}

		t.Run("an admin's holds no changes of others", func(t *testing.T) {
			s := s.With(t)
			wide := s.Login(root, apitest.Fields{"scope": "profile"})
			body := string(export(s, wide.Access, proofFrom(s, wide.Access, root.Password)).Want(200, "").Body)
			if strings.Contains(body, "Bobby") || strings.Contains(body, "Berlin") || !strings.Contains(body, "user_updated") {
				t.Errorf("%s", body)
			}
		})
	})
}

// P-06: an access token alone exports nothing.
func TestP06ExportNeedsAProof(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		tokens, bobs := s.Login(alice), s.Login(bob)
		refused := apitest.Request{Path: "/v1/profile/export", Token: tokens.Access}
		s.Do(refused).Want(401, "recent_proof_required")
		proof := proofFrom(s, tokens.Access, alice.Password)
		refused.Path += "?proof=" + proof // an address would be logged
		s.Do(refused).Want(401, "recent_proof_required")
		for _, sent := range []string{"", "x", proofFrom(s, bobs.Access, bob.Password), alice.Password} {
			export(s, tokens.Access, sent).Want(401, "recent_proof_required")
		}
		export(s, bobs.Access, proof).Want(401, "recent_proof_required")
		export(s, s.Login(alice).Access, proof).Want(401, "recent_proof_required")
		s.Do(apitest.Request{Path: "/v1/profile/export", Token: tokens.Access,
			Header: http.Header{"Signet-Proof": {proof, proof}}}).Want(400, "invalid_request")
		s.Do(apitest.Request{Path: "/v1/profile/export",
			Header: http.Header{"Signet-Proof": {proof}}}).Want(401, "missing_token")
		narrow := s.Login(alice, apitest.Fields{"scope": "email"}).Access
		export(s, narrow, proof).Want(403, "insufficient_scope")
		export(s, tokens.Access, proof).Want(200, "")
		s.Advance(10 * time.Minute)
		export(s, s.Login(alice).Access, proof).Want(401, "recent_proof_required")
	})
}
