package flows_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// person is an account that tries to get in.
type person struct {
	apitest.User
	s       *apitest.Server
	client  apitest.Client
	before  apitest.Tokens   // got before the account had a second factor
	session *apitest.Browser // logged in before
	known   *apitest.Browser // logged in before, and logged out
}

// asked is what an answer of the JSON API asks for; "in" if it asks for nothing more.
func asked(a *apitest.Response) string {
	if a.Status < 300 {
		return "in"
	}
	if a.Code() != "second_factor_required" {
		return fmt.Sprintf("refused: %s", a.Code())
	}
	var step struct{ Methods []string }
	a.JSON(&step)
	return "asks for " + strings.Join(step.Methods, ", ")
}

// shown is what a page asks for; "in" where the browser was sent on.
func shown(p *apitest.Page) string {
	switch {
	case p.To != "" && p.Query().Get("code") != "", p.Has("to-logout"):
		return "in"
	case p.To != "":
		return "refused: " + p.Query().Get("error")
	case p.Has("second-passkey"):
		return "asks for passkey"
	case p.Has("second-code"):
		return "asks for totp"
	case p.Has("login-submit"):
		return "asks for the password"
	}
	return fmt.Sprintf("another page (%d): %.80q", p.Status, p.Text())
}

// ways are the ways into an account whose password or mailbox somebody has. Each returns what it asks for
// beside that.
var ways = []struct {
	name string
	try  func(p person) string
	// want is what an account without a second factor, with an authenticator app and with a passkey
	// is asked for.
	want [3]string
}{
	{"login by JSON", func(p person) string {
		return asked(p.s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": p.Email, "password": p.Password}}))
	}, [3]string{"in", "asks for totp, recovery_code", "asks for passkey, recovery_code"}},

	{"login by JSON at another first-party client", func(p person) string {
		return asked(p.s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": p.Email, "password": p.Password, "client_id": "phone"}}))
	}, [3]string{"in", "asks for totp, recovery_code", "asks for passkey, recovery_code"}},

	{"login by a passkey of somebody else", func(p person) string {
		var begun struct {
			Login   string
			Options json.RawMessage
		}
		p.s.Do(apitest.Request{Method: "POST", Path: "/v1/passkey/login/options", Body: apitest.Fields{}}).Want(200, "").JSON(&begun)
		return asked(p.s.Do(apitest.Request{Method: "POST", Path: "/v1/passkey/login",
			Body: apitest.Fields{"login": begun.Login, "response": p.s.NewPasskey().Get(begun.Options)}}))
	}, [3]string{"refused: invalid_code", "refused: invalid_code", "refused: invalid_code"}},

	{"login page", func(p person) string {
		return shown(p.s.Browser().SignIn("/login", p.User))
	}, [3]string{"in", "asks for totp", "asks for passkey"}},

	{"login page, for an app", func(p person) string {
		return shown(p.s.Browser().SignIn(authorizePath(p.client), p.User))
	}, [3]string{"in", "asks for totp", "asks for passkey"}},

	{"login page in a browser that was logged in before", func(p person) string {
		return shown(p.known.SignIn("/login", p.User))
	}, [3]string{"in", "asks for totp", "asks for passkey"}},

	{"old session, prompt=none", func(p person) string {
		return shown(p.session.Open(authorizePath(p.client, apitest.Param("prompt", "none"))))
	}, [3]string{"in", "in", "in"}},

	{"old session, prompt=none, where acr 2 is essential", func(p person) string {
		return shown(p.session.Open(authorizePath(p.client, apitest.Param("prompt", "none"),
			apitest.Param("claims", `{"id_token":{"acr":{"essential":true,"value":"2"}}}`))))
	}, [3]string{"refused: unmet_authentication_requirements", "refused: login_required", "refused: login_required"}},

	{"old session, where acr 2 is essential", func(p person) string {
		return shown(p.session.Open(authorizePath(p.client,
			apitest.Param("claims", `{"id_token":{"acr":{"essential":true,"value":"2"}}}`))))
	}, [3]string{"refused: unmet_authentication_requirements", "asks for totp", "asks for passkey"}},

	{"refresh of an old grant", func(p person) string {
		return asked(p.s.Refresh(p.before.Refresh))
	}, [3]string{"in", "in", "in"}},

	{"old access token, another password", func(p person) string {
		return asked(p.s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: p.before.Access,
			Body: apitest.Fields{"current_password": p.Password, "new_password": p.s.Secret(apitest.GoodPassword + " 1")}}))
	}, [3]string{"in", "refused: recent_proof_required", "refused: recent_proof_required"}},

	{"reset by the mailbox", func(p person) string {
		p.s.Advance(time.Minute)
		p.s.Do(apitest.Request{Method: "POST", Path: "/v1/password/forgot", Body: apitest.Fields{"email": p.Email}}).Want(202, "")
		return asked(p.s.Do(apitest.Request{Method: "POST", Path: "/v1/password/reset",
			Body: apitest.Fields{"token": p.s.MailOf(outbox.ResetPassword).Token(), "new_password": p.s.Secret(apitest.GoodPassword + " 2")}}))
	}, [3]string{"in", "asks for totp, recovery_code", "asks for passkey, recovery_code"}},

	{"reset by the mailbox, at the page", func(p person) string {
		p.s.Advance(2 * time.Minute)
		p.s.Do(apitest.Request{Method: "POST", Path: "/v1/password/forgot", Body: apitest.Fields{"email": p.Email}}).Want(202, "")
		b := p.s.Browser()
		page := b.Open(p.s.MailOf(outbox.ResetPassword).Link)
		if got := shown(page); strings.HasPrefix(got, "asks") {
			return got
		}
		page = page.WantPage(200, "reset-submit").
			Submit("reset-submit", map[string]string{"new_password": p.s.Secret(apitest.GoodPassword + " 3")})
		if page.Status == 200 && !page.Has("reset-submit") {
			return "in"
		}
		return shown(page)
	}, [3]string{"in", "asks for totp", "asks for passkey"}},
}

// P-05, P-04: somebody has the password of an account, or its mailbox, and tries every way in. The
// accounts have no second factor, an authenticator app, or a passkey; the table shows what each way
// asked of each account.
func TestP05EveryWayIntoAnAccount(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		client := s.Register(userstore.Client{ID: "first", FirstParty: true})
		s.Register(userstore.Client{ID: "phone", FirstParty: true, AuthMethod: userstore.AuthNone,
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"http://127.0.0.1/cb"}}})
		kinds := []string{"none", "totp", "passkey"}
		var people []person
		for _, kind := range kinds {
			u := s.SignUp("with-" + kind)
			s.AddressProved(u)
			p := person{User: u, s: s, client: client, before: s.Login(u), session: s.SignedIn(u), known: s.SignedIn(u)}
			out := p.known.Open("/logout")
			out.WantPage(200, "logout-confirm").Submit("logout-confirm", nil)
			switch kind {
			case "totp":
				s.WithApp(u)
			case "passkey":
				s.WithPasskey(u)
			}
			people = append(people, p)
		}

		var table strings.Builder
		w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "\nway\t%s\n", strings.Join(kinds, "\t"))
		for _, way := range ways {
			fmt.Fprint(w, way.name)
			for n, p := range people {
				got := way.try(p)
				fmt.Fprint(w, "\t", got)
				if got != way.want[n] {
					t.Errorf("%s, of an account with %s: %s; want %s", way.name, kinds[n], got, way.want[n])
				}
			}
			fmt.Fprintln(w)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		t.Log(table.String())
	})
}
