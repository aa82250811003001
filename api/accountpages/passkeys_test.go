package accountpages_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

const accountOptions = "/account/passkeys/options"

// proveSecond takes the second step that a page of the account led to, and returns that page.
func proveSecond(p *apitest.Page, app *apitest.App) *apitest.Page {
	if link := p.Link("/login/second?by=totp"); link != "" {
		p = p.Open(link)
	}
	return p.WantPage(200, "second-submit").Submit("second-submit", map[string]string{"code": app.Code()})
}

// withApp is a user who is signed in and has an authenticator app, which was not proved in the session.
func withApp(s *apitest.Server, name string) (u apitest.User, b *apitest.Browser, app *apitest.App) {
	s.T.Helper()
	u = s.SignUp(name)
	b = s.SignedIn(u)
	app, _ = s.WithApp(u)
	return u, b, app
}

var removeButton = regexp.MustCompile(`id="(passkey-remove-[^"]+)"`)

// removals are the ids of the buttons that remove a passkey.
func removals(p *apitest.Page) (ids []string) {
	for _, m := range removeButton.FindAllSubmatch(p.Body, -1) {
		ids = append(ids, string(m[1]))
	}
	return ids
}

func TestFirstPasskeyAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.AddressProved(alice)
		b := s.SignedIn(alice)
		s.Mails()
		p := begin(s, alice, b.Open("/account/passkeys"), "passkey-begin").WantPage(200, "passkey-form")
		if p.Header.Get("Content-Security-Policy") == "" || !strings.Contains(string(p.Body), `class="hint passkey-missing"`) {
			t.Error("without the script the page does not say what is missing")
		}
		key := s.NewPasskey()
		answer := makePasskey(s, b, p, accountOptions, key)
		sameFactors(s, alice, func() {
			for what, fields := range map[string]map[string]string{
				"without the script":      {},
				"without the handle":      {"response": answer.Response},
				"another handle":          {"response": answer.Response, "passkey": answer.Handle + "x"},
				"no JSON":                 {"response": "{", "passkey": answer.Handle},
				"another response":        {"response": `{"id":"x"}`, "passkey": answer.Handle},
				"a handle that is long":   {"response": answer.Response, "passkey": strings.Repeat("x", 50_000)},
				"the proof as the handle": {"response": answer.Response, "passkey": p.Value("proof")},
			} {
				again := p.Submit("passkey-create", fields).WantPage(403, "passkey-form")
				if !again.Has("problems") {
					t.Errorf("%s: %s", what, again.Text())
				}
			}
			long := answer.Fields(strings.Repeat("x", 65))
			p.Submit("passkey-create", long).WantPage(400, "name-problem")
		})
		done := p.Submit("passkey-create", answer.Fields("My phone")).WantPage(200, "recovery-codes")
		if len(codesOn(done)) != 10 || !done.Has("sessions-end-others") {
			t.Errorf("%s", done.Text())
		}
		sameFactors(s, alice, func() { // sent twice
			p.Submit("passkey-create", answer.Fields("My phone")).WantPage(409, "problems")
		})
		have := factorsOf(s, alice)
		if len(have.Passkeys) != 1 || have.Passkeys[0].Name != "My phone" || have.RecoveryCodes != 10 {
			t.Errorf("%+v", have)
		}
		if text := b.Open("/account/passkeys").Text(); !strings.Contains(text, "My phone") || !strings.Contains(text, "Not used yet") {
			t.Error(text)
		}
	})
}

// S-01: a name is text, wherever it is shown.
func TestS01NamesOfPasskeysAreText(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, b, app := withApp(s, "alice")
		p := proveSecond(b.Open("/account/passkeys").WantPage(200, "passkey-begin").Submit("passkey-begin", nil), app)
		for _, name := range []string{
			`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onfocus='alert(1)`, `{{.CSRF}}`, `javascript:alert(1)`,
			`</details></li></ul>`, `a` + strings.Repeat("̵", 40), "ключ 🔑 مفتاح", "", "  spaces  ",
		} {
			key := s.NewPasskey()
			before := len(removals(b.Open("/account/passkeys")))
			done := p.Submit("passkey-create", makePasskey(s, b, p, accountOptions, key).Fields(name))
			if done.Status != 200 || !done.Has("done") || len(removals(done)) != before+1 {
				t.Errorf("%q: %d, %d passkeys: %s", name, done.Status, len(removals(done)), done.Text())
			}
			for _, bad := range []string{"<script>alert", "<img src=x", "onfocus='alert"} {
				if strings.Contains(string(done.Body), bad) {
					t.Errorf("%q is markup: %s", name, done.Body)
				}
			}
			p = b.Open("/account/passkeys").WantPage(200, "passkey-form")
		}
		for _, name := range []string{"a\x00b", "line\nbreak", "\u202egnp", strings.Repeat("x", 65), strings.Repeat("x", 5000)} {
			id := removals(p)[0]
			renamed := p.Submit(strings.Replace(id, "remove", "rename", 1), map[string]string{"name": name})
			if renamed.Status != 400 || !renamed.Has("problems") || !strings.Contains(renamed.Text(), "The name of the passkey") {
				t.Errorf("%.20q: %d %s", name, renamed.Status, renamed.Text())
			}
		}
	})
}

