package flows_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/outbox"
)

// misleading are headers by which proxies, and attackers, say what a request was sent to.
var misleading = http.Header{
	"X-Forwarded-Host": {"evil.test"}, "X-Forwarded-Server": {"evil.test"}, "X-Forwarded-Proto": {"http"},
	"X-Forwarded-Port": {"666"}, "X-Forwarded-Prefix": {"/evil"}, "X-Forwarded-For": {"203.0.113.9"},
	"Forwarded": {
		"for=203.0.113.9;host=evil.test;proto=http",
	}, "X-Host": {"evil.test"}, "X-Original-Host": {"evil.test"},
	"X-Http-Host-Override": {"evil.test"}, "X-Original-Url": {"/evil"}, "X-Rewrite-Url": {"/evil"},
	"Referer": {"https://evil.test/"}, "X-Real-Ip": {"203.0.113.9"},
}

var anyURL = regexp.MustCompile(`https?://[^\s"'<>]+`)

// P-12: whatever causes a message, and whatever Host and forwarding headers say, also those of a
// proxy that is believed: its links lead to the issuer.
func TestP12LinksOfMessagesLeadToTheIssuer(t *testing.T) {
	for _, issuer := range []string{"https://id.test", "https://id.test/p"} {
		apitest.Each(t, func(t *testing.T, s *apitest.Server) {
			prefix := strings.TrimPrefix(issuer, "https://id.test")
			_, admin := s.Admin("root")
			s.Letters()
			// do sends a request with every misleading header. The pages are asked for under the
			// issuer's host, or they would be another origin.
			do := func(q apitest.Request) *apitest.Response {
				h := misleading.Clone()
				for name, values := range q.Header {
					h[name] = values
				}
				q.Header, q.Path = h, prefix+q.Path
				return s.Do(q)
			}
			json := func(path, token string, body apitest.Fields) *apitest.Response {
				return do(apitest.Request{Method: "POST", Path: path, Host: "evil.test", Token: token, Body: body})
			}
			page := func(b *apitest.Browser, path, button string, fields map[string]string) *apitest.Page {
				get := b.Follow(apitest.Request{Path: prefix + path, Header: misleading.Clone()})
				q := get.Form(button, fields)
				q.Header = misleading.Clone()
				q.Header.Del("Referer")
				return b.Follow(q)
			}
			password := s.Secret("a planted password of ada")
			var who int
			fresh := func() string { who++; return fmt.Sprintf("user%d@example.test", who) }
			known := func() string {
				email := fresh()
				s.Do(apitest.Request{Method: "POST", Path: prefix + "/v1/signup",
					Body: apitest.Fields{"email": email, "password": password}}).
					Want(201, "")
				s.Letters()
				s.Advance(2 * time.Minute)
				return email
			}
			for name, c := range map[string]struct {
				act  func(t *testing.T)
				link string // the path that it leads to; empty: none
			}{
				"forgot": {func(*testing.T) {
					json("/v1/password/forgot", "", apitest.Fields{"email": known()}).Want(202, "")
				}, "/reset/"},
				"verification": {func(*testing.T) {
					json("/v1/email/verification", "", apitest.Fields{"email": known()}).Want(202, "")
				}, "/verify/"},
				"sign-up": {func(*testing.T) {
					json("/v1/signup", "", apitest.Fields{"email": fresh(), "password": password}).Want(201, "")
				}, "/verify/"},
				"invitation": {func(*testing.T) {
					json("/v1/admin/users", admin.Access, apitest.Fields{"email": fresh(), "invite": true}).Want(201, "")
				}, "/invite/"},
				"forgot at a page": {func(*testing.T) {
					page(s.Browser(), "/forgot", "ask-submit", map[string]string{"email": known()}).WantPage(200, "reset-submit")
				}, "/reset/"},
				"verify at a page": {func(*testing.T) {
					page(s.Browser(), "/verify", "ask-submit", map[string]string{"email": known()}).WantPage(200, "verify-submit")
				}, "/verify/"},
				"sign-up at a page": {func(*testing.T) {
					page(s.Browser(), "/signup", "signup-submit", map[string]string{"email": fresh(), "password": password})
				}, "/verify/"},
				"a new browser": {func(*testing.T) {
					page(s.Browser(), "/login", "login-submit", map[string]string{"email": known(), "password": password})
				}, ""},
				"a password by admins": {func(*testing.T) {
					var u struct{ Sub string }
					do(apitest.Request{Method: "POST", Path: "/v1/admin/users", Token: admin.Access,
						Body: apitest.Fields{"email": fresh(), "password": password}}).Want(201, "").JSON(&u)
					json("/v1/admin/users/"+u.Sub+"/password", admin.Access,
						apitest.Fields{"new_password": password + "!"}).Want(204, "")
				}, ""},
			} {
				t.Run(name+" "+issuer, func(t *testing.T) {
					c.act(t)
					letters := s.Letters()
					if len(letters) != 1 {
						t.Fatalf("P-12 %d letters", len(letters))
					}
					leadsToTheIssuer(t, letters[0], issuer, c.link)
				})
				s.Letters()
			}
		}, apitest.Verifying, func(o *apitest.Options) { o.IssuerURL = issuer }, apitest.Configured(func(r *apitest.Replica) {
			r.API.TrustedProxies = []string{"127.0.0.0/8", "::1"}
			r.Accounts.NotifyNewDevice = true
		}))
	}
}

