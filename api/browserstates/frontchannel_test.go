package browserstates_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// app registers a first-party client at a host of its own; edit may be nil.
func app(s *apitest.Server, id string, edit func(*userstore.ClientMetadata)) apitest.Client {
	m := userstore.ClientMetadata{
		RedirectURIs:           []string{"https://" + id + ".test/cb"},
		PostLogoutRedirectURIs: []string{"https://" + id + ".test/bye?x=1"},
	}
	if edit != nil {
		edit(&m)
	}
	return s.Register(userstore.Client{ID: id, Name: "App " + id, FirstParty: true, ClientMetadata: m})
}

func told(m *userstore.ClientMetadata) {
	m.FrontchannelLogoutURI = strings.Replace(m.RedirectURIs[0], "/cb", "/out?a=b%20c", 1)
}

func toldWhich(m *userstore.ClientMetadata) {
	told(m)
	m.FrontchannelLogoutSessionRequired = true
}

// elements returns the attributes of all elements with a name.
func elements(t *testing.T, p *apitest.Page, name string) (all []map[string]string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(string(p.Body)))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			e := map[string]string{}
			for _, a := range n.Attr {
				e[a.Key] = a.Val
			}
			all = append(all, e)
		}
	}
	return all
}

// frames returns what the hidden frames of a page load.
func frames(t *testing.T, p *apitest.Page) (all []string) {
	t.Helper()
	for _, e := range elements(t, p, "iframe") {
		all = append(all, e["src"])
	}
	return all
}

func policy(p *apitest.Page, directive string) string {
	for part := range strings.SplitSeq(p.Header.Get("Content-Security-Policy"), "; ") {
		if value, found := strings.CutPrefix(part, directive+" "); found {
			return value
		}
	}
	return ""
}

func logoutPath(pairs ...string) string {
	q := url.Values{}
	set(pairs...)(q)
	return "/oauth2/logout?" + q.Encode()
}

// Each app that the user logged in to from this browser is told by a frame of its own; the sid is
// that of the app's latest login.
func TestALogoutLoadsAFrameForEachApp(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		silent, plain, which := app(s, "silent", nil), app(s, "plain", told), app(s, "which", toldWhich)
		elsewhere, gone := app(s, "elsewhere", toldWhich), app(s, "gone", toldWhich)
		disabled := app(s, "disabled", toldWhich)

		for _, row := range []struct {
			name string
			end  func(b *apitest.Browser, hint string) *apitest.Page
			to   string // where the page leads by itself
		}{
			{"our own page", func(b *apitest.Browser, _ string) *apitest.Page {
				return b.Open("/logout").Submit("logout-confirm", nil)
			}, ""},
			{"the account", func(b *apitest.Browser, _ string) *apitest.Page {
				p := b.Open("/account/sessions")
				return b.Open(p.Link("/logout")).Submit("logout-confirm", nil)
			}, ""},
			{"an app, at once", func(b *apitest.Browser, hint string) *apitest.Page {
				return b.Open(logoutPath("id_token_hint", hint, "state", "a b",
					"post_logout_redirect_uri", "https://silent.test/bye?x=1"))
			}, "https://silent.test/bye?x=1&state=a+b"},
			{"an app, to an address that is not registered", func(b *apitest.Browser, hint string) *apitest.Page {
				return b.Open(logoutPath("id_token_hint", hint, "post_logout_redirect_uri", "https://evil.test"))
			}, ""},
			{"an app without a proof, after the user was asked", func(b *apitest.Browser, _ string) *apitest.Page {
				return b.Open(logoutPath("client_id", "silent")).Submit("logout-confirm", nil)
			}, ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				b := s.SignedIn(alice)
				hint := s.TokensOf(silent, b.Open(authorizePath(silent))).ID
				s.TokensOf(which, b.Open(authorizePath(which))) // an earlier login of the same app
				s.Advance(time.Second)
				s.TokensOf(plain, b.Open(authorizePath(plain)))
				s.Advance(time.Second)
				sid, _ := apitest.Claims(s.TokensOf(which, b.Open(authorizePath(which))).ID)["sid"].(string)
				s.TokensOf(disabled, b.Open(authorizePath(disabled)))
				wantCode(t, b.Open(authorizePath(gone))) // a code that nobody redeems is no login
				other := s.SignedIn(alice)
				s.TokensOf(elsewhere, other.Open(authorizePath(elsewhere)))
				active(s, disabled, false)

				p := row.end(b, hint).WantPage(http.StatusOK, "")
				want := []string{
					"https://which.test/out?a=b%20c&iss=" + url.QueryEscape(apitest.IssuerURL) + "&sid=" + url.QueryEscape(sid),
					"https://plain.test/out?a=b%20c",
				}
				if got := frames(t, p); !slices.Equal(got, want) || sid == "" {
					t.Errorf("the frames load %q, want %q", got, want)
				}
				if got := policy(p, "frame-src"); got != "https://which.test https://plain.test" {
					t.Errorf("the policy lets it frame %q", got)
				}
				if p.Header.Get("X-Frame-Options") != "DENY" || policy(p, "frame-ancestors") != "'none'" ||
					policy(p, "script-src") == "" && row.to != "" || policy(p, "script-src") != "" && row.to == "" {
					t.Errorf("headers %v", p.Header)
				}
				refresh := ""
				for _, e := range elements(t, p, "meta") {
					if e["http-equiv"] == "refresh" {
						refresh = e["content"]
					}
				}
				link := p.Link("https://silent.test/")
				if row.to == "" && (refresh != "" || link != "") ||
					row.to != "" && (refresh != "0; url="+row.to || link != row.to || !strings.Contains(p.Text(), "App silent")) {
					t.Errorf("it leads to %q, and by a link to %q: %s", refresh, link, p.Text())
				}
				if !strings.Contains(p.Text(), "You are signed out") {
					t.Errorf("the page says %q", p.Text())
				}
				b.Open("/account").WantPage(http.StatusOK, "login-submit")

				// What is loaded once more tells nobody once more, and leads on at once.
				if row.to != "" {
					if again := b.Open(p.Path); again.To != row.to {
						t.Errorf("loaded once more: %q", again.To)
					}
				} else if again := b.Open("/logout"); len(frames(t, again)) > 0 {
					t.Errorf("loaded once more: %q", frames(t, again))
				}
				other.Open("/account").WantPage(http.StatusOK, "") // the other browser is as it was
				active(s, disabled, true)
			})
		}
	})
}

