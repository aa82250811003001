package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/password"
)

func TestLogin(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		ctx := t.Context()
		for _, c := range []userstore.Client{
			{ID: "third", Name: "third party", AuthMethod: userstore.AuthNone, GrantTypes: []string{"refresh_token"}},
			{ID: "secretive", Name: "confidential", FirstParty: true, GrantTypes: []string{"refresh_token"}},
			{ID: "terse", Name: "no refresh", AuthMethod: userstore.AuthNone, FirstParty: true},
		} {
			c.CreatedAt = s.Clock.Now()
			if err := s.DB.CreateClient(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.DB.SetActive(ctx, bob.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}

		t.Run("without scope: profile email, no ID token", func(t *testing.T) {
			s := s.With(t)
			tokens := s.Login(alice)
			if tokens.Scope != "profile email" || tokens.Type != "Bearer" || tokens.ExpiresIn != 600 || tokens.Refresh == "" ||
				tokens.ID != "" {
				t.Errorf("%+v", tokens)
			}
			if h := apitest.Header(tokens.Access); h["typ"] != "at+jwt" || h["alg"] != "RS256" {
				t.Errorf("header %v", h)
			}
			if c := apitest.Claims(tokens.Access); c["iss"] != apitest.IssuerURL || c["sub"] != alice.ID ||
				c["client_id"] != "signet" || c["aud"] != apitest.IssuerURL {
				t.Errorf("claims %v", c)
			}
		})
		t.Run("with openid: an ID token", func(t *testing.T) {
			tokens := s.With(t).Login(alice, apitest.Fields{"scope": "openid email"})
			if c := apitest.Claims(tokens.ID); c["aud"] != "signet" || c["sub"] != alice.ID || tokens.Scope != "openid email" {
				t.Errorf("claims %v scope %q", c, tokens.Scope)
			}
		})
		t.Run("one resource as text, several as a list", func(t *testing.T) {
			s := s.With(t)
			for _, resource := range []any{apitest.IssuerURL + "/none", []string{"https://none.test"}} {
				s.Do(apitest.Request{Method: "POST", Path: "/v1/login", Body: apitest.Fields{"email": alice.Email,
					"password": alice.Password, "resource": resource}}).Want(400, "invalid_target")
			}
		})
		t.Run("a client without refresh_token gets none", func(t *testing.T) {
			if tokens := s.With(t).Login(alice, apitest.Fields{"client_id": "terse"}); tokens.Refresh != "" {
				t.Error("got a refresh token")
			}
		})

		right := func(more ...any) apitest.Fields {
			f := apitest.Fields{"email": alice.Email, "password": alice.Password}
			for i := 0; i < len(more); i += 2 {
				f = f.With(more[i].(string), more[i+1])
			}
			return f
		}
		run(t, s, apitest.Request{Method: "POST", Path: "/v1/login"}, []refusal{
			{"a wrong password", right("password", "not the password"), 401, "invalid_credentials", ""},
			{"an unknown address", right("email", "nobody@example.test"), 401, "invalid_credentials", ""},
			{"an impossible address", right("email", "no\x01body"), 401, "invalid_credentials", ""},
			{"an unknown username", right("email", nil, "username", "nobody"), 401, "invalid_credentials", ""},
			{"a disabled account, wrong password", apitest.Fields{"email": bob.Email, "password": "not the password"}, 401,
				"invalid_credentials", ""},
			{"a disabled account, right password", apitest.Fields{"email": bob.Email, "password": bob.Password}, 403,
				"account_disabled", ""},
			{"neither email nor username", right("email", nil), 400, "validation_error", "email:required"},
			{"both email and username", right("username", "alice"), 400, "validation_error", "username:not_allowed"},
			{"no password", right("password", nil), 400, "validation_error", "password:required"},
			{"an unknown client", right("client_id", "nobody"), 400, "invalid_client", ""},
			{"a third party's client", right("client_id", "third"), 400, "unauthorized_client", ""},
			{"a confidential client", right("client_id", "secretive"), 400, "unauthorized_client", ""},
			{"scope admin without the role", right("scope", "admin"), 400, "invalid_scope", ""},
			{"a scope with a quote", right("scope", `a"b`), 400, "invalid_scope", ""},
			{"a resource nobody registered", right("resource", "https://evil.test"), 400, "invalid_target", ""},
			{"a number for a resource", right("resource", 7), 400, "validation_error", "resource:wrong_type"},
			{"a member that is not known", right("remember", true), 400, "validation_error", "remember:unknown_field"},
			{"a member in other case", right("Password", "x"), 400, "validation_error", "Password:wrong_case"},
		})
		t.Run("wrong password and unknown account are the same answer", func(t *testing.T) {
			s := s.With(t)
			a := s.Do(apitest.Request{Method: "POST", Path: "/v1/login", Body: right("password", "not the password")})
			b := s.Do(apitest.Request{Method: "POST", Path: "/v1/login", Body: right("email", "nobody@example.test")})
			for _, name := range []string{"X-Request-Id", "Date"} {
				a.Header.Del(name)
				b.Header.Del(name)
			}
			if string(a.Body) != string(b.Body) || len(a.Header) != len(b.Header) {
				t.Errorf("%s\n%s", a.Body, b.Body)
			}
			if got := a.Header.Get("WWW-Authenticate"); got != `Bearer realm="`+apitest.IssuerURL+`"` {
				t.Errorf("challenge %q", got)
			}
		})
	})
}

