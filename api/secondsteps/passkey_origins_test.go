package secondsteps_test

import (
	"net/http"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// Browser apps of passkeys.origins call the account API and use the passkeys of the issuer; an app
// without an origin of the web does the latter alone, and no other origin does either.
func TestAppsOfPasskeysOrigins(t *testing.T) {
	const app, android = "https://app.test:8443", "android:apk-key-hash:r2HPQ5Eyyw6FX2YTEZ5vOX0Ik0Ml9vJ5pCoXkI2ITvM"
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		key, _ := s.WithPasskey(alice)
		for origin, c := range map[string]struct{ calls, signsIn bool }{
			app: {true, true}, android: {false, true}, "https://id.test": {false, true},
			"https://app.test": {false, false}, "http://app.test:8443": {false, false}, "https://evil.test": {false, false},
			"https://app.test:8443.evil.test": {false, false},
		} {
			for _, method := range []string{"POST", "OPTIONS"} {
				res := s.Do(apitest.Request{Method: method, Path: "/v1/passkey/login/options", Body: apitest.Fields{},
					Header: http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}}})
				if got := res.Header.Get("Access-Control-Allow-Origin"); (got == origin) != c.calls || got != "" && got != origin {
					t.Errorf("%s %s may read: %q", method, origin, got)
				}
				if res.Header.Get("Access-Control-Allow-Credentials") != "" {
					t.Error("credentials are allowed")
				}
			}
			options, login := passkeyOptions(s, "/v1/passkey/login/options", "", apitest.Fields{})
			used := *key
			used.Party.Origin = origin
			res := post(s, "/v1/passkey/login", apitest.Fields{"login": login, "response": used.Get(options)})
			if c.signsIn {
				res.Want(200, "")
			} else {
				res.Want(401, "invalid_code") // P-09: of another origin
			}
		}
	}, func(o *apitest.Options) { o.PasskeyOrigins = []string{app, android} })
}

// P-09: an answer counts for its passkey, user, RP id and challenge, once, with its user verified and a
// counter that goes on.
func TestP09AnswersOfPasskeys(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		key, _ := s.WithPasskey(alice)
		ofBob, _ := s.WithPasskey(bob)
		key.Credential.Counter = 7
		for path, begin := range map[string]func() (apitest.Fields, string){
			"/v1/passkey/login": func() (apitest.Fields, string) { return apitest.Fields{}, "/v1/passkey/login/options" },
			"/v1/login/passkey": func() (apitest.Fields, string) {
				return apitest.Fields{"login": s.FirstStep(alice)}, "/v1/login/passkey/options"
			},
		} {
			start := func() (func(edit func(*apitest.Passkey)) *apitest.Response, func(other *apitest.Passkey) *apitest.Response) {
				body, from := begin()
				options, login := passkeyOptions(s, from, "", body)
				if login == "" {
					login = body["login"].(string)
				}
				by := func(other *apitest.Passkey) *apitest.Response {
					return post(s, path, apitest.Fields{"login": login, "response": other.Get(options)})
				}
				return func(edit func(*apitest.Passkey)) *apitest.Response {
					used := *key
					edit(&used)
					return by(&used)
				}, by
			}
			send, by := start()
			s.Unchanged(func() {
				for name, edit := range map[string]func(*apitest.Passkey){
					"of another RP id":          func(k *apitest.Passkey) { k.Party.ID = "evil.test" },
					"of another origin":         func(k *apitest.Passkey) { k.Party.Origin = "https://evil.test" },
					"without user verification": func(k *apitest.Passkey) { k.Authenticator.Options.UserNotVerified = true },
					"without its user":          func(k *apitest.Passkey) { k.Authenticator.Options.UserNotPresent = true },
					"with another user's handle": func(k *apitest.Passkey) {
						k.Authenticator.Options.UserHandle = ofBob.Authenticator.Options.UserHandle
					},
					"by another key": func(k *apitest.Passkey) { k.Credential.Key = ofBob.Credential.Key },
				} {
					if res := send(edit); res.Status != 401 || res.Code() != "invalid_code" {
						t.Errorf("P-09 %s %s: %d %s", path, name, res.Status, res.Body)
					}
				}
				if path == "/v1/login/passkey" {
					by(ofBob).Want(401, "invalid_code")
				}
			})
			key.Credential.Counter++
			by(key).Want(200, "")
			by(key).Want(401, "invalid_code") // replayed
			send, _ = start()
			s.Unchanged(func() {
				send(func(k *apitest.Passkey) { k.Credential.Counter-- }).Want(401, "invalid_code") // back: a copy
				send(func(k *apitest.Passkey) { k.Credential.Counter = 0 }).Want(401, "invalid_code")
				send(func(*apitest.Passkey) {}).Want(401, "invalid_code") // the same
			})
			key.Credential.Counter++
			send(func(*apitest.Passkey) {}).Want(200, "")
		}
	}, unlimited)
}
