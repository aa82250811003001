package accountpages_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// proofForms are the forms of the account that take a recent proof, with what would make each succeed.
func proofForms(alice apitest.User, next string) map[string]struct {
	button string
	fields map[string]string
} {
	return map[string]struct {
		button string
		fields map[string]string
	}{
		"/account/address":       {"address-submit", map[string]string{"email": "new@example.test", "username": "newname"}},
		"/account/password":      {"password-submit", map[string]string{"new_password": next, "current_password": alice.Password}},
		"/account/data":          {"data-submit", nil},
		"/account/delete":        {"delete-submit", nil},
		"/account/authenticator": {"totp-begin", nil},
		"/account/passkeys":      {"passkey-begin", nil},
		"/account/codes":         {"codes-make", nil},
	}
}

// P-05, P-06: of an account with a second factor neither the password nor a session is a proof, and a
// trusted browser is none either.
func TestP05P06TheSecondFactorIsTheProofAtEveryForm(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		b := s.SignedIn(alice)
		forms := proofForms(alice, s.Secret("the next planted password"))
		before := map[string]string{} // tokens of forms that were shown before there was a second factor
		for path := range forms {
			before[path] = b.Open(path).Value("csrf")
		}
		app, _ := s.WithApp(alice)
		before["/account/codes"] = b.Open("/account/codes").Value("csrf")
		to := func(path string) string {
			return "/login/second?next=" + url.QueryEscape(strings.TrimPrefix(path, "/"))
		}
		refused := func(b *apitest.Browser, tokens map[string]string, what string) {
			t.Helper()
			s.Unchanged(func() {
				sameFactors(s, alice, func() {
					for path, f := range forms {
						form := url.Values{"csrf": {tokens[path]}, "current_password": {alice.Password}, "step": {"begin"}}
						for name, value := range f.fields {
							form.Set(name, value)
						}
						res := b.Send(apitest.Request{Method: "POST", Path: path, Form: form})
						if res.Status != 303 || res.Header.Get("Location") != to(path) {
							t.Errorf("%s: POST %s: %d %q %s", what, path, res.Status, res.Header.Get("Location"), res.Text())
						}
					}
				})
			})
			for _, path := range []string{"/account/address", "/account/password", "/account/data", "/account/delete"} {
				if res := b.Send(apitest.Request{Path: path}); res.Status != 303 || res.Header.Get("Location") != to(path) {
					t.Errorf("%s: GET %s: %d %q", what, path, res.Status, res.Header.Get("Location"))
				}
			}
		}
		refused(b, before, "before there was a second factor")

		// A login with a second factor is a proof, for ten minutes.
		in := s.Browser()
		proveSecond(in.SignIn("/account", alice), app).WantPage(200, "to-security")
		for path, f := range forms {
			if path == "/account/passkeys" {
				f.button = "passkey-create" // nothing is left to prove
			}
			if p := in.Open(path).WantPage(200, f.button); p.Has("current_password") != (path == "/account/password") {
				t.Errorf("%s asks for the password: %t", path, p.Has("current_password"))
			}
		}
		tokens := map[string]string{}
		for path := range forms {
			tokens[path] = in.Open(path).Value("csrf")
		}
		s.Clock.Move(10 * time.Minute)
		refused(in, tokens, "after ten minutes")

		// The other's proof does not count here.
		refused(b, before, "beside a session with a proof")

		// A trusted browser is none.
		trusted := s.Browser()
		p := trusted.SignIn("/account", alice)
		p.Submit("second-submit", map[string]string{"code": app.Code(), "trust": "yes"}).WantPage(200, "to-security")
		trusted.Open("/logout").Submit("logout-confirm", nil)
		trusted.SignIn("/account", alice).WantPage(200, "to-security") // without a second step
		for path := range forms {
			if path == "/account/authenticator" || path == "/account/passkeys" || path == "/account/codes" {
				tokens[path] = trusted.Open(path).Value("csrf")
				continue
			}
			tokens[path] = "x" // the page is not shown
		}
		for _, path := range []string{"/account/authenticator", "/account/passkeys", "/account/codes"} {
			form := url.Values{"csrf": {tokens[path]}, "step": {"begin"}, "current_password": {alice.Password}}
			if res := trusted.Send(apitest.Request{Method: "POST", Path: path, Form: form}); res.Header.Get("Location") != to(path) {
				t.Errorf("trusted: %s: %d %s", path, res.Status, res.Text())
			}
		}
		if res := trusted.Send(apitest.Request{Path: "/account/delete"}); res.Header.Get("Location") != to("/account/delete") {
			t.Errorf("trusted: %d", res.Status)
		}
	}, apitest.WithoutMail, apitest.Configured(trusting))
}

