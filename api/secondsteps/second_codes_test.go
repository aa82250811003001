package secondsteps_test

import (
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// P-07, P-08: a code of the app and a recovery code count once, and a used one is refused as a wrong one
// is.
func TestP07P08ACodeCountsOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		send := func(path, code string) *apitest.Response {
			return post(s, path, apitest.Fields{"login": s.FirstStep(alice), "code": code})
		}
		alike := func(a, b *apitest.Response) {
			t.Helper()
			if string(a.Body) != string(b.Body) || a.Status != 401 || a.Code() != "invalid_code" ||
				a.Header.Get("WWW-Authenticate") != b.Header.Get("WWW-Authenticate") {
				t.Errorf("%d %s\nand %d %s", a.Status, a.Body, b.Status, b.Body)
			}
			s.EventsOf(a)
		}
		// The code that confirmed the app is used already, and so are those of the steps before it.
		alike(send("/v1/login/totp", app.Shown(0)), send("/v1/login/totp", app.Wrong()))
		alike(send("/v1/login/totp", app.Shown(-1)), send("/v1/login/totp", app.Wrong()))
		code := app.Code()
		send("/v1/login/totp", code).Want(200, "")
		alike(send("/v1/login/totp", code), send("/v1/login/totp", app.Wrong()))
		// One step either way: the clock of the app may be wrong by as much, but not by two.
		s.Advance(5 * time.Minute)
		alike(send("/v1/login/totp", app.Shown(-2)), send("/v1/login/totp", app.Shown(2)))
		send("/v1/login/totp", app.Shown(-1)).Want(200, "")
		send("/v1/login/totp", app.Shown(1)).Want(200, "")
		alike(send("/v1/login/totp", app.Shown(0)), send("/v1/login/totp", app.Shown(1))) // before one that was used

		s.Advance(time.Minute)
		for _, code := range recovery {
			send("/v1/login/recovery-code", code).Want(200, "")
			alike(send("/v1/login/recovery-code", code), send("/v1/login/recovery-code", "00000-00000-00000"))
		}
		if first := firstStep(s, alice); !slices.Equal(first.Methods, []string{"totp"}) {
			t.Errorf("without recovery codes the methods are %q", first.Methods)
		}
		used := send("/v1/login/totp", app.Code()).Want(200, "")
		if events := s.EventsOf(used); len(events) != 1 || events[0].Name != audit.LoginSucceeded {
			t.Errorf("the audit log has %+v", events)
		}
	}, unlimited)
}

// After a hundred wrong codes in a row the app lets nobody in; a passkey or a recovery code does.
func TestWrongCodesInARow(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		key, _ := s.WithPasskey(alice)
		login := s.FirstStep(alice)
		for range userstore.MaxWrongCodes {
			post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Wrong()}).Want(401, "invalid_code")
		}
		s.Advance(time.Minute)
		s.Unchanged(func() {
			post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Code()}).Want(403, "codes_blocked")
		})
		options, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
		post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(options)}).Want(200, "")
		post(s, "/v1/login/recovery-code", apitest.Fields{"login": s.FirstStep(alice), "code": recovery[0]}).Want(200, "")
	}, unlimited)
}

// Guesses of codes have the budgets of passwords, and a passkey never waits.
func TestCodesAreLimited(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		key, _ := s.WithPasskey(alice)
		login := s.FirstStep(alice)
		refused := 0
		for range 30 {
			res := post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Wrong()})
			if res.Status == 429 {
				refused++
			} else {
				res.Want(401, "invalid_code")
			}
		}
		if refused != 20 {
			t.Errorf("of 30 guesses %d were refused unchecked", refused)
		}
		post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Shown(0)}).Want(429, "rate_limited")
		post(s, "/v1/login/recovery-code", apitest.Fields{"login": login, "code": recovery[0]}).Want(429, "rate_limited")
		options, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
		post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(options)}).Want(200, "")
	})
}