func TestPasskeysAreRenamedAndRemoved(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, b, app := withApp(s, "alice")
		bob := s.SignUp("bob")
		s.WithPasskey(alice)
		s.WithPasskey(alice)
		s.WithPasskey(bob)
		bobs := factorsOf(s, bob).Passkeys[0].ID
		p := b.Open("/account/passkeys").WantPage(200, "passkey-begin")
		ids := removals(p)
		if len(ids) != 2 {
			t.Fatalf("%v", ids)
		}
		rename := strings.Replace(ids[0], "remove", "rename", 1)
		sameFactors(s, alice, func() { // without a second factor in this session
			for _, button := range []string{ids[0], rename, "passkey-begin"} {
				res := b.Send(p.Form(button, map[string]string{"name": "stolen", "current_password": alice.Password}))
				if to := res.Header.Get("Location"); res.Status != 303 || to != "/login/second?next=account%2Fpasskeys" {
					t.Errorf("%s: %d %q", button, res.Status, to)
				}
			}
			if text := b.Open("/account/passkeys").Text(); strings.Contains(text, "stolen") {
				t.Error("renamed without a proof")
			}
		})
		p = proveSecond(p.Submit(rename, map[string]string{"name": "new"}), app)
		if p.Path != "/account/passkeys" || !p.Has("passkey-form") || strings.Contains(p.Text(), "new") {
			t.Errorf("%s: %s", p.Path, p.Text())
		}
		p = p.Submit(rename, map[string]string{"name": " new "}).WantPage(200, "done")
		if !strings.Contains(p.Text(), "new") || p.Has("sessions-end-others") {
			t.Error(p.Text())
		}
		sameFactors(s, bob, func() { // other people's are like passkeys that never were
			for _, id := range []string{bobs, "x", "%00", "' OR 1=1--"} {
				for _, button := range []string{ids[0], rename} {
					q := p.Form(button, map[string]string{"name": "stolen"})
					q.Form.Set("id", id)
					if res := b.Send(q); res.Status != 303 && res.Status != 404 || strings.Contains(res.Text(), "stolen") {
						t.Errorf("%s %q: %d", button, id, res.Status)
					}
				}
			}
			q := p.Form(ids[0], nil)
			q.Form.Set("id", "")
			if res := b.Send(q); res.Status != 400 {
				t.Errorf("no id: %d", res.Status)
			}
		})
		if name := factorsOf(s, bob).Passkeys[0].Name; name != "a key" {
			t.Errorf("bob's passkey is %q", name)
		}
		p = p.Submit(ids[0], nil).WantPage(200, "sessions-end-others")
		if left := removals(p); len(left) != 1 || left[0] == ids[0] {
			t.Errorf("%v", left)
		}
		p.Submit(ids[1], nil).WantPage(200, "done")
		if have := factorsOf(s, alice); len(have.Passkeys) != 0 || have.App == nil || have.RecoveryCodes != 10 {
			t.Errorf("%+v", have)
		}
	})
}

func TestMostPasskeys(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, b, app := withApp(s, "alice")
		for range userstore.MaxPasskeys {
			s.WithPasskey(alice)
		}
		p := proveSecond(b.Open("/account/passkeys").Submit("passkey-begin", nil), app)
		if n := len(removals(p)); n != userstore.MaxPasskeys {
			t.Fatalf("%d passkeys", n)
		}
		answer := makePasskey(s, b, p, accountOptions, s.NewPasskey())
		sameFactors(s, alice, func() {
			one := p.Submit("passkey-create", answer.Fields("one more")).WantPage(409, "problems")
			if !strings.Contains(one.Text(), "Remove one first.") || one.Value("name") != "one more" {
				t.Error(one.Text())
			}
		})
	})
}

