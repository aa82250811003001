package issuer_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// A trusted browser skips the second factor with acr 1; a step-up in it keeps the session, gives it a
// new cookie and the strength that was proved; and trust that is turned off is of no use.
func TestTrustAndStepUp(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.withApp(w.owner())
		first := w.clock.Now()
		_, _, trusted, err := w.StartSecondSession(t.Context(), w.waiting(o, first), w.proof(o), true, issuer.PageLogin{})
		w.must(err)
		if trusted == "" {
			t.Fatal("the browser is not trusted")
		}
		w.wait(24 * time.Hour)
		ctx := userstore.WithTrust(t.Context(), trusted)
		login := issuer.PageLogin{Name: o.Email, Password: password}
		b, secret, err := w.StartBrowserSession(ctx, login)
		w.must(err)
		typed := b.Session.AuthTime
		if b.Session.ACR != "1" || !slices.Equal(b.Session.AMR, []string{"pwd"}) || !typed.Equal(w.clock.Now()) {
			t.Errorf("a login in a trusted browser: %+v", b.Session)
		}
		if _, err := w.Login(ctx, issuer.LoginRequest{Email: o.Email,
			Password: wrongPassword}); errorOf(err).Code != issuer.InvalidCredentials {
			t.Errorf("a wrong password in a trusted browser: %v", err)
		}
		w.TrustedBrowser = 0
		_, _, err = w.StartBrowserSession(ctx, login)
		w.refused(err, issuer.SecondFactorRequired)
		_, _, none, err := w.StartSecondSession(t.Context(), w.waiting(o, w.clock.Now()), w.proof(o), true,
			issuer.PageLogin{})
		w.must(err)
		if none != "" {
			t.Error("a browser is trusted although trust is off")
		}
		w.TrustedBrowser = 720 * time.Hour

		w.wait(10 * time.Minute)
		up, changed, none, err := w.StartSecondSession(t.Context(), w.waiting(o, typed), w.proof(o), false,
			issuer.PageLogin{Replaces: secret})
		w.must(err)
		s := up.Session
		if s.ID != b.Session.ID || changed == secret || none != "" || s.ACR != "2" || !s.AuthTime.Equal(typed) ||
			!slices.Equal(s.AMR, []string{"pwd", "otp", "mfa"}) {
			t.Errorf("after the step-up: %+v", s)
		}
		if b, err := w.BrowserOf(t.Context(), secret); b != nil || err != nil {
			t.Errorf("the cookie of before is of use: %+v %v", b, err)
		}
		// A wrong proof returns no cookie of trust.
		_, _, none, err = w.StartSecondSession(t.Context(), w.waiting(o, typed), w.proof(o), true, issuer.PageLogin{})
		w.refused(err, issuer.FactorRefused)
		if none != "" {
			t.Error("a wrong proof returns a cookie of trust")
		}
	})
}