func TestLoginAsAdministrator(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	root := s.SignUp("root")
	if _, err := s.Replicas[0].Accounts.Edit(t.Context(), root.ID,
		func(u *userstore.User) error { u.Roles = []string{"admin"}; return nil }); err != nil {
		t.Fatal(err)
	}
	if tokens := s.Login(root, apitest.Fields{"scope": "admin profile"}); !strings.Contains(tokens.Scope, "admin") {
		t.Errorf("scope %q", tokens.Scope)
	}
}

func TestLoginByUsernameForAResource(t *testing.T) {
	const uri = "https://api.test"
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		client := userstore.Client{ID: "app", Name: "app", AuthMethod: userstore.AuthNone, FirstParty: true,
			GrantTypes: []string{"refresh_token"}, Resources: []string{uri}, CreatedAt: s.Clock.Now()}
		if err := s.DB.CreateClient(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		s.Do(apitest.Request{Method: "POST", Path: "/v1/signup", Body: apitest.Fields{"email": "u@example.test",
			"username": "Ursula", "password": s.Secret(apitest.GoodPassword)}}).Want(201, "")
		var tokens apitest.Tokens
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login", Body: apitest.Fields{"username": "ursula",
			"password": apitest.GoodPassword, "client_id": "app", "resource": []string{uri}}}).Want(200, "").JSON(&tokens)
		if aud := apitest.Claims(tokens.Access)["aud"]; aud != uri {
			t.Errorf("aud %v", aud)
		}
		// U-24: what was minted for a resource server does not open the account.
		s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(401, "token_invalid")
	}, func(o *apitest.Options) { o.Resources = []issuer.Resource{{URI: uri}} })
}

func TestLoginWhenItIsOff(t *testing.T) {
	s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) { r.API.JSONLogin = false }})
	alice := s.SignUp("alice")
	s.Unchanged(func() {
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": alice.Email, "password": alice.Password}}).Want(403, "login_closed")
	})
}

func TestLoginWhenTheHashQueueIsFull(t *testing.T) {
	s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) {
		r.Accounts.Hasher = password.New(password.Params{MemoryKiB: 16 << 10, Time: 3, Threads: 1}, 1, 1, time.Minute)
	}})
	alice := s.SignUp("alice")
	results := make(chan *apitest.Response)
	const inFlight = 16
	for range inFlight {
		go func() {
			results <- s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
				Body: apitest.Fields{"email": alice.Email, "password": alice.Password}})
		}()
	}
	var served, refused int
	for range inFlight {
		switch res := <-results; {
		case res.Status == 200:
			served++
		case res.Status == 503 && res.Code() == "overloaded" && res.Header.Get("Retry-After") == "1":
			refused++
		default:
			t.Errorf("%d %s", res.Status, res.Body)
		}
	}
	if served == 0 || refused == 0 {
		t.Errorf("%d served, %d refused; want both", served, refused)
	}
}