// P-09: what a page asked a device for counts once, in the same session, within five minutes, and for
// the factors as they are.
func TestP09PasskeyOfAnotherSession(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, b, app := withApp(s, "alice")
		bob, bobs, bobsApp := withApp(s, "bob")
		p := proveSecond(b.Open("/account/passkeys").Submit("passkey-begin", nil), app)
		q := proveSecond(bobs.Open("/account/passkeys").Submit("passkey-begin", nil), bobsApp)
		answer := makePasskey(s, b, p, accountOptions, s.NewPasskey())
		elsewhere := s.NewPasskey()
		elsewhere.Party.Origin = "https://evil.test"
		other := s.NewPasskey()
		other.Party.ID = "evil.test"
		foreign, wrongRP := makePasskey(s, b, p, accountOptions, elsewhere), makePasskey(s, b, p, accountOptions, other)
		sameFactors(s, bob, func() {
			q.Submit("passkey-create", answer.Fields("")).WantPage(403, "problems")
		})
		sameFactors(s, alice, func() {
			p.Submit("passkey-create", foreign.Fields("")).WantPage(403, "problems")
			p.Submit("passkey-create", wrongRP.Fields("")).WantPage(403, "problems")
		})
		p.Submit("passkey-create", answer.Fields("")).WantPage(200, "done")
		late := makePasskey(s, b, p, accountOptions, s.NewPasskey())
		stale := makePasskey(s, b, p, accountOptions, s.NewPasskey())
		sameFactors(s, alice, func() {
			p.Submit("passkey-create", answer.Fields("")).WantPage(403, "problems") // a second time
		})
		s.WithPasskey(alice)
		var again *apitest.Page
		sameFactors(s, alice, func() { // the factors changed: the proof is over
			again = p.Submit("passkey-create", stale.Fields("")).WantPage(200, "second-passkey")
		})
		proveSecond(again, app).WantPage(200, "passkey-form")
		sameFactors(s, alice, func() { // and what the device made is for the factors of before
			p.Submit("passkey-create", stale.Fields("")).WantPage(403, "problems")
			s.Clock.Move(5 * time.Minute)
			p.Submit("passkey-create", late.Fields("")).WantPage(403, "problems")
		})
	})
}

// The options are for the page's script alone.
func TestPasskeyOptionsAreOfThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, b, app := withApp(s, "alice")
		p := b.Open("/account/passkeys")
		post := func(b *apitest.Browser, csrf string, h http.Header) *apitest.Page {
			return b.Send(apitest.Request{Method: "POST", Path: accountOptions, Form: url.Values{"csrf": {csrf}}, Header: h})
		}
		if res := post(b, p.Value("csrf"), nil); res.Status != 303 || res.Header.Get("Location") != "/login/second?next=account%2Fpasskeys" {
			t.Errorf("without a proof: %d", res.Status)
		}
		p = proveSecond(p.Submit("passkey-begin", nil), app)
		if res := post(b, p.Value("csrf"), nil); res.Status != 200 {
			t.Errorf("%d", res.Status)
		}
		for what, res := range map[string]*apitest.Page{
			"no token": post(b, "", nil), "another token": post(b, "x", nil),
			"another browser": post(s.Browser(), p.Value("csrf"), nil),
			"another site":    post(b, p.Value("csrf"), http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.test"}}),
		} {
			if res.Status != 403 && res.Status != 303 || strings.Contains(string(res.Body), "challenge") {
				t.Errorf("%s: %d %s", what, res.Status, res.Body)
			}
		}
		s.Clock.Move(10 * time.Minute)
		if res := post(b, p.Value("csrf"), nil); res.Status != 303 {
			t.Errorf("after ten minutes: %d", res.Status)
		}
		if have := factorsOf(s, alice); len(have.Passkeys) != 0 {
			t.Errorf("%+v", have)
		}
	})
}

func TestLastSecondFactor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.Admin("root") // so that there is another one
		ask := func(policy userstore.SecondFactorPolicy) {
			for _, r := range s.Replicas {
				r.Accounts.SecondFactor = policy
			}
		}
		for _, policy := range []userstore.SecondFactorPolicy{
			userstore.SecondFactorOptional, userstore.SecondFactorAdmins, userstore.SecondFactorRequired,
		} {
			for _, admin := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, admin %t", policy, admin), func(t *testing.T) {
					s := s.With(t)
					ask(userstore.SecondFactorOptional)
					alice, b, app := withApp(s, fmt.Sprintf("alice-%s-%t", policy, admin))
					if admin {
						s.Give(alice, "admin")
					}
					ask(policy)
					p := proveSecond(b.Open("/account/authenticator").Submit("totp-remove", nil), app).WantPage(200, "totp-remove")
					kept := policy == userstore.SecondFactorRequired || policy == userstore.SecondFactorAdmins && admin
					if !kept {
						p.Submit("totp-remove", nil).WantPage(200, "sessions-end-others")
						if have := factorsOf(s, alice); have.App != nil || have.RecoveryCodes != 0 {
							t.Errorf("%+v", have)
						}
						b.Open("/account/address").WantPage(200, "current_password")
						p.Submit("totp-remove", nil) // twice: it is gone
						return
					}
					sameFactors(s, alice, func() {
						refused := p.Submit("totp-remove", nil).WantPage(409, "problems")
						if !strings.Contains(refused.Text(), "this is the last one") {
							t.Error(refused.Text())
						}
					})
				})
			}
		}
	})
}
