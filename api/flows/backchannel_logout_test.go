package flows_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// listening is a client that is told of logouts, and may be left.
func listening(s *apitest.Server, id string) apitest.Client {
	return s.Register(userstore.Client{ID: id, Name: id, ClientMetadata: userstore.ClientMetadata{
		RedirectURIs:           []string{"https://" + id + ".test/cb"},
		PostLogoutRedirectURIs: []string{"https://" + id + ".test/bye"},
		BackchannelLogoutURI:   "https://" + id + ".test/out",
	}})
}

// toldOf runs the sender and returns which sessions the apps were told of, sorted: "app sid".
func toldOf(t *testing.T, s *apitest.Server) (all []string) {
	t.Helper()
	sender := s.Replicas[0].Logouts
	sender.Post = func(_ context.Context, address string, form url.Values) (int, error) {
		token := s.Secret(form.Get("logout_token"))
		claims := apitest.Claims(token)
		app, _ := claims["aud"].(string)
		sid, _ := claims["sid"].(string)
		if address != "https://"+app+".test/out" || len(form) != 1 {
			t.Errorf("%s was told %v", address, claims)
		}
		all = append(all, app+" "+sid)
		return http.StatusOK, nil
	}
	if _, err := sender.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// Whoever ends a session, and wherever: the apps that have it are told, and no others.
func TestAppsAreToldOfEveryLogout(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		shop, forum := listening(s, "shop"), listening(s, "forum")
		bystander := s.SignUp("bystander")
		logIn(s, s.SignedIn(bystander), shop)

		type world struct {
			u       apitest.User
			tokens  apitest.Tokens // of the account API
			browser *apitest.Browser
			// At shop from browser: one that holds offline_access, one whose code was redeemed an hour ago by
			// an app that keeps no refresh token. At forum from the same browser, and at shop from another.
			shop, offline, forum, elsewhere apitest.Tokens
		}
		do := func(method, path, token string, body any) {
			t.Helper()
			if a := s.Do(apitest.Request{Method: method, Path: path, Token: token, Body: body}); a.Status/100 != 2 {
				t.Errorf("%s %s: %d %s", method, path, a.Status, a.Body)
			}
		}
		ofBrowser := func(w world) []string {
			return []string{"forum " + w.forum.SessionID(), "shop " + w.offline.SessionID(), "shop " + w.shop.SessionID()}
		}
		all := func(w world) []string { return append(ofBrowser(w), "shop "+w.elsewhere.SessionID()) }
		none := func(world) []string { return nil }
		for _, row := range []struct {
			name string
			act  func(w world)
			want func(w world) []string
		}{
			{"the user logs out at the page", func(w world) { w.browser.Open("/logout").Submit("logout-confirm", nil) }, ofBrowser},
			{"an app logs the user out", func(w world) {
				w.browser.Open(logoutPath("id_token_hint", w.forum.ID, "post_logout_redirect_uri", "https://forum.test/bye"))
			}, ofBrowser},
			{"another user logs in in the browser", func(w world) {
				w.browser.SignIn(authorizePath(shop, set("prompt", "select_account")), s.SignUp("other"))
			}, ofBrowser},
			{"the user ends one session of an app", func(w world) {
				do("DELETE", "/v1/profile/sessions/"+w.elsewhere.SessionID(), w.tokens.Access, nil)
			}, func(w world) []string { return []string{"shop " + w.elsewhere.SessionID()} }},
			{"the user logs out everywhere", func(w world) {
				do("POST", "/v1/logout", w.tokens.Access, apitest.Fields{"everywhere": true})
			}, all},
			{"the user takes back what an app was allowed", func(w world) {
				do("DELETE", "/v1/profile/consents/shop", w.tokens.Access, nil)
			}, func(w world) []string { return all(w)[1:] }},
			{"the user changes the password", func(w world) {
				do("POST", "/v1/profile/password", w.tokens.Access,
					apitest.Fields{"current_password": w.u.Password, "new_password": "another staple battery horse"})
			}, all},
			{"an admin disables the user", func(w world) { do("POST", "/v1/admin/users/"+w.u.ID+"/disable", admin.Access, nil) }, all},
			{"an admin edits the user", func(w world) {
				do("PATCH", "/v1/admin/users/"+w.u.ID, admin.Access, apitest.Fields{"is_active": false})
			}, all},
			{"an admin ends the user's sessions", func(w world) {
				do("DELETE", "/v1/admin/users/"+w.u.ID+"/sessions", admin.Access, nil)
			}, all},
			{"an admin ends one session", func(w world) {
				do("DELETE", "/v1/admin/users/"+w.u.ID+"/sessions/"+w.elsewhere.SessionID(), admin.Access, nil)
			}, func(w world) []string { return []string{"shop " + w.elsewhere.SessionID()} }},
			{"an admin deletes the user", func(w world) { do("DELETE", "/v1/admin/users/"+w.u.ID, admin.Access, nil) }, all},
			{"the user deletes the account", func(w world) {
				do("DELETE", "/v1/profile", w.tokens.Access, apitest.Fields{"current_password": w.u.Password})
			}, all},
			{"a refresh token is used twice", func(w world) {
				refresh := func(token string) *apitest.Response {
					return s.Do(apitest.Request{Method: "POST", Path: "/oauth2/token", Basic: [2]string{"shop", shop.Secret},
						Form: url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}})
				}
				for token, n := w.elsewhere.Refresh, 0; n < 2; n++ {
					var next apitest.Tokens
					refresh(token).Want(200, "").JSON(&next)
					token = next.Refresh
				}
				refresh(w.elsewhere.Refresh).Want(400, "invalid_grant")
			}, func(w world) []string { return []string{"shop " + w.elsewhere.SessionID()} }},
			{"an app gives its tokens back", func(w world) {
				s.Do(apitest.Request{Method: "POST", Path: "/oauth2/revoke", Basic: [2]string{"shop", shop.Secret},
					Form: url.Values{"token": {w.elsewhere.Refresh}}}).Want(200, "")
			}, none},
			{"nothing happens", func(world) {}, none},
		} {
			t.Run(row.name, func(t *testing.T) {
				w := world{u: s.SignUp("u" + strings.ReplaceAll(row.name, " ", "-"))}
				w.browser = s.SignedIn(w.u)
				w.shop = logIn(s, w.browser, shop)
				w.offline = logIn(s, w.browser, shop, set("scope", "openid offline_access", "prompt", "consent"))
				w.forum = logIn(s, w.browser, forum)
				w.elsewhere = logIn(s, s.SignedIn(w.u), shop)
				w.tokens = s.Login(w.u, apitest.Fields{"scope": "profile"})
				if early := toldOf(t, s); early != nil {
					t.Errorf("told before: %v", early)
				}
				row.act(w)
				want := row.want(w)
				slices.Sort(want)
				if got := toldOf(t, s); !slices.Equal(got, want) {
					t.Errorf("told of %v\nwant    %v", got, want)
				}
				if again := toldOf(t, s); again != nil {
					t.Errorf("told again: %v", again)
				}
			})
		}
	})
}