func leadsToTheIssuer(t *testing.T, l mail.Letter, issuer, path string) {
	t.Helper()
	if strings.Contains(l.Text+l.HTML+l.ID.String()+l.Subject.String(), "evil") ||
		strings.Contains(l.Text+l.HTML, "203.0.113") {
		t.Errorf("P-12 a header reached the letter:\n%s", l.Text)
	}
	for part, text := range map[string]string{"text": l.Text, "HTML": l.HTML} {
		links := 0
		for _, found := range anyURL.FindAllString(text, -1) {
			switch found = strings.TrimRight(found, ".,"); {
			case found == issuer: // of the footer
			case path != "" && strings.HasPrefix(found, issuer+path):
				links++
			default:
				t.Errorf("P-12 %s: a link to %s", part, found)
			}
		}
		if (links > 0) != (path != "") {
			t.Errorf("P-12 %s: %d links to %s:\n%s", part, links, path, text)
		}
	}
}

// U-28: no Referer carries a token. The links of all kinds of messages answer with a redirect that
// has no-referrer, and no address or page that follows holds the token, also where the link is
// refused. No log holds it: apitest looks.
func TestU28NoRefererCarriesAToken(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		s.Mails()
		s.Advance(2 * time.Minute)
		post := func(path, token string, body apitest.Fields) {
			s.Do(apitest.Request{Method: "POST", Path: path, Token: token, Body: body})
		}
		const password = "the next planted password"
		for name, c := range map[string]struct {
			ask    func()
			kind   outbox.Kind
			button string
			fields map[string]string
		}{
			"reset": {func() { post("/v1/password/forgot", "", apitest.Fields{"email": alice.Email}) }, outbox.ResetPassword,
				"reset-submit", map[string]string{"new_password": s.Secret(password)}},
			"verify": {func() { post("/v1/email/verification", "", apitest.Fields{"email": bob.Email}) }, outbox.VerifyEmail,
				"verify-submit", nil},
			"invite": {func() {
				post("/v1/admin/users", admin.Access, apitest.Fields{"email": "ada@example.test", "invite": true})
			}, outbox.Invite,
				"reset-submit", map[string]string{"new_password": password}},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				c.ask()
				m := s.MailOf(c.kind)
				check := func(what string, p *apitest.Page, referrer string) {
					t.Helper()
					// The MAC is the secret; the id alone opens nothing.
					_, secret, _ := strings.Cut(m.Token(), ".")
					if strings.Contains(string(p.Body), secret) || strings.Contains(fmt.Sprint(p.Header), secret) {
						t.Errorf("U-28 %s holds the token", what)
					}
					if got := p.Header.Get("Referrer-Policy"); got != referrer {
						t.Errorf("U-28 %s: Referrer-Policy %q, not %q", what, got, referrer)
					}
				}
				b := s.Browser()
				for _, method := range []string{"GET", "HEAD"} {
					p := b.Send(apitest.Request{Method: method, Path: m.Link})
					check(method, p, "no-referrer")
					if p.Status != 303 || !strings.HasPrefix(p.Header.Get("Location"), "/") {
						t.Errorf("U-28 %s: %d to %s", method, p.Status, p.Header.Get("Location"))
					}
				}
				page := b.Open(m.Link).WantPage(200, c.button)
				check("the page", page, "same-origin")
				if strings.Contains(page.Path, m.Token()) {
					t.Error("U-28 the address of the page holds the token")
				}
				check("a forged token", b.Send(apitest.Request{Path: apitest.FlipLastBit(m.Link)}), "no-referrer")
				check("a link without an end", b.Send(apitest.Request{Path: m.Link + "/more"}), "no-referrer")
				check("after the button", page.Submit(c.button, c.fields), "same-origin")
				check("again", page.Submit(c.button, c.fields), "same-origin")
				check("the link again", b.Send(apitest.Request{Path: m.Link}), "no-referrer")
			})
		}
	})
}
