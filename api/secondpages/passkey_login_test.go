package secondpages_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

func TestAPasskeyAloneLogsIn(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u := s.SignUp("alice")
		key, _ := s.WithPasskey(u)
		s.Clock.Move(time.Minute)
		b := s.Browser()
		p := b.Open(authorizePath(c)).WantPage(200, "login-passkey")
		for _, want := range []string{`autocomplete="username webauthn"`, "data-autofill", "passkeys."} {
			if !strings.Contains(string(p.Body), want) {
				t.Errorf("the page has no %q", want)
			}
		}
		at := s.Clock.Now()
		p = usePasskey(t, b, p, "login-passkey", key, nil)
		wantStrength(t, s.TokensOf(c, p), "2", at, "pop", "user", "mfa")
		for _, cookie := range b.Set {
			if strings.Contains(cookie.Name, "-session-") && cookie.MaxAge != 0 {
				t.Errorf("%v", cookie)
			}
		}
		if names := eventNames(s, p); !strings.Contains(names, string(audit.LoginSucceeded)) {
			t.Errorf("events %s", names)
		}
		wantCode(t, b.Open(authorizePath(c, set("prompt", "none", "acr_values", "2"))))

		// It satisfies what demands a fresh login, and the choice to stay signed in counts.
		s.Advance(time.Hour)
		for _, edit := range [][]string{{"prompt", "login"}, {"max_age", "60"}} {
			p = b.Open(authorizePath(c, set(edit...))).WantPage(200, "login-passkey")
			at = s.Clock.Now()
			p = usePasskey(t, b, p, "login-passkey", key, map[string]string{"stay": "yes"})
			wantStrength(t, s.TokensOf(c, p), "2", at, "pop", "user", "mfa")
			s.Advance(time.Hour)
		}
		stays := false
		for _, cookie := range b.Set {
			stays = stays || strings.Contains(cookie.Name, "-session-") && cookie.MaxAge > 0
		}
		if !stays {
			t.Error("the session ends with the browser")
		}
		// Without an app it leads to the account, and to the page that was asked for.
		b = s.Browser()
		usePasskey(t, b, b.Open("/account/password"), "login-passkey", key, nil).WantPage(200, "password-submit")
	})
}

func eventNames(s *apitest.Server, p *apitest.Page) string {
	var names []string
	for _, e := range s.EventsOf(p.Response) {
		names = append(names, string(e.Name))
	}
	return strings.Join(names, " ")
}

