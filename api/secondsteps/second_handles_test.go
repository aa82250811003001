package secondsteps_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// P-05: the password alone leads nowhere, and nothing is written before the last step: no session,
// grant, last login or remembered network.
func TestP05NothingIsWrittenBeforeTheLastStep(t *testing.T) {
	sqltest.EachURL(t, func(t *testing.T, url string) {
		db, err := sqlstore.Open(t.Context(), url, sqlstore.Options{MustExist: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		s := apitest.New(t, apitest.Options{DB: db})
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		cells := func() []string { // of every table, without the bytes of SQLite's file
			dump, _, _ := strings.Cut(string(sqltest.Dump(t, url)), "SQLite format 3\x00")
			return slices.Sorted(strings.Lines(dump))
		}
		before := cells()
		login := s.FirstStep(alice)
		if after := cells(); !slices.Equal(after, before) || len(before) < 100 {
			t.Errorf("P-05: the first step wrote something: %d cells, %d before", len(after), len(before))
		}
		s.Unchanged(func() {
			post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Wrong()}).Want(401, "invalid_code")
			post(s, "/v1/login/recovery-code", apitest.Fields{"login": login, "code": app.Wrong()}).Want(401, "invalid_code")
		})
		post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Code()}).Want(200, "")
	})
}

// P-10: a handle leads to what its login asked for, once, as long as password and factors are as they
// were, and for five minutes.
func TestP10TheHandleOfALogin(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		key, _ := s.WithPasskey(alice)
		second := func(s *apitest.Server, login string) *apitest.Response {
			s.T.Helper()
			return post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Code()})
		}
		t.Run("P-10 after use", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			second(s, login).Want(200, "")
			s.Unchanged(func() {
				second(s, login).Want(401, "login_expired")
				post(s, "/v1/login/recovery-code", apitest.Fields{"login": login, "code": recovery[0]}).Want(401, "login_expired")
				options, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
				post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(options)}).Want(401, "login_expired")
			})
			post(s, "/v1/login/recovery-code", apitest.Fields{"login": s.FirstStep(alice), "code": recovery[0]}).Want(200, "")
		})
		t.Run("P-10 after its time", func(t *testing.T) {
			s := s.With(t)
			login, again := s.FirstStep(alice), s.FirstStep(alice)
			s.Advance(5*time.Minute - time.Second)
			code := app.Shown(0)
			post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": code}).Want(200, "")
			s.Advance(time.Second)
			s.Unchanged(func() { second(s, again).Want(401, "login_expired") })
			second(s, s.FirstStep(alice)).Want(200, "")
		})
		t.Run("P-10 forged", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			s.Unchanged(func() {
				for name, handle := range forgedHandles(login) {
					for _, path := range []string{"totp", "recovery-code"} {
						res := post(s, "/v1/login/"+path, apitest.Fields{"login": handle, "code": app.Shown(0)})
						if res.Status != 401 || res.Code() != "login_expired" {
							t.Errorf("%s at %s: %d %s", name, path, res.Status, res.Code())
						}
					}
				}
			})
		})
		t.Run("P-10 for another purpose", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			options, alone := passkeyOptions(s, "/v1/passkey/login/options", "", apitest.Fields{})
			of, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
			s.Unchanged(func() {
				second(s, alone).Want(401, "login_expired")
				post(s, "/v1/login/passkey", apitest.Fields{"login": alone, "response": key.Get(options)}).Want(401, "login_expired")
				post(s, "/v1/passkey/login", apitest.Fields{"login": login, "response": key.Get(of)}).Want(401, "login_expired")
				// An answer to the challenge of another login.
				post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(options)}).Want(401, "invalid_code")
				post(s, "/v1/passkey/login", apitest.Fields{"login": alone, "response": key.Get(of)}).Want(401, "invalid_code")
				for _, path := range []string{"totp", "passkeys/options", "code"} {
					post(s, "/v1/login/setup/"+path, apitest.Fields{"login": login}).Want(401, "login_expired")
				}
				post(s, "/v1/login/setup/totp/confirm", apitest.Fields{"login": login, "code": app.Shown(0)}).Want(401, "login_expired")
			})
		})
		t.Run("P-10 of another user", func(t *testing.T) {
			s := s.With(t)
			bob := s.SignUp("bob")
			of, codes := s.WithApp(bob)
			s.Unchanged(func() {
				post(s, "/v1/login/totp", apitest.Fields{"login": s.FirstStep(alice), "code": of.Code()}).Want(401, "invalid_code")
				post(s, "/v1/login/recovery-code", apitest.Fields{"login": s.FirstStep(alice), "code": codes[0]}).
					Want(401, "invalid_code")
			})
		})
		t.Run("P-10 with its own client and scope", func(t *testing.T) {
			s := s.With(t)
			first := s.Register(userstore.Client{ID: "first", Name: "First", FirstParty: true, AuthMethod: userstore.AuthNone})
			login := s.FirstStep(alice, apitest.Fields{"client_id": first.ID, "scope": "email"})
			var tokens apitest.Tokens
			second(s, login).Want(200, "").JSON(&tokens)
			if claims := apitest.Claims(tokens.Access); claims["client_id"] != "first" || claims["scope"] != "email" {
				t.Errorf("the tokens are of %v for %v", claims["client_id"], claims["scope"])
			}
			login = s.FirstStep(alice, apitest.Fields{"client_id": first.ID})
			if err := s.Replicas[0].API.Clients.SetActive(t.Context(), first.ID, false); err != nil {
				t.Fatal(err)
			}
			s.Unchanged(func() { second(s, login).Want(400, "invalid_client") })
		})
		t.Run("P-10 of an account that was disabled", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			if err := s.Replicas[0].Accounts.SetActive(t.Context(), alice.ID, false); err != nil {
				t.Fatal(err)
			}
			second(s, login).Want(403, "account_disabled")
			if err := s.Replicas[0].Accounts.SetActive(t.Context(), alice.ID, true); err != nil {
				t.Fatal(err)
			}
		})
		t.Run("P-10 after the password changed", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			alice.Password = s.Secret("the next planted password of Alice")
			if err := s.Replicas[0].Accounts.SetPassword(t.Context(), alice.ID, alice.Password); err != nil {
				t.Fatal(err)
			}
			s.Unchanged(func() { second(s, login).Want(401, "login_expired") })
			second(s, s.FirstStep(alice)).Want(200, "")
		})
		t.Run("P-10 after the factors changed", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			options, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
			s.WithPasskey(alice)
			s.Unchanged(func() {
				second(s, login).Want(401, "login_expired")
				post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(options)}).Want(401, "login_expired")
			})
			second(s, s.FirstStep(alice)).Want(200, "")
		})
		t.Run("P-10 of an account that was deleted", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			if err := s.DB.DeleteUser(t.Context(), alice.ID); err != nil {
				t.Fatal(err)
			}
			second(s, login).Want(401, "login_expired")
		})
	}, unlimited)
}
