package flows_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// An app that gets its first logout URI hears of the sessions that begin from then on: what counts
// is the registration when the code is redeemed, or, where tokens come with the answer, when the
// answer is made.
func TestAnAppThatGetsALogoutURI(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, r := range s.Replicas {
			r.Issuer.ResponseTypes = []string{"code", "code id_token"}
		}
		c := s.Register(userstore.Client{ID: "shop", FirstParty: true,
			GrantTypes:     []string{userstore.GrantAuthorizationCode, userstore.GrantImplicit, userstore.GrantRefreshToken},
			ClientMetadata: userstore.ClientMetadata{ResponseTypes: []string{"code", "code id_token"}}})
		b := s.SignedIn(s.SignUp("alice"))
		hybrid := set("response_type", "code id_token")
		code := func() string { return apitest.WantCode(t, b.Open(authorizePath(c))) }
		redeem := func(code string) string {
			t.Helper()
			var tokens apitest.Tokens
			s.Do(s.CodeRequest(c, code)).Want(200, "").JSON(&tokens)
			return "shop " + tokens.SessionID()
		}
		begun := func() string { return b.Open(authorizePath(c, hybrid)).Fragment().Get("code") }

		earlier, tooEarly := redeem(code()), redeem(begun())
		inTime, answered := code(), begun()
		now, err := s.DB.ClientByID(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		now.BackchannelLogoutURI = "https://shop.test/out"
		if err := s.DB.UpdateClient(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		want := []string{redeem(inTime), redeem(code()), redeem(begun())}
		untold := []string{earlier, tooEarly, redeem(answered)}
		slices.Sort(want)
		b.Open("/logout").Submit("logout-confirm", nil)
		if got := toldOf(t, s); !slices.Equal(got, want) {
			t.Errorf("told of %v, want %v and none of %v", got, want, untold)
		}
	})
}

// Each way to tokens of the account API begins a session that the app hears the end of.
func TestLoginsOfTheAccountAPIAreSessionsOfApps(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, c := range []userstore.Client{
			{ID: "native", ClientMetadata: userstore.ClientMetadata{BackchannelLogoutURI: "https://native.test/out"}},
			{ID: "quiet"},
		} {
			c.AuthMethod, c.FirstParty = userstore.AuthNone, true
			s.Register(c)
			at := apitest.Fields{"client_id": c.ID}
			alice, bob, carol := s.SignUp("alice-"+c.ID), s.SignUp("bob-"+c.ID), s.SignUp("carol-"+c.ID)
			app, _ := s.WithApp(bob)
			key, _ := s.WithPasskey(carol)

			var begun struct{ Options json.RawMessage }
			var byKey apitest.Tokens
			login := s.FirstStep(carol, at)
			apitest.Post(s, "/v1/login/passkey/options", apitest.Fields{"login": login}).Want(200, "").JSON(&begun)
			apitest.Post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(begun.Options)}).
				Want(200, "").JSON(&byKey)
			var want []string
			for _, tokens := range []apitest.Tokens{s.Login(alice, at), s.LoginByApp(bob, app, at), byKey} {
				if c.BackchannelLogoutURI != "" {
					want = append(want, c.ID+" "+tokens.SessionID())
				}
				s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: tokens.Access}).Want(204, "")
			}
			slices.Sort(want)
			if got := toldOf(t, s); !slices.Equal(got, want) {
				t.Errorf("told of %v, want %v", got, want)
			}
		}
	})
}