func TestP09PasskeysAreRefusedAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u, other, off := s.SignUp("alice"), s.SignUp("bob"), s.SignUp("off")
		key, _ := s.WithPasskey(u)
		otherKey, _ := s.WithPasskey(other)
		offKey, _ := s.WithPasskey(off)
		if err := s.DB.SetActive(t.Context(), off.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		const refused = "This passkey was not accepted"

		t.Run("at the login page", func(t *testing.T) {
			s := s.With(t)
			changed := func(change func(k *apitest.Passkey)) *apitest.Passkey {
				k := *key
				change(&k)
				return &k
			}
			for name, c := range map[string]struct {
				key  *apitest.Passkey
				says string
			}{
				"of no account":     {s.NewPasskey(), refused},
				"of another origin": {changed(func(k *apitest.Passkey) { k.Party.Origin = "https://evil.test" }), refused},
				"of another RP id":  {changed(func(k *apitest.Passkey) { k.Party.ID = "evil.test" }), refused},
				"with another user's handle": {changed(func(k *apitest.Passkey) {
					k.Authenticator.Options.UserHandle = otherKey.Authenticator.Options.UserHandle
				}), refused},
				"without a verified user": {changed(func(k *apitest.Passkey) {
					k.Authenticator.Options.UserNotVerified = true
				}), refused},
				"of a disabled user": {offKey, "switched off"},
			} {
				b := s.Browser()
				p := b.Open("/login").WantPage(200, "login-passkey")
				fields := passkeyAnswer(t, b, p, "login-passkey", c.key, nil)
				var got *apitest.Page
				s.Unchanged(func() { got = p.Submit("login-passkey", fields) })
				if got.Status != 403 || hasSession(b) || !got.Has("problems") || !strings.Contains(got.Text(), c.says) {
					t.Errorf("%s: %d %s", name, got.Status, got.Text())
				}
			}
		})
		t.Run("an answer twice, later, or of another browser", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := b.Open("/login")
			fields := passkeyAnswer(t, b, p, "login-passkey", key, nil)
			thief := s.Browser()
			q := thief.Open("/login").Form("login-passkey", fields)
			if got := thief.Send(q); got.Status != 400 || hasSession(thief) || !strings.Contains(got.Text(), "another browser") {
				t.Errorf("in another browser: %d %s", got.Status, got.Text())
			}
			form := p.Form("login-passkey", fields)
			if got := b.Follow(form); got.Status != 200 || !hasSession(b) {
				t.Fatalf("%d %s", got.Status, got.Text())
			}
			again := s.Browser()
			maps.Copy(again.Cookies, b.Cookies)
			for name := range again.Cookies {
				if strings.Contains(name, "-session-") {
					delete(again.Cookies, name)
				}
			}
			if got := again.Send(form); got.Status/100 != 4 || hasSession(again) {
				t.Errorf("twice: %d %s", got.Status, got.Text())
			}
			late := s.Browser()
			p = late.Open("/login")
			fields = passkeyAnswer(t, late, p, "login-passkey", key, nil)
			s.Clock.Move(5 * time.Minute)
			got := p.Submit("login-passkey", fields)
			if got.Status != 403 || hasSession(late) || !strings.Contains(got.Text(), "took too long") ||
				!got.Has("login-passkey") {
				t.Errorf("late: %d %s", got.Status, got.Text())
			}
			// The page that follows works, and so does one that was open for an hour.
			s.Advance(50 * time.Minute)
			usePasskey(t, late, got, "login-passkey", key, nil).WantPage(200, "to-profile")
		})
		t.Run("the answer to another form", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			login := b.Open("/login")
			second := first(b, "/login", u).WantPage(200, "second-passkey")
			atLogin := passkeyAnswer(t, b, login, "login-passkey", key, nil)
			if got := second.Submit("second-passkey", atLogin); got.Status != 403 || hasSession(b) {
				t.Errorf("of the login page at the second step: %d %s", got.Status, got.Text())
			}
			second = first(b, "/login", u).WantPage(200, "second-passkey")
			got := login.Submit("login-passkey", passkeyAnswer(t, b, second, "second-passkey", key, nil))
			if got.Status != 403 || hasSession(b) {
				t.Errorf("of the second step at the login page: %d %s", got.Status, got.Text())
			}
			two := first(b, "/login", u).WantPage(200, "second-passkey")
			if got := two.Submit("second-passkey", passkeyAnswer(t, b, second, "second-passkey", key, nil)); got.Status != 403 ||
				hasSession(b) {
				t.Errorf("of another login: %d %s", got.Status, got.Text())
			}
		})
		t.Run("another user's passkey at the second step", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := first(b, "/login", u).WantPage(200, "second-passkey")
			fresh := passkeyOptions(t, b, p, "second-passkey")
			if !key.Allowed(fresh.Options) || otherKey.Allowed(fresh.Options) {
				t.Errorf("the options allow the wrong passkeys: %s", fresh.Options)
			}
			got := usePasskey(t, b, p, "second-passkey", otherKey, nil)
			if got.Status != 403 || hasSession(b) || !strings.Contains(got.Text(), refused) || !got.Has("second-passkey") {
				t.Errorf("%d %s", got.Status, got.Text())
			}
			for name, response := range map[string]string{
				"none": "", "not JSON": "{", "a list": "[]", "null": "null", "empty": "{}",
				"large": `{"id":"` + strings.Repeat("A", 40000) + `"}`,
			} {
				got := p.Submit("second-passkey", map[string]string{"passkey": fresh.Handle, "response": response})
				if got.Status != 403 || hasSession(b) {
					t.Errorf("%s: %d %s", name, got.Status, got.Text())
				}
			}
			usePasskey(t, b, p, "second-passkey", key, nil).WantPage(200, "to-profile")
		})
	})
}

