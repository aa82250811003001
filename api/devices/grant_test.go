package devices_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestDeviceFlow(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		all := newStandard(s)
		for _, c := range []apitest.Client{all.box, all.tv, all.own} {
			t.Run(c.ID, func(t *testing.T) {
				f := all.with(s.With(t))
				asked := f.ask(c)
				if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}(-[BCDFGHJKLMNPQRSTVWXZ]{4}){2}$`).MatchString(asked.UserCode) {
					t.Errorf("user code %q", asked.UserCode)
				}
				at := apitest.IssuerURL + "/device"
				if len(asked.DeviceCode) < 43 || asked.VerificationURI != at || asked.ExpiresIn != 600 || asked.Interval != 5 ||
					asked.VerificationURIComplete != at+"?user_code="+asked.UserCode {
					t.Errorf("answered %+v", asked)
				}
				f.PollDevice(c, asked.DeviceCode).Want(400, "authorization_pending")
				f.Advance(5 * time.Second)
				f.PollDevice(c, asked.DeviceCode).Want(400, "authorization_pending")

				// The person logs in on the way, and is asked in any case.
				b := f.Browser()
				p := b.TypeUserCode(strings.ToLower(strings.ReplaceAll(asked.UserCode, "-", " "))).WantPage(200, "login-submit")
				p = p.Submit("login-submit", map[string]string{"email": f.alice.Email, "password": f.alice.Password})
				p = p.WantPage(200, "device-approve")
				if !strings.Contains(p.Text(), asked.UserCode) {
					t.Error("the page does not show the code")
				}
				f.PollDevice(c, asked.DeviceCode).Want(400, "slow_down")
				if p = p.Submit("device-approve", nil).WantPage(200, ""); p.To != "" {
					t.Errorf("led to %s", p.To)
				}
				var tokens apitest.Tokens
				res := f.PollDevice(c, asked.DeviceCode).Want(200, "") // at once: it waits no more
				res.JSON(&tokens)
				if res.Header.Get("Cache-Control") != "no-store" || tokens.Type != "Bearer" || tokens.ExpiresIn != 600 ||
					tokens.Scope != "openid email" || tokens.Refresh == "" {
					t.Errorf("answered %+v", tokens)
				}
				access, id := apitest.Claims(tokens.Access), apitest.Claims(tokens.ID)
				for name, want := range map[string]any{
					"iss": apitest.IssuerURL, "sub": f.alice.ID, "aud": c.ID, "nonce": nil, "acr": "1", "sid": access["sid"],
					"auth_time": access["auth_time"],
				} {
					if id[name] != want {
						t.Errorf("the ID token says %s %v, want %v", name, id[name], want)
					}
				}
				if access["sub"] != f.alice.ID || access["client_id"] != c.ID || access["sid"] == nil || access["auth_time"] == nil {
					t.Errorf("the access token says %v", access)
				}
				var next apitest.Tokens
				f.Do(f.RefreshRequest(c, tokens.Refresh)).Want(200, "").JSON(&next)
				if again := apitest.Claims(next.Access); again["sid"] != access["sid"] {
					t.Errorf("refreshed: %v", again)
				}

				// What was allowed before allows no other device.
				second := f.ask(c)
				b.TypeUserCode(second.UserCode).WantPage(200, "device-approve")
				f.PollDevice(c, second.DeviceCode).Want(400, "authorization_pending")
			})
		}
	})
}

// What comes of a device is a grant as any other: it is that of the device in the list of sessions,
// and ends with the browser session, unless the device may go on without.
func TestTheGrantOfADevice(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		for scope, after := range map[string]int{"openid": 400, "openid offline_access": 200} {
			asked := f.AskDevice(f.box, url.Values{"scope": {scope}})
			b := f.SignedIn(f.alice)
			b.AllowDevice(asked.UserCode)
			var tokens apitest.Tokens
			f.PollDevice(f.box, asked.DeviceCode).Want(200, "").JSON(&tokens)
			b.Open("/logout").Submit("logout-confirm", nil)
			if res := f.Do(f.RefreshRequest(f.box, tokens.Refresh)); res.Status != after {
				t.Errorf("%s: %d after the logout", scope, res.Status)
			}
		}
		pair := f.Register(userstore.Client{ID: "pair", GrantTypes: []string{userstore.GrantDeviceCode},
			ClientMetadata: userstore.ClientMetadata{SubjectType: userstore.SubjectPairwise, RedirectURIs: []string{"https://pair.test/"}}})
		asked := f.AskDevice(pair, url.Values{"scope": {"openid"}})
		f.SignedIn(f.alice).AllowDevice(asked.UserCode)
		var tokens apitest.Tokens
		f.PollDevice(pair, asked.DeviceCode).Want(200, "").JSON(&tokens)
		if sub := apitest.Claims(tokens.ID)["sub"]; sub == f.alice.ID || sub == "" || tokens.Refresh != "" {
			t.Errorf("sub %v, refresh token %q", sub, tokens.Refresh)
		}
	})
}

// D-15: a device code is redeemed once, by its own client, while it lasts, after a person allowed
// it.
func TestD15DeviceCodes(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		b := f.SignedIn(f.alice)

		asked := f.ask(f.box)
		f.PollDevice(f.other, asked.DeviceCode).Want(400, "invalid_grant")
		f.PollDevice(f.tv, asked.DeviceCode).Want(400, "invalid_grant")
		b.AllowDevice(asked.UserCode)
		for _, c := range []apitest.Client{f.other, f.tv} {
			f.PollDevice(c, asked.DeviceCode).Want(400, "invalid_grant")
		}
		bare := apitest.Request{Method: "POST", Path: "/oauth2/token", Form: url.Values{
			"grant_type": {userstore.GrantDeviceCode}, "device_code": {asked.DeviceCode}, "client_id": {f.box.ID}}}
		f.Do(bare).Want(401, "invalid_client")
		// Neither code is taken in the place of the other.
		f.Do(f.CodeRequest(f.other, asked.DeviceCode)).Want(400, "invalid_grant")
		f.PollDevice(f.other, f.Code(f.alice, f.other)).Want(400, "invalid_grant")
		f.PollDevice(f.box, asked.UserCode).Want(400, "invalid_grant")
		f.Do(f.Authenticated(f.box, "/oauth2/token", url.Values{"grant_type": {userstore.GrantDeviceCode}})).Want(400, "invalid_request")
		var tokens apitest.Tokens
		f.PollDevice(f.box, asked.DeviceCode).Want(200, "").JSON(&tokens) // all of that took nothing from its owner
		f.Do(f.RefreshRequest(f.box, tokens.Refresh)).Want(200, "").JSON(&tokens)

		// Twice: nothing comes of it any more.
		f.PollDevice(f.box, asked.DeviceCode).Want(400, "invalid_grant")
		f.Do(f.RefreshRequest(f.box, tokens.Refresh)).Want(400, "invalid_grant")

		// Denied, once and for all.
		asked = f.ask(f.box)
		if p := b.TypeUserCode(asked.UserCode).Submit("device-deny", nil).WantPage(200, ""); p.To != "" {
			t.Errorf("led to %s", p.To)
		}
		for range 2 {
			f.PollDevice(f.box, asked.DeviceCode).Want(400, "access_denied")
		}
		b.TypeUserCode(asked.UserCode).WantPage(400, "device-submit")

		// Too late: waiting, allowed, and typed.
		waiting, allowed, typed := f.ask(f.box), f.ask(f.box), f.ask(f.box)
		b.AllowDevice(allowed.UserCode)
		p := b.TypeUserCode(typed.UserCode).WantPage(200, "device-approve")
		f.Advance(10*time.Minute - time.Second)
		f.PollDevice(f.box, waiting.DeviceCode).Want(400, "authorization_pending")
		f.Advance(time.Second)
		f.PollDevice(f.box, waiting.DeviceCode).Want(400, "expired_token")
		f.PollDevice(f.box, allowed.DeviceCode).Want(400, "expired_token")
		if p := p.Submit("device-approve", nil); p.Status != 400 || p.To != "" {
			t.Errorf("allowed too late: %d", p.Status)
		}
		f.PollDevice(f.box, typed.DeviceCode).Want(400, "expired_token")
		b.TypeUserCode(waiting.UserCode).WantPage(400, "device-submit")
	})
}

// D-15: of 32 polls at once, on two replicas, one gets the tokens; and while the device waits, one
// is in time.
func TestD15PollsAtOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		asked := f.ask(f.box)
		atOnce := func() (codes []string) {
			var mu sync.Mutex
			var all sync.WaitGroup
			for n := range 32 {
				all.Go(func() {
					q := f.Authenticated(f.box, "/oauth2/token", url.Values{
						"grant_type": {userstore.GrantDeviceCode}, "device_code": {asked.DeviceCode}})
					q.Replica = n % 2
					res := f.Do(q)
					var refused struct {
						Error string `json:"error"`
					}
					if res.Status != 200 {
						res.JSON(&refused)
					}
					mu.Lock()
					codes = append(codes, refused.Error)
					mu.Unlock()
				})
			}
			all.Wait()
			slices.Sort(codes)
			return codes
		}
		if got, want := atOnce(), append([]string{"authorization_pending"}, slices.Repeat([]string{"slow_down"}, 31)...); !slices.Equal(got, want) {
			t.Errorf("while it waits: %v", got)
		}
		f.SignedIn(f.alice).AllowDevice(asked.UserCode)
		if got, want := atOnce(), append([]string{""}, slices.Repeat([]string{"invalid_grant"}, 31)...); !slices.Equal(got, want) {
			t.Errorf("when it was allowed: %v", got)
		}
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

// RFC 8628 section 3.5: a device that polls too early has to wait longer from then on, whichever
// replica it asks.
func TestPollsTooEarly(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		asked := f.ask(f.tv)
		for n, row := range []struct {
			wait time.Duration
			want string
		}{
			{0, "authorization_pending"}, {4 * time.Second, "authorization_pending"}, {3 * time.Second, "slow_down"},
			{8 * time.Second, "slow_down"}, {15 * time.Second, "authorization_pending"}, {5 * time.Second, "slow_down"},
			{20 * time.Second, "authorization_pending"},
		} {
			f.Advance(row.wait)
			q := f.Authenticated(f.tv, "/oauth2/token", url.Values{
				"grant_type": {userstore.GrantDeviceCode}, "device_code": {asked.DeviceCode}})
			q.Replica = n % 2
			f.Do(q).Want(400, row.want)
		}
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

// D-30: a client or a user that ends between two steps, and what a user takes back before the device
// has its tokens.
func TestD30DevicesOfAClientThatIsDisabled(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		active := func(active bool) {
			t.Helper()
			if err := f.DB.SetClientActive(t.Context(), f.box.ID, active, f.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			f.Advance(time.Minute) // the replicas forget it
		}
		b := f.SignedIn(f.alice)
		waiting, typed, allowed := f.ask(f.box), f.ask(f.box), f.ask(f.box)
		p := b.TypeUserCode(typed.UserCode).WantPage(200, "device-approve")
		b.AllowDevice(allowed.UserCode)
		active(false)
		f.Do(f.Authenticated(f.box, "/oauth2/device", url.Values{"scope": {"openid"}})).Want(401, "invalid_client")
		b.TypeUserCode(waiting.UserCode).WantPage(400, "device-submit")
		if p := p.Submit("device-approve", nil); p.Status != 400 {
			t.Errorf("allowed for a disabled client: %d", p.Status)
		}
		f.PollDevice(f.box, allowed.DeviceCode).Want(401, "invalid_client")
		active(true)
		for _, asked := range []string{waiting.DeviceCode, typed.DeviceCode, allowed.DeviceCode} {
			f.PollDevice(f.box, asked).Want(400, "invalid_grant")
		}
		b.TypeUserCode(waiting.UserCode).WantPage(400, "device-submit")

		for name, end := range map[string]func(b *apitest.Browser){
			"logout": func(b *apitest.Browser) { b.Open("/logout").Submit("logout-confirm", nil) },
			"consent": func(*apitest.Browser) {
				if err := f.Replicas[0].Accounts.RevokeConsent(t.Context(), f.alice.ID, f.box.ID); err != nil {
					t.Error(err)
				}
			},
			"disabled": func(*apitest.Browser) {
				for _, active := range []bool{false, true} {
					if err := f.Replicas[0].Accounts.SetActive(t.Context(), f.alice.ID, active); err != nil {
						t.Error(err)
					}
				}
			},
		} {
			b, asked := f.SignedIn(f.alice), f.ask(f.box)
			b.AllowDevice(asked.UserCode)
			end(b)
			if res := f.PollDevice(f.box, asked.DeviceCode); res.Status != 400 || !strings.Contains(string(res.Body), "invalid_grant") {
				t.Errorf("%s: %d %s", name, res.Status, res.Body)
			}
		}
	})
}

// A form that is sent twice is answered twice, and a page that somebody left open answers nothing
// that was answered otherwise.
func TestADeviceIsAnsweredOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		b, bob := f.SignedIn(f.alice), f.SignedIn(f.SignUp("bob"))
		asked := f.ask(f.box)
		first := b.TypeUserCode(asked.UserCode).WantPage(200, "device-approve")
		second := bob.TypeUserCode(asked.UserCode).WantPage(200, "device-approve")
		for range 2 {
			first.Submit("device-approve", nil).WantPage(200, "")
		}
		for _, button := range []string{"device-approve", "device-deny"} {
			if p := second.Submit(button, nil); p.Status != 400 || p.To != "" {
				t.Errorf("%s: %d", button, p.Status)
			}
		}
		var tokens apitest.Tokens
		f.PollDevice(f.box, asked.DeviceCode).Want(200, "").JSON(&tokens)
		if sub := apitest.Claims(tokens.ID)["sub"]; sub != f.alice.ID {
			t.Errorf("tokens of %v", sub)
		}
		first.Submit("device-approve", nil).WantPage(200, "") // and once more, when it has them
		asked = f.ask(f.box)
		page := b.TypeUserCode(asked.UserCode)
		for range 2 {
			page.Submit("device-deny", nil).WantPage(200, "")
		}
		f.PollDevice(f.box, asked.DeviceCode).Want(400, "access_denied")

		// A user who may not have what the device asks for leaves it to one who may.
		asked = f.AskDevice(f.own, url.Values{"scope": {"openid admin"}})
		if p := b.TypeUserCode(asked.UserCode); p.Status != 400 || p.To != "" {
			t.Errorf("admin for a user who is none: %d %s", p.Status, p.To)
		}
		f.PollDevice(f.own, asked.DeviceCode).Want(400, "authorization_pending")
	})
}
