package secondpages_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// cutSessions is a store that starts no session, or cannot read the one that it started, or ends it at
// once.
type cutSessions struct {
	userstore.Store
	start, read error
	started     bool
}

func (s *cutSessions) StartSession(ctx context.Context, n userstore.StartSession, events ...audit.Event) error {
	if s.start != nil {
		return s.start
	}
	s.started = true
	return s.Store.StartSession(ctx, n, events...)
}

func (s *cutSessions) BrowserSession(
	ctx context.Context, hash userstore.SessionHash, now, idleSince time.Time,
) (userstore.BrowserSession, userstore.User, error) {
	if s.started && s.read != nil {
		return userstore.BrowserSession{}, userstore.User{}, s.read
	}
	return s.Store.BrowserSession(ctx, hash, now, idleSince)
}

// F-16: where the login fails right after its second factor was set up, the page shows the recovery
// codes all the same, and leads to the login.
func TestF16ASetupAtThePagesWhoseLoginFails(t *testing.T) {
	down := fmt.Errorf("%w: cut off", userstore.ErrUnavailable)
	for name, c := range map[string]struct {
		cut    cutSessions
		status int
		text   string
	}{
		"the session":       {cutSessions{start: down}, 503, "at the moment"},
		"a conflict":        {cutSessions{start: userstore.ErrConflict}, 503, "at the moment"},
		"a handle used":     {cutSessions{start: userstore.ErrHandleSpent}, 403, "Sign in again"},
		"the read after it": {cutSessions{read: down}, 503, "at the moment"},
		"ended at once":     {cutSessions{read: userstore.ErrNotFound}, 403, "Sign in again"},
	} {
		t.Run(name, func(t *testing.T) {
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				web := s.WebClient()
				accounts, browsers := s.Replicas[0].Accounts, s.Replicas[0].Issuer
				for way, path := range map[string]string{"totp": apitest.AuthorizePath(web), "passkey": "/account/sessions"} {
					accounts.SecondFactor = userstore.SecondFactorOptional
					u, b, p := toSetUp(s, way, path)
					p = chooseSetup(s, p, "setup-"+way)
					var form apitest.Request
					var app *apitest.App
					if way == "totp" {
						app = scan(s, p)
						form = p.Form("totp-confirm", map[string]string{"code": app.Code()})
					} else {
						made := makePasskey(s, b, p, "/login/setup/options", s.NewPasskey())
						form = p.Form("passkey-create", made.Fields("phone"))
					}
					whole, cut := accounts.Store, c.cut
					cut.Store = whole
					accounts.Store, browsers.Browsers = &cut, &cut
					shown := b.Send(form)
					accounts.Store, browsers.Browsers = whole, whole
					codes := codesOn(shown)
					if shown.Status != c.status || len(codes) != 10 || !strings.Contains(shown.Text(), c.text) ||
						shown.Has("codes-download") || !shown.Has("setup-continue") {
						t.Fatalf("%s: %d %s", way, shown.Status, shown.Text())
					}
					if (c.status == http.StatusServiceUnavailable) != (shown.Header.Get("Retry-After") != "") {
						t.Errorf("%s: Retry-After %q", way, shown.Header.Get("Retry-After"))
					}
					// The form once more shows no codes.
					if again := b.Send(form); len(codesOn(again)) != 0 {
						t.Errorf("%s once more: %s", way, again.Text())
					}
					next := func() *apitest.Page {
						if way == "totp" {
							return shown.Submit("setup-continue", nil)
						}
						return shown.Open(shown.Link("/account/sessions"))
					}
					goal := map[string]string{"totp": "consent-approve", "passkey": "to-account"}[way]
					in := next()
					if c.cut.start != nil { // no session began: the way on is the login
						in = in.WantPage(200, "login-submit").Submit("login-submit", u.Credentials())
						if link := in.Link("/login/second?by=recovery"); link != "" {
							in = in.Open(link)
						}
						in = in.Submit("second-submit", map[string]string{"recovery_code": codes[0]})
					}
					in.WantPage(200, goal)
				}
			}, apitest.WithoutMail)
		})
	}
}