// A passkey proves no address.
func TestAPasskeyOfAnAddressThatIsNotProved(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		key, _ := s.WithPasskey(u)
		if _, err := s.Replicas[0].Accounts.EditByOperator(t.Context(), u.ID, func(u *userstore.User) error {
			u.EmailVerified = false
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		s.Replicas[0].Accounts.Verification = userstore.VerificationRequired
		b := s.Browser()
		got := usePasskey(t, b, b.Open("/login"), "login-passkey", key, nil)
		if got.Status != 403 || hasSession(b) || !strings.Contains(got.Text(), "Confirm your email address first") {
			t.Errorf("%d %s", got.Status, got.Text())
		}
	})
}

func policy(p userstore.SecondFactorPolicy) func(*apitest.Options) {
	return apitest.Configured(func(r *apitest.Replica) { r.Accounts.SecondFactor = p })
}

func TestPasskeysAreOfferedWhereTheyArePossible(t *testing.T) {
	for name, c := range map[string]struct {
		option func(*apitest.Options)
		want   bool
	}{
		"by default":                {func(*apitest.Options) {}, true},
		"an IP address":             {apitest.WithoutPasskeys, false},
		"second factors are off":    {policy(userstore.SecondFactorOff), false},
		"second factors are needed": {policy(userstore.SecondFactorRequired), true},
	} {
		o := apitest.Options{}
		c.option(&o)
		s := apitest.New(t, o)
		if got := s.Browser().Open("/login").Has("login-passkey"); got != c.want {
			t.Errorf("%s: offered %t", name, got)
		}
	}
}

// A login of a user who has to have a second factor leads to its setup, and no session exists before.
func TestP05TheSetupComesBeforeTheSession(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		old := s.SignUp("old")
		before := s.SignedIn(old)
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		s.Replicas[0].Accounts.SecondFactor = userstore.SecondFactorRequired
		setup := func(name string, b *apitest.Browser, q apitest.Request) {
			t.Helper()
			got := b.Send(q)
			if to := got.Header.Get("Location"); got.Status != 303 || !strings.HasPrefix(to, "/login/setup?") ||
				!strings.Contains(to, "login=") || hasSession(b) {
				t.Errorf("%s: %d %q %s", name, got.Status, to, got.Text())
			}
		}
		b := s.Browser()
		setup("a login", b, b.Open(authorizePath(c)).Form("login-submit", old.Credentials()))
		b = s.Browser()
		fields := map[string]string{"email": "new@example.test", "password": s.Secret(apitest.GoodPassword)}
		form := b.Open("/signup").Form("signup-submit", fields)
		setup("a sign-up", b, form)
		setup("a sign-up that was sent twice", b, form)
		// A session from before is not enough.
		apitest.WantError(t, before.Open(authorizePath(c, set("prompt", "none"))), "login_required")
		before.Open(authorizePath(c)).WantPage(200, "login-submit")
	})
}

// The options are those of WebAuthn.
func TestPasskeyOptionsOfThePages(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	u := s.SignUp("alice")
	s.WithPasskey(u)
	b := s.Browser()
	var alone, second struct {
		Challenge, RPID, UserVerification string
		Timeout                           int
		AllowCredentials                  []any
	}
	read := func(o options, v any) {
		t.Helper()
		if err := json.Unmarshal(o.Options, v); err != nil {
			t.Fatal(err)
		}
	}
	read(passkeyOptions(t, b, b.Open("/login"), "login-passkey"), &alone)
	read(passkeyOptions(t, b, first(b, "/login", u), "second-passkey"), &second)
	if alone.RPID != "id.test" || alone.UserVerification != "required" || alone.Timeout != 300000 ||
		len(alone.AllowCredentials) != 0 ||
		len(second.AllowCredentials) != 1 || alone.Challenge == second.Challenge || len(alone.Challenge) < 43 {
		t.Errorf("%+v %+v", alone, second)
	}
}