// With the proof each form works; a new password takes the old one as well.
func TestFormsOfAnAccountWithASecondFactor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, b, app := withApp(s, "alice")
		proveSecond(b.Open("/account/address"), app).WantPage(200, "address-submit").
			Submit("address-submit", map[string]string{"email": "new@example.test", "username": "newname"}).WantPage(200, "done")
		alice.Email = "new@example.test"
		next := s.Secret("the next planted password")
		s.Unchanged(func() {
			p := b.Open("/account/password").WantPage(200, "current_password")
			p.Submit("password-submit", map[string]string{"new_password": next}).WantPage(403, "current_password-problem")
			p.Submit("password-submit", map[string]string{"new_password": next, "current_password": wrongPassword}).
				WantPage(403, "current_password-problem")
		})
		b.Open("/account/password").Submit("password-submit",
			map[string]string{"new_password": next, "current_password": alice.Password}).WantPage(200, "done")
		alice.Password = next
		if p := b.Open("/account/data").Submit("data-submit", nil); p.Status != 200 ||
			!strings.HasPrefix(p.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%d %s", p.Status, p.Header)
		}
		b.Open("/account/delete").Submit("delete-submit", nil).WantPage(200, "account-deleted")
	}, apitest.WithoutMail)
}

func TestAnotherAuthenticatorApp(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, b, old := withApp(s, "alice")
		other := s.Browser()
		proveSecond(other.SignIn("/account", alice), old).WantPage(200, "to-security")
		p := proveSecond(b.Open("/account/authenticator").WantPage(200, "totp-remove").Submit("totp-begin", nil), old)
		p = p.Submit("totp-begin", nil).WantPage(200, "totp-confirm")
		if p.Value("proof") != "" {
			t.Error("a proof for an account that proved its second factor")
		}
		app := scan(s, p)
		sameFactors(s, alice, func() { // the one before works until then
			if id := factorsOf(s, alice).App.ID; factorsOf(s, alice).Waiting.ID == id {
				t.Error("the new app counts already")
			}
			p.Submit("totp-confirm", map[string]string{"code": old.Code()}).WantPage(403, "code-problem")
		})
		s.Browser().SignIn("/account", alice).WantPage(200, "second-submit").
			Submit("second-submit", map[string]string{"code": old.Code()}).WantPage(200, "to-security")
		p = p.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(200, "sessions-end-others")
		if p.Path != "/account/authenticator?done=app" || len(codesOn(p)) > 0 {
			t.Errorf("%s: %s", p.Path, p.Text())
		}
		if have := factorsOf(s, alice); have.RecoveryCodes != 10 || have.Version != 2 {
			t.Errorf("%+v", have)
		}
		s.Browser().SignIn("/account", alice).WantPage(200, "second-submit").
			Submit("second-submit", map[string]string{"code": old.Code()}).WantPage(403, "second-code-problem")
		s.Browser().SignIn("/account", alice).WantPage(200, "second-submit").
			Submit("second-submit", map[string]string{"code": app.Code()}).WantPage(200, "to-security")
		other.Open("/account").WantPage(200, "to-security")
		p.Submit("sessions-end-others", nil).WantPage(200, "done")
		other.Open("/account").WantPage(200, "login-submit")
	})
}

func TestRecoveryCodesAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		nobody := s.SignedIn(s.SignUp("nobody"))
		if p := nobody.Open("/account/codes").WantPage(200, ""); p.Has("codes-make") {
			t.Error("codes without a second factor")
		}
		alice, b, app := withApp(s, "alice")
		_, bobs, bobsApp := withApp(s, "bob")
		p := proveSecond(b.Open("/account/codes").WantPage(200, "codes-make").Submit("codes-make", nil), app)
		old := p.Submit("codes-make", nil).WantPage(200, "recovery-codes")
		p = b.Open("/account/codes").Submit("codes-make", nil).WantPage(200, "recovery-codes")
		before, codes := codesOn(old), codesOn(p)
		if len(codes) != 10 || slices.Contains(codes, before[0]) || !p.Has("sessions-end-others") {
			t.Fatalf("%d codes: %s", len(codes), p.Text())
		}
		// The file is for this session alone, and for a while.
		sealed := p.Value("codes")
		download := func(b *apitest.Browser, sealed string) *apitest.Page {
			csrf := b.Open("/account/codes").Value("csrf")
			return b.Send(apitest.Request{Method: "POST", Path: "/account/codes",
				Form: url.Values{"csrf": {csrf}, "step": {"download"}, "codes": {sealed}}})
		}
		proveSecond(bobs.Open("/account/codes").Submit("codes-make", nil), bobsApp)
		for what, res := range map[string]*apitest.Page{
			"another user": download(bobs, sealed), "nothing": download(b, ""), "changed": download(b, sealed[1:]),
			"long": download(b, strings.Repeat("x", 50_000)), "a plain code": download(b, codes[0]),
		} {
			if res.Status != 400 || strings.Contains(string(res.Body), codes[1]) {
				t.Errorf("%s: %d %s", what, res.Status, res.Body)
			}
		}
		if res := download(b, sealed); res.Status != 200 || !strings.Contains(string(res.Body), codes[9]) {
			t.Errorf("%d %s", res.Status, res.Body)
		}
		s.Clock.Move(time.Hour)
		if res := download(b, sealed); res.Status != 400 {
			t.Errorf("an hour later: %d", res.Status)
		}
		// The ones before are void, and of the new ones few are left at last.
		for n, code := range codes[:8] {
			p := s.Browser().SignIn("/account", alice)
			p = p.Open(p.Link("/login/second?by=recovery_code"))
			p.Submit("second-submit", map[string]string{"recovery_code": before[n]}).WantPage(403, "second-recovery-code-problem")
			p.Submit("second-submit", map[string]string{"recovery_code": code}).WantPage(200, "")
			few := b.Open("/account/security").Has("codes-few")
			if left := 9 - n; few != (left <= 3) {
				t.Errorf("%d codes are left, and the page warns: %t", left, few)
			}
			s.Advance(time.Hour) // wrong ones are counted
		}
	})
}

func TestTrustedBrowsersAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		bob := s.SignUp("bob")
		bobsApp, _ := s.WithApp(bob)
		trust := func(u apitest.User, app *apitest.App, agent string) *apitest.Browser {
			b := s.Browser()
			b.Agent = agent
			b.SignIn("/account", u).Submit("second-submit", map[string]string{"code": app.Code(), "trust": "yes"}).
				WantPage(200, "to-security")
			return b
		}
		b := trust(alice, app, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
		other := trust(alice, app, "Mozilla/5.0 <script>alert(1)</script> (Windows NT 10.0) Firefox/140.0")
		bobs := trust(bob, bobsApp, "")
		list := func(u apitest.User) []userstore.TrustedBrowser {
			list, err := s.DB.ListTrustedBrowsers(t.Context(), u.ID, s.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		ids := list(alice)
		p := b.Open("/account/trusted").WantPage(200, "trust-end-all")
		if len(ids) != 2 || !p.Has("trust-end-"+ids[0].ID) || !p.Has("trust-end-"+ids[1].ID) ||
			strings.Count(p.Text(), "This browser") != 1 || strings.Contains(string(p.Body), "<script>alert") {
			t.Fatalf("%d: %s", len(ids), p.Text())
		}
		for _, id := range []string{list(bob)[0].ID, "x", "' OR 1=1--", "%00"} { // other people's are like those that never were
			q := p.Form("trust-end-all", nil)
			q.Form.Set("browser", id)
			if res := b.Send(q); res.Status != 303 {
				t.Errorf("%q: %d", id, res.Status)
			}
		}
		q := p.Form("trust-end-all", nil)
		q.Form.Set("browser", "")
		if res := b.Send(q); res.Status != 400 {
			t.Errorf("no browser: %d", res.Status)
		}
		if len(list(alice)) != 2 || len(list(bob)) != 1 {
			t.Fatal("a trust ended")
		}
		// The newest is the other one.
		res := b.Send(p.Form("trust-end-"+ids[0].ID, nil))
		if events := s.EventsOf(res.Response); len(events) != 1 || events[0].Name != audit.BrowserTrustEnded || events[0].Actor.ID != alice.ID {
			t.Errorf("%+v", events)
		}
		for _, browser := range []*apitest.Browser{b, other} {
			browser.Open("/logout").Submit("logout-confirm", nil)
		}
		b.SignIn("/account", alice).WantPage(200, "to-security")
		other.SignIn("/account", alice).WantPage(200, "second-submit")
		p = b.Open("/account/trusted").Submit("trust-end-all", nil).WantPage(200, "done")
		p.Submit("language-submit", map[string]string{"language": "en"})
		b.Open("/logout").Submit("logout-confirm", nil)
		b.SignIn("/account", alice).WantPage(200, "second-submit")
		if bobs.Open("/account/trusted").WantPage(200, "trust-end-all"); len(list(bob)) != 1 {
			t.Error("bob's trust ended")
		}
	}, apitest.Configured(trusting))
}

// Under a policy the session of an account without a second factor opens nothing but the setup.
func TestPolicyAtThePagesOfTheAccount(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, _ := s.Admin("alice")
		bob := s.SignUp("bob")
		b, bobs := s.SignedIn(alice), s.SignedIn(bob)
		tokens := map[string]string{}
		for path := range accountPages {
			tokens[path] = b.Open(path).Value("csrf")
		}
		for _, r := range s.Replicas {
			r.Accounts.SecondFactor = userstore.SecondFactorAdmins
		}
		s.Unchanged(func() {
			for path := range accountPages {
				setup := func(k web.AccountKind) bool { return "/"+k.Path() == path }
				if slices.ContainsFunc(web.FactorKinds, setup) {
					continue
				}
				for _, method := range []string{"GET", "POST"} {
					q := apitest.Request{Method: method, Path: path}
					if method == http.MethodPost {
						q.Form = url.Values{"csrf": {tokens[path]}, "current_password": {alice.Password}, "name": {"x"}}
						if path == "/account" || path == "/account/activity" {
							continue
						}
					}
					if res := b.Send(q); res.Status != 303 || res.Header.Get("Location") != "/account/security" {
						t.Errorf("%s %s: %d %q", method, path, res.Status, res.Header.Get("Location"))
					}
				}
			}
		})
		bobs.Open("/account").WantPage(200, "to-security")
		p := b.Open("/account").WantPage(200, "factor-needed")
		if p.Path != "/account/security" {
			t.Error(p.Path)
		}
		setUpApp(s, alice, b)
		b.Open("/account").WantPage(200, "to-profile")
	}, apitest.WithoutMail)
}