// What a request asks of the strength and the age of a login (OIDC Core sections 3.1.2.1 and 5.5.1.1,
// RFC 9470), for browsers that are as strong and as old as the table says.
func TestStrengthThatARequestAsksFor(t *testing.T) {
	const (
		code     = "code"
		logIn    = "log in"
		again    = "log in again"
		stepUp   = "step up"
		required = "login_required"
		unmet    = "unmet_authentication_requirements"
	)
	essential := func(values string) string { return `{"id_token":{"acr":{"essential":true,` + values + `}}}` }
	eachSecond(t, func(t *testing.T, w *world) {
		weak, app := w.owner(), w.withApp(w.owner())
		admin := w.withApp(w.owner(userstore.RoleAdmin))
		trusted := func(o *owner) *issuer.Browser { // a session of the password alone
			b, _, err := w.StartProvedSession(t.Context(), userstore.User{ID: o.ID, PasswordHash: o.PasswordHash,
				FactorVersion: o.FactorVersion}, w.clock.Now(), issuer.PageLogin{})
			if err != nil { // the store lets nobody in who has a second factor
				_, _, cookie, err := w.StartSecondSession(t.Context(), w.waiting(o, w.clock.Now()), w.proof(o), true,
					issuer.PageLogin{})
				w.must(err)
				b, _, err = w.StartBrowserSession(userstore.WithTrust(t.Context(), cookie), issuer.PageLogin{Name: o.Email,
					Password: password})
				w.must(err)
			}
			w.wait(time.Minute)
			return &b
		}
		strong := func(o *owner) *issuer.Browser {
			b, _ := w.browser(o, "")
			w.wait(time.Minute)
			return &b
		}
		one, two, skipped := strong(weak), strong(app), trusted(app)
		adminOne, adminTwo := trusted(admin), strong(admin)
		if skipped.Session.ACR != "1" || two.Session.ACR != "2" || adminOne.Session.ACR != "1" ||
			adminTwo.Session.ACR != "2" {
			t.Fatalf("the browsers are %q %q %q %q", skipped.Session.ACR, two.Session.ACR, adminOne.Session.ACR,
				adminTwo.Session.ACR)
		}
		w.wait(20 * time.Minute)
		type request = issuer.AuthorizationRequest
		for _, c := range []struct {
			what    string
			policy  userstore.SecondFactorPolicy
			b       *issuer.Browser
			request request
			want    string
			none    string // under prompt=none
		}{
			{"nothing, one factor", "", one, request{}, code, code},
			{"nothing, a trusted browser", "", skipped, request{}, code, code},
			{"nothing, nobody", "", nil, request{}, logIn, required},
			{"acr_values=1, one factor", "", one, request{ACRValues: "1"}, code, code},
			{"acr_values=2, one factor of a user who has no other", "", one, request{ACRValues: "2"}, code, code},
			{"acr_values=2, a trusted browser", "", skipped, request{ACRValues: "2"}, stepUp, required},
			{"acr_values=2, two factors", "", two, request{ACRValues: "2"}, code, code},
			{"acr_values of others, a trusted browser", "", skipped, request{ACRValues: "gold urn:mace:silver 3"}, code, code},
			{"acr_values of others and 2, a trusted browser", "", skipped, request{ACRValues: "gold 2 1"}, stepUp, required},
			{"acr_values=1 2, a trusted browser", "", skipped, request{ACRValues: "1 2"}, code, code},
			{"essential acr 2, one factor of a user who has no other", "", one, request{Claims: essential(`"value":"2"`)},
				unmet, unmet},
			{"essential acr 2, a trusted browser", "", skipped, request{Claims: essential(`"values":["3","2"]`)}, stepUp,
				required},
			{"essential acr 2, two factors", "", two, request{Claims: essential(`"value":"2"`)}, code, code},
			{"essential acr 2, nobody", "", nil, request{Claims: essential(`"value":"2"`)}, logIn, required},
			{"essential acr 1 or 2, one factor", "", one, request{Claims: essential(`"values":["2","1"]`)}, code, code},
			{"essential acr 1, acr_values=2, one factor of a user who has no other", "", one,
				request{Claims: essential(`"value":"1"`), ACRValues: "2"}, code, code},
			{"essential acr 1, acr_values=2, a trusted browser", "", skipped,
				request{Claims: essential(`"value":"1"`), ACRValues: "2"}, stepUp, required},
			{"essential acr 1, two factors, which include it", "", two, request{Claims: essential(`"value":"1"`)}, code, code},
			{"essential acr without a value, one factor", "", one, request{Claims: essential(`"x":1`)}, code, code},
			{"essential acr 2 or 1, a trusted browser: the first is preferred", "", skipped,
				request{Claims: essential(`"values":["2","1"]`)}, stepUp, required},
			{"essential acr 1 or 2, a trusted browser", "", skipped, request{Claims: essential(`"values":["1","2"]`)}, code,
				code},
			{"essential acr 2 of two, a trusted browser", "", skipped,
				request{Claims: essential(`"value":"2","values":["1","2"]`)}, stepUp, required},
			{"voluntary acr 2, one factor", "", one, request{Claims: `{"id_token":{"acr":{"value":"2"}}}`}, code, code},
			{"voluntary acr 2, a trusted browser", "", skipped, request{Claims: `{"id_token":{"acr":{"value":"2"}}}`}, stepUp,
				required},
			{"voluntary acr of others and 2, a trusted browser", "", skipped,
				request{Claims: `{"id_token":{"acr":{"essential":false,"values":["gold",7,"2","1"]}}}`}, stepUp, required},
			{"voluntary acr 1 or 2, a trusted browser", "", skipped,
				request{Claims: `{"id_token":{"acr":{"values":["1","2"]}}}`}, code, code},
			{"voluntary acr 2, two factors", "", two, request{Claims: `{"id_token":{"acr":{"value":"2"}}}`}, code, code},
			{"voluntary acr 1, acr_values=2, a trusted browser", "", skipped,
				request{Claims: `{"id_token":{"acr":{"value":"1"}}}`, ACRValues: "2"}, stepUp, required},
			{"max_age that is over, two factors", "", two, request{MaxAge: "600"}, again, required},
			{"max_age that is not, two factors", "", two, request{MaxAge: "7200", ACRValues: "2"}, code, code},
			{"max_age that is not, acr_values=2, a trusted browser", "", skipped, request{MaxAge: "7200", ACRValues: "2"},
				stepUp, required},
			{"max_age that is over, acr_values=2, a trusted browser", "", skipped, request{MaxAge: "600", ACRValues: "2"},
				again, required},
			{"prompt=login, two factors", "", two, request{Prompt: "login"}, again, ""},
			{"the policy wants a factor, one factor", userstore.SecondFactorRequired, one, request{}, again, required},
			{"the policy wants a factor of admins only, one factor", userstore.SecondFactorAdmins, one, request{}, code, code},
			{"the policy wants a factor, a trusted browser", userstore.SecondFactorRequired, skipped, request{}, code, code},
			{"scope admin, a trusted browser", userstore.SecondFactorAdmins, adminOne, request{Scope: "openid admin"}, stepUp,
				required},
			{"scope admin, a trusted browser, no policy", "", adminOne, request{Scope: "openid admin"}, code, code},
			{"scope admin, two factors", userstore.SecondFactorAdmins, adminTwo, request{Scope: "openid admin"}, code, code},
		} {
			w.Accounts.SecondFactor = c.policy
			for _, prompt := range []string{c.request.Prompt, "none"} {
				want := c.want
				if prompt == "none" {
					if want = c.none; want == "" {
						continue
					}
				}
				r := c.request
				r.ClientID, r.RedirectURI, r.ResponseType, r.Prompt = "web", "https://web.test/cb", "code", prompt
				r.CodeChallenge, r.CodeChallengeMethod = base64.RawURLEncoding.EncodeToString(make([]byte, 32)), "S256"
				if r.Scope == "" {
					r.Scope = "openid"
				}
				p, refused, err := w.Authorize(t.Context(), r)
				if err != nil || refused != nil {
					t.Fatalf("%s: %v %+v", c.what, err, refused)
				}
				d, err := w.Consider(t.Context(), p, c.b)
				w.must(err)
				if got := stepOf(d); got != want {
					t.Errorf("%s, prompt %q: %s, want %s", c.what, prompt, got, want)
				}
			}
		}
		w.Accounts.SecondFactor = userstore.SecondFactorOptional
	})
}