// Where there is nothing to tell, nothing changes: the browser is led on without a page.
func TestALogoutWithoutFramesRedirects(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	c := app(s, "silent", nil)
	b := s.SignedIn(s.SignUp("alice"))
	hint := s.TokensOf(c, b.Open(authorizePath(c))).ID
	p := b.Open(logoutPath("id_token_hint", hint, "post_logout_redirect_uri", "https://silent.test/bye?x=1"))
	if p.To != "https://silent.test/bye?x=1" {
		t.Errorf("led to %q, %d", p.To, p.Status)
	}
}

// The language can be changed on the page, which then has no frames any more.
func TestTheLanguageOfAPageWithFrames(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	c := app(s, "plain", told)
	b := s.SignedIn(s.SignUp("alice"))
	s.TokensOf(c, b.Open(authorizePath(c)))
	p := b.Open("/logout").Submit("logout-confirm", nil)
	if len(frames(t, p)) != 1 {
		t.Fatalf("frames %q", frames(t, p))
	}
	p = p.Submit("language-submit", map[string]string{"language": "de"}).WantPage(http.StatusOK, "")
	if len(frames(t, p)) != 0 || !strings.Contains(p.Text(), "Sie sind abgemeldet") {
		t.Errorf("%q: %s", frames(t, p), p.Text())
	}
}

func TestTheFramesOfALogoutAreBounded(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := s.SignedIn(s.SignUp("alice"))
		var last string
		for n := range 23 {
			c := app(s, fmt.Sprintf("app%d", n), told)
			s.TokensOf(c, b.Open(authorizePath(c)))
			s.Advance(time.Second)
			last = c.ID
		}
		got := frames(t, b.Open("/logout").Submit("logout-confirm", nil))
		if len(got) != 20 || got[0] != "https://"+last+".test/out?a=b%20c" || got[19] != "https://app3.test/out?a=b%20c" {
			t.Errorf("%d frames: %q", len(got), got)
		}
	})
}

func active(s *apitest.Server, c apitest.Client, yes bool) {
	s.T.Helper()
	if err := s.DB.SetClientActive(s.T.Context(), c.ID, yes, s.Clock.Now()); err != nil {
		s.T.Fatal(err)
	}
}
