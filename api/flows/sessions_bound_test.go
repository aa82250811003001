package flows_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// What one app does must not sign people out of another: silent logins (prompt=none, and the code
// redeemed) of one client leave alone the session that another client's user refreshes, and the one
// that this client's own user does. They are as many as once ended both; a thousand are the store's
// own test.
func TestOneAppsLoginsEndNoOtherAppsSessions(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, app, script := s.SignUp("alice"), s.WebClient(), s.Register(userstore.Client{ID: "script"})
		var kept, own, first apitest.Tokens
		b, p := s.Allowed(alice, app)
		s.Do(s.CodeRequest(app, wantCode(t, p))).Want(http.StatusOK, "").JSON(&kept)
		p = b.Open(authorizePath(script)).WantPage(200, "consent-approve").Submit("consent-approve", nil)
		s.Do(s.CodeRequest(script, wantCode(t, p))).Want(http.StatusOK, "").JSON(&own)
		s.Advance(2 * time.Minute)
		s.Do(s.RefreshRequest(app, kept.Refresh)).Want(http.StatusOK, "").JSON(&kept)
		s.Do(s.RefreshRequest(script, own.Refresh)).Want(http.StatusOK, "").JSON(&own)
		const logins = 120
		for n := range logins {
			p := b.Open(authorizePath(script, set("prompt", "none")))
			a := s.Do(s.CodeRequest(script, wantCode(t, p))).Want(http.StatusOK, "")
			if n == 0 {
				a.JSON(&first)
			}
			s.Clock.Move(time.Millisecond)
		}
		s.Do(s.RefreshRequest(app, kept.Refresh)).Want(http.StatusOK, "")
		s.Do(s.RefreshRequest(script, own.Refresh)).Want(http.StatusOK, "")

		// The first of them made room, and the audit log says so.
		s.Do(s.RefreshRequest(script, first.Refresh)).Want(http.StatusBadRequest, "invalid_grant")
		events, err := s.DB.ListEvents(t.Context(),
			userstore.EventQuery{Name: audit.SessionRevoked, TargetID: alice.ID, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if want := logins - (userstore.MaxGrantsPerClient - 1); len(events) != want {
			t.Errorf("the audit log tells of %d sessions that made room, want %d", len(events), want)
		}
		oldest := events[len(events)-1]
		if oldest.SessionID != apitest.Claims(first.ID)["sid"] || oldest.Reason != audit.TooMany ||
			oldest.ClientID != "script" || oldest.RequestID == "" {
			t.Errorf("the first entry: %+v", oldest)
		}
	})
}

// A client that gets no refresh token fills nobody's place, however often its users log in.
func TestLoginsWithoutARefreshTokenEndNoSession(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		var plain, refreshing apitest.Client
		plain = s.Register(userstore.Client{ID: "plain", GrantTypes: []string{userstore.GrantAuthorizationCode}})
		refreshing = s.Register(userstore.Client{ID: "refreshing"})
		kept := s.Redeem(alice, refreshing)
		for range userstore.MaxGrantsPerClient + 5 {
			if tokens := s.Redeem(alice, plain); tokens.Refresh != "" {
				t.Fatal("a client that is not registered for it got a refresh token")
			}
		}
		s.Do(s.RefreshRequest(refreshing, kept.Refresh)).Want(http.StatusOK, "")
		events, err := s.DB.ListEvents(t.Context(),
			userstore.EventQuery{Name: audit.SessionRevoked, TargetID: alice.ID, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events { // each login was by a browser session of its own, and some of those made room
			if e.SessionID == apitest.Claims(kept.ID)["sid"] || e.ClientID != "" {
				t.Errorf("the audit log has an entry about a session that nobody could miss: %+v", e)
			}
		}
	})
}
