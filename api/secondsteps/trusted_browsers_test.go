package secondsteps_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// Trusted browsers are listed, and each can be ended.
func TestTrustedBrowsersByJSON(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		c := caller{s, s.LoginByApp(alice, app).Access}
		stored, err := s.DB.UserByID(t.Context(), alice.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, _, trusted, err := s.Replicas[0].Issuer.StartSecondSession(t.Context(), userstore.SecondLogin{
			UserID: alice.ID, PasswordMark: stored.PasswordMark(), FactorVersion: stored.FactorVersion, At: s.Clock.Now(),
		}, userstore.FactorProof{Code: app.Code()}, true, issuer.PageLogin{})
		if err != nil || trusted == "" {
			t.Fatalf("trust a browser: %q %v", trusted, err)
		}
		f := c.factors()
		if len(f.TrustedBrowsers) != 1 || f.TrustedBrowsers[0].ID == "" {
			t.Fatalf("trusted browsers: %+v", f.TrustedBrowsers)
		}
		path := "/v1/profile/factors/trusted-browsers/" + f.TrustedBrowsers[0].ID
		callerOf(s, s.SignUp("bob")).send("DELETE", path, nil).Want(404, "not_found")
		c.send("DELETE", path, nil).Want(204, "")
		c.send("DELETE", path, nil).Want(404, "not_found")
		if f := c.factors(); len(f.TrustedBrowsers) != 0 {
			t.Errorf("trusted browsers: %+v", f.TrustedBrowsers)
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.TrustedBrowser = 30 * 24 * time.Hour }))
}
