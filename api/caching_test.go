package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

// H-12: every route is in this table. What a cache may keep is public and the same for everybody;
// all else is kept by nobody, and neither is any refusal.
func TestH12WhatMayBeCached(t *testing.T) {
	s := apitest.New(t, apitest.Options{
		StatusLists: true, Configure: func(r *apitest.Replica) { r.API.CORSOrigins = []string{"https://app.test"} },
	})
	_, root := s.Admin("root")
	const keep, no = "public, max-age=300", "no-store"
	const browser, person = "Origin", "Accept-Language, Cookie" // what decides CORS headers; what a page is like
	control := map[string]string{
		"/.well-known/jwks.json":                  keep,
		"/.well-known/openid-configuration":       keep,
		"/.well-known/oauth-authorization-server": keep,
		"/openapi.json":                           keep,
		"/favicon.ico":                            "public, max-age=86400",
		"/oauth2/session/check":                   keep,
		"/oauth2/status/{list}":                   "public, max-age=5",
		"/healthz":                                no,
		"/readyz":                                 no,
		"/oauth2/introspect":                      no,
		"/":                                       no,
		"/client-logo":                            no, // of a client that there is not
		"/assets/{name}":                          no, // of a name that there is not; TestAssets has those there are
	}
	vary := map[string]string{"/oauth2/token": browser, "/oauth2/userinfo": browser, "/oauth2/revoke": browser, "/oauth2/par": browser, "/oauth2/device": browser,
		"/oauth2/register": browser, "/oauth2/register/{client_id}": browser,
		"/": "Origin"}
	for _, path := range []string{"/oauth2/authorize", "/oauth2/logout", "/login", "/signup", "/consent", "/logout", "/device",
		"/continue", "/language", "/back",
		"/forgot", "/reset", "/reset/{token}", "/invite/{token}", "/verify", "/verify/{token}", "/change", "/change/{token}",
		"/undo", "/undo/{token}", "/factor-undo", "/factor-undo/{token}", "/message/passkey",
		"/account", "/account/profile", "/account/address", "/account/password", "/account/sessions", "/account/apps",
		"/account/activity", "/account/data", "/account/delete", "/account/security", "/account/passkeys",
		"/account/passkeys/options", "/account/authenticator", "/account/codes", "/account/trusted",
		"/login/second", "/login/codes", "/login/passkey", "/login/setup", "/login/setup/options"} {
		vary[path] = person
	}
	propagation := s.Replicas[0].Keys.Policy.Propagation
	if age := s.Replicas[0].API.JWKSMaxAge; age > propagation || age != 300*time.Second {
		t.Errorf("the key set is kept for %s, and a new key is known after %s", age, propagation)
	}
	in := strings.NewReplacer("{id}", "AAAAAAAAAAAAAAAAAAAAAA", "{sid}", "AAAAAAAAAAAAAAAAAAAAAA", "{role}", "editor",
		"{list}", "0")
	seen := 0
	for _, r := range s.Replicas[0].API.Routes() {
		want, listed := control[r.Path]
		if !listed {
			if want = no; !strings.HasPrefix(r.Path, "/v1/") && vary[r.Path] == "" {
				t.Errorf("%s is not in the table", r.Path)
			}
		}
		seen++
		path := in.Replace(r.Path)
		for _, token := range []string{"", root.Access} {
			res := s.Do(apitest.Request{Method: r.Method, Path: path, Token: token})
			if got := res.Header.Get("Cache-Control"); got != want {
				t.Errorf("%s %s: %d with Cache-Control %q, want %q", r.Method, r.Path, res.Status, got, want)
			}
			want := vary[r.Path]
			if strings.HasPrefix(r.Path, "/v1/") {
				want = browser
			}
			if got := res.Header.Get("Vary"); got != want {
				t.Errorf("%s %s: Vary %q, want %q", r.Method, r.Path, got, want)
			}
		}
	}
	for path := range control { // a refusal of what may be kept otherwise
		if got := s.Do(apitest.Request{Method: "POST", Path: in.Replace(path)}).Header.Get("Cache-Control"); got != no {
			t.Errorf("a refusal at %s: %q", path, got)
		}
	}
	if got := s.Do(apitest.Request{Path: "/nothing"}).Header.Get("Cache-Control"); got != no || seen < 17 {
		t.Errorf("nothing there: %q; %d routes", got, seen)
	}
}
