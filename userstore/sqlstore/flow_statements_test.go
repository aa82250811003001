package sqlstore_test

import (
	"slices"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// What the hot paths ask of the database, request by request. A number that grows makes every login
// or refresh of every installation slower: change it only with a reason in the commit.
func TestStatementsOfTheHotPaths(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		counted := sqlstore.Count(db)
		s := apitest.New(t, apitest.Options{DB: db})
		u := s.SignUp("alice")
		is := func(what string, want ...string) {
			t.Helper()
			if got := counted.Since(); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		counted.Since()

		reserved := map[string]string{"sqlite": "batch of 2", "postgres": "batch of 3"}[db.Engine()] // the attempt

		tokens := s.Login(u)
		is("login by the account API", "read", reserved, "batch of 7")
		s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
		is("refresh by the account API", "write")

		login := s.Browser().Open("/login").WantPage(200, "login-submit")
		counted.Since()
		login.Submit("login-submit", u.Credentials()).WantPage(200, "")
		is("login on the page, which leads to another", "read", "read", reserved, "batch of 9", "read")

		for _, app := range []struct {
			name   string
			logout string
			begins string
		}{
			{"an app that hears of no logout", "", "batch of 6"},
			{"an app that hears of logouts", "https://app.test/out", "batch of 8"},
		} {
			c := s.Register(userstore.Client{ID: app.name, Name: "App", AuthMethod: userstore.AuthNone, FirstParty: true,
				ClientMetadata: userstore.ClientMetadata{
					RedirectURIs: []string{"https://app.test/cb"}, BackchannelLogoutURI: app.logout,
				}})
			b := s.Browser()
			request := s.CodeRequest(c, apitest.WantCode(t, b.SignIn(apitest.AuthorizePath(c), u)))
			counted.Since()
			s.Do(request).Want(200, "").JSON(&tokens)
			is("redemption of the code of "+app.name, "read", "read", app.begins)
			s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "").JSON(&tokens)
			is("refresh of "+app.name, "read", "write")
		}
	})
}