// stepOf names a decision.
func stepOf(d issuer.Decision) string {
	switch {
	case d.Step == issuer.IssueCode:
		return "code"
	case d.Step == issuer.LogIn && d.StepUp && !d.Reauthenticate:
		return "step up"
	case d.Step == issuer.LogIn && d.Reauthenticate && !d.StepUp:
		return "log in again"
	case d.Step == issuer.LogIn && !d.StepUp:
		return "log in"
	case d.Step == issuer.Respond:
		for _, p := range d.Response.Parameters {
			if p[0] == "error" {
				return p[1]
			}
		}
	}
	return fmt.Sprintf("%+v", d)
}

// prompt=login and max_age ask for all factors again: a password alone does not answer them, neither
// beside a second factor that was proved before nor in a trusted browser.
func TestAllFactorsAgain(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.withApp(w.owner())
		_, secret, cookie, err := w.StartSecondSession(t.Context(), w.waiting(o, w.clock.Now()), w.proof(o), true,
			issuer.PageLogin{})
		w.must(err)
		w.wait(time.Hour)
		request := func(prompt, maxAge string) issuer.Pending {
			p, refused, err := w.Authorize(t.Context(), issuer.AuthorizationRequest{ClientID: "web",
				RedirectURI:  "https://web.test/cb",
				ResponseType: "code", Scope: "openid", Prompt: prompt, MaxAge: maxAge, CodeChallengeMethod: "S256",
				CodeChallenge: base64.RawURLEncoding.EncodeToString(make([]byte, 32))})
			if err != nil || refused != nil {
				t.Fatal(err, refused)
			}
			return p
		}
		requests := map[string]issuer.Pending{"prompt=login": request("login", ""), "max_age=0": request("", "0")}
		aged := map[string]issuer.Pending{"max_age=600": request("", "600")}
		relaxed := map[string]issuer.Pending{"prompt=select_account": request("select_account", ""),
			"max_age=7200": request("", "7200")}
		decide := func(when string, b issuer.Browser, all map[string]issuer.Pending, want string) {
			t.Helper()
			for what, p := range all {
				p.Proved = b.Session.ID
				d, err := w.Consider(t.Context(), p, &b)
				w.must(err)
				if got := stepOf(d); got != want {
					t.Errorf("%s, %s: %s, want %s", what, when, got, want)
				}
			}
		}
		w.wait(time.Second)
		ctx := userstore.WithTrust(t.Context(), cookie)
		login := issuer.PageLogin{Name: o.Email, Password: password}
		fresh, _, err := w.StartBrowserSession(ctx, login)
		w.must(err)
		decide("the password in a trusted browser", fresh, requests, "log in again")
		decide("the password in a trusted browser", fresh, relaxed, "code")
		decide("the password in a trusted browser, which is all that acr 1 rests on", fresh, aged, "code")
		login.Replaces = secret
		merged, secret, err := w.StartBrowserSession(ctx, login)
		w.must(err)
		if merged.Session.ACR != "2" {
			t.Fatalf("the session has acr %q", merged.Session.ACR)
		}
		decide("the password beside an old code", merged, requests, "log in again")
		decide("the password beside an old code", merged, aged, "log in again")
		decide("the password beside an old code", merged, relaxed, "code")
		all, _ := w.browser(o, secret)
		decide("all factors", all, requests, "code")
		decide("all factors", all, aged, "code")
		decide("all factors", all, relaxed, "code")
	})
}