// An app without a refresh token hears of a logout hours after its grant has ended and was removed.
func TestAnAppWithoutARefreshTokenIsTold(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "shop", GrantTypes: []string{userstore.GrantAuthorizationCode},
			ClientMetadata: userstore.ClientMetadata{BackchannelLogoutURI: "https://shop.test/out"}})
		b := s.SignedIn(s.SignUp("alice"))
		tokens := logIn(s, b, c)
		if tokens.Refresh != "" {
			t.Fatal("it has a refresh token")
		}
		s.Advance(5 * time.Hour)
		for _, remove := range []func(context.Context, time.Time, int) (int, error){s.DB.RemoveExpired, s.DB.RemoveExpiredAppSessions} {
			if _, err := remove(t.Context(), s.Clock.Now(), 100); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.DB.GrantBySession(t.Context(), tokens.SessionID()); err == nil {
			t.Fatal("the grant is there still")
		}
		b.Open("/logout").Submit("logout-confirm", nil)
		if got, want := toldOf(t, s), []string{"shop " + tokens.SessionID()}; !slices.Equal(got, want) {
			t.Errorf("told of %v, want %v", got, want)
		}
	})
}

// away is a store whose writes fail.
type away struct {
	apitest.Store
	down bool
}

func (a *away) EndSession(ctx context.Context, id string, now time.Time, events ...audit.Event) error {
	if a.down {
		return userstore.ErrUnavailable
	}
	return a.Store.EndSession(ctx, id, now, events...)
}

// While the store is away a logout is answered with 503, and no app hears of it.
func TestALogoutThatIsNotStored(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		store := &away{}
		s := apitest.New(t, apitest.Options{DB: db, Store: func(db *sqlstore.DB) apitest.Store { store.Store = db; return store }})
		c := listening(s, "shop")
		b := s.SignedIn(s.SignUp("alice"))
		tokens := logIn(s, b, c)
		page := b.Open("/logout")
		store.down = true
		page.Submit("logout-confirm", nil).WantPage(http.StatusServiceUnavailable, "")
		if got := toldOf(t, s); got != nil {
			t.Errorf("told of %v", got)
		}
		store.down = false
		page.Submit("logout-confirm", nil)
		if got, want := toldOf(t, s), []string{"shop " + tokens.SessionID()}; !slices.Equal(got, want) {
			t.Errorf("told of %v, want %v", got, want)
		}
	})
}
