package verifier_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
)

// login returns a token of the stand's audience for a login at acr some time ago.
func (s *stand) login(acr string, ago time.Duration, claims map[string]any) string {
	all := map[string]any{"aud": audience, "scope": "profile"}
	for name, value := range claims {
		all[name] = value
	}
	return s.issuer.LoginToken(acr, ago, all)
}

// refusedLogin asserts the answer to a token that h must not let pass, challenge included.
func (s *stand) refusedLogin(t testing.TB, h http.Handler, raw string, status int, code, challenge string) {
	t.Helper()
	w := serve(h, request("GET", "/", "Bearer "+raw))
	if got := problemCode(t, w); w.Code != status || got != code {
		t.Errorf("%d %s, want %d %s", w.Code, got, status, code)
	}
	if got := w.Header().Values("WWW-Authenticate"); len(got) != 1 || got[0] != challenge {
		t.Errorf("challenge\n%q, want\n%q", got, challenge)
	}
}

const (
	stepUp = `Bearer error="insufficient_user_authentication", error_description="The login behind the access token ` +
		`is not strong or not recent enough here; the user must log in again."`
	tooNarrow = `Bearer error="insufficient_scope", error_description="The access token was not granted the scope ` +
		`that is needed here."`
	noUser = `Bearer error="insufficient_scope", error_description="There is no user behind this access token; ` +
		`send the token of a user who logged in."`
)

// Every way to require a login, against every kind of token: who passes, and which challenge the
// others get.
func TestRequiredLoginsAndTheirChallenges(t *testing.T) {
	s := newStand(t)
	acr2, acr21, acr1 := s.v.RequireACR("2"), s.v.RequireACR("2", "1"), s.v.RequireACR("1")
	recent, write := s.v.RequireRecentLogin(5*time.Minute), s.v.RequireScope("notes:write")
	// between stands for a mux, which hides a guard from the one around it.
	between := func(h http.Handler) http.Handler { return http.HandlerFunc(h.ServeHTTP) }

	scoped := map[string]any{"scope": "notes:write"}
	tokens := map[string]string{
		"acr 2":                              s.login("2", time.Minute, scoped),
		"acr 2, narrow":                      s.login("2", time.Minute, nil),
		"acr 2, old":                         s.login("2", time.Hour, scoped),
		"acr 2, old, narrow":                 s.login("2", time.Hour, nil),
		"acr 1":                              s.login("1", time.Minute, scoped),
		"acr 1, narrow":                      s.login("1", time.Minute, nil),
		"acr 1, old":                         s.login("1", time.Hour, scoped),
		"no login":                           s.issuer.Token(map[string]any{"aud": audience, "scope": "notes:write"}),
		"another acr":                        s.login("urn:example:gold", time.Minute, scoped),
		"a client":                           s.issuer.ClientToken(map[string]any{"aud": audience, "scope": "notes:write"}),
		"a client, narrow":                   s.issuer.ClientToken(map[string]any{"aud": audience}),
		"a client that says 2":               s.login("2", 0, map[string]any{"sub": "test-client", "scope": "notes:write"}),
		"a user, named almost as the client": s.login("2", time.Minute, map[string]any{"sub": "test-clients", "scope": "notes:write"}),
	}
	ask := func(parameters string) string { return stepUp + parameters }
	for _, c := range []struct {
		name    string
		handler http.Handler
		refused map[string]string // the others pass
	}{
		{"no requirement", s.v.Middleware(ok), nil},
		{"acr 2", acr2(ok), map[string]string{
			"acr 1": ask(`, acr_values="2"`), "acr 1, narrow": ask(`, acr_values="2"`), "acr 1, old": ask(`, acr_values="2"`),
			"no login": ask(`, acr_values="2"`), "another acr": ask(`, acr_values="2"`),
			"a client": noUser, "a client, narrow": noUser, "a client that says 2": noUser,
		}},
		{"acr 1, which acr 2 satisfies too", acr1(ok), map[string]string{
			"no login": ask(`, acr_values="1"`), "another acr": ask(`, acr_values="1"`),
			"a client": noUser, "a client, narrow": noUser, "a client that says 2": noUser,
		}},
		{"acr 2 or 1, by preference", s.v.Middleware(acr21(ok)), map[string]string{
			"no login": ask(`, acr_values="2 1"`), "another acr": ask(`, acr_values="2 1"`),
			"a client": noUser, "a client, narrow": noUser, "a client that says 2": noUser,
		}},
		{"a recent login", recent(ok), map[string]string{
			"acr 2, old": ask(`, max_age="300"`), "acr 2, old, narrow": ask(`, max_age="300"`),
			"acr 1, old": ask(`, max_age="300"`), "no login": ask(`, max_age="300"`),
			"a client": noUser, "a client, narrow": noUser, "a client that says 2": noUser,
		}},
		{"a recent login at acr 2", acr2(recent(ok)), recentAt2()},
		{"the same the other way round", recent(acr2(ok)), recentAt2()},
		{"the same inside Middleware", s.v.Middleware(between(acr2(recent(ok)))), recentAt2()},
		{"the same with a mux between", acr2(between(recent(ok))), map[string]string{
			// The outer guard does not know the inner one; the inner one names both.
			"acr 1": ask(`, acr_values="2"`), "acr 1, narrow": ask(`, acr_values="2"`), "acr 1, old": ask(`, acr_values="2"`),
			"no login": ask(`, acr_values="2"`), "another acr": ask(`, acr_values="2"`),
			"acr 2, old": ask(`, acr_values="2", max_age="300"`), "acr 2, old, narrow": ask(`, acr_values="2", max_age="300"`),
			"a client": noUser, "a client, narrow": noUser, "a client that says 2": noUser,
		}},
		{"the shorter of two ages", s.v.RequireRecentLogin(time.Hour)(recent(ok)), map[string]string{
			"acr 2, old": ask(`, max_age="300"`), "acr 2, old, narrow": ask(`, max_age="300"`),
			"acr 1, old": ask(`, max_age="300"`), "no login": ask(`, max_age="300"`),
			"a client": noUser, "a client, narrow": noUser, "a client that says 2": noUser,
		}},
		{"acr 1 around acr 2, twice", acr1(acr2(acr2(ok))), map[string]string{
			"acr 1": ask(`, acr_values="2"`), "acr 1, narrow": ask(`, acr_values="2"`), "acr 1, old": ask(`, acr_values="2"`),
			"no login": ask(`, acr_values="2"`), "another acr": ask(`, acr_values="2"`),
			"a client": noUser, "a client, narrow": noUser, "a client that says 2": noUser,
		}},
		{"a scope and acr 2", write(acr2(ok)), scopeAndACR2()},
		{"acr 2 and a scope", acr2(write(ok)), scopeAndACR2()},
		{"demands that contradict each other", acr2(s.v.RequireACR("urn:example:gold")(ok)), allOf(tokens, map[string]string{
			"": ask(`, acr_values="urn:example:gold"`), "a client": noUser, "a client, narrow": noUser, "a client that says 2": noUser,
		})},
	} {
		for kind, raw := range tokens {
			t.Run(c.name+": "+kind, func(t *testing.T) {
				want, refused := c.refused[kind]
				if !refused {
					if w := serve(c.handler, request("GET", "/", "Bearer "+raw)); w.Code != 200 || w.Header().Get("WWW-Authenticate") != "" {
						t.Errorf("%d %v", w.Code, w.Header())
					}
					return
				}
				status, code := http.StatusUnauthorized, verifier.CodeInsufficientUserAuthentication
				if !strings.HasPrefix(want, stepUp) {
					status, code = http.StatusForbidden, verifier.CodeInsufficientScope
				}
				s.refusedLogin(t, c.handler, raw, status, code, want)
			})
		}
		// Without a valid token there is no challenge of RFC 9470: strangers do not learn what is needed.
		rs401(t, serve(c.handler, request("GET", "/", "Bearer x")))
		if w := serve(c.handler, request("GET", "/")); w.Code != 401 || problemCode(t, w) != verifier.CodeMissingToken {
			t.Errorf("%s, without a token: %d", c.name, w.Code)
		}
	}
}

func recentAt2() map[string]string {
	both := stepUp + `, acr_values="2", max_age="300"`
	return map[string]string{
		"acr 1": both, "acr 1, narrow": both, "acr 1, old": both, "no login": both, "another acr": both,
		"acr 2, old": both, "acr 2, old, narrow": both,
		"a client": noUser, "a client, narrow": noUser, "a client that says 2": noUser,
	}
}

func scopeAndACR2() map[string]string {
	return map[string]string{
		"acr 2, narrow": tooNarrow + `, scope="notes:write"`, "acr 2, old, narrow": tooNarrow + `, scope="notes:write"`,
		// A token that lacks both hears of both, so the user is sent to the issuer once.
		"acr 1, narrow": stepUp + `, scope="notes:write", acr_values="2"`,
		"acr 1":         stepUp + `, acr_values="2"`, "acr 1, old": stepUp + `, acr_values="2"`,
		"no login": stepUp + `, acr_values="2"`, "another acr": stepUp + `, acr_values="2"`,
		"a client": noUser, "a client, narrow": noUser, "a client that says 2": noUser,
	}
}

// allOf returns challenges for all tokens; "" is the challenge of the ones that are not named.
func allOf(tokens, challenges map[string]string) map[string]string {
	all := map[string]string{}
	for kind := range tokens {
		if all[kind] = challenges[kind]; all[kind] == "" {
			all[kind] = challenges[""]
		}
	}
	return all
}

// The clock is the verifier's, the leeway its ClockSkew, and a time in the future is none.
func TestTheAgeOfALogin(t *testing.T) {
	for _, skew := range []time.Duration{-1, 30 * time.Second} {
		s := newStand(t, func(c *verifier.Config) { c.ClockSkew = skew })
		leeway := max(skew, 0)
		h := s.v.RequireRecentLogin(90*time.Second + 500*time.Millisecond)(ok)
		for _, c := range []struct {
			ago    time.Duration
			passes bool
		}{
			{0, true}, {time.Second, true}, {90*time.Second + leeway, true}, {91*time.Second + leeway, false},
			{time.Hour, false}, {-leeway, true}, {-leeway - time.Second, false}, {-time.Hour, false},
			{-100 * 365 * 24 * time.Hour, false}, {50 * 365 * 24 * time.Hour, false},
		} {
			raw := s.login("1", c.ago, nil)
			if c.passes {
				if w := serve(h, request("GET", "/", "Bearer "+raw)); w.Code != 200 {
					t.Errorf("skew %v, %v ago: %d %s", skew, c.ago, w.Code, w.Body)
				}
				continue
			}
			// The challenge promises no more than is kept: 90 s, not 91.
			s.refusedLogin(t, h, raw, 401, verifier.CodeInsufficientUserAuthentication, stepUp+`, max_age="90"`)
		}
	}

	// A login grows old while its token lives.
	s := newStand(t)
	h := s.v.RequireRecentLogin(4 * time.Minute)(ok)
	raw := s.login("1", 0, nil)
	for _, later := range []time.Duration{0, 5 * time.Minute} { // the skew of a minute included, to the second
		s.issuer.Advance(later)
		if w := serve(h, request("GET", "/", "Bearer "+raw)); w.Code != 200 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	s.issuer.Advance(time.Second)
	if token, err := s.v.Verify(t.Context(), raw); err != nil || s.issuer.Now().Sub(token.AuthenticatedAt) != 5*time.Minute+time.Second {
		t.Fatal(token, err)
	}
	s.refusedLogin(t, h, raw, 401, verifier.CodeInsufficientUserAuthentication, stepUp+`, max_age="240"`)

	// An age that no time.Duration could hold together with the leeway.
	if w := serve(s.v.RequireRecentLogin(1<<63-1)(ok), request("GET", "/", "Bearer "+s.login("1", 365*24*time.Hour, nil))); w.Code != 200 {
		t.Errorf("any age: %d", w.Code)
	}
}

// A token whose acr or auth_time is not what RFC 9068 says is no access token, before anything is
// required of the login; a fraction of a second only makes the login older.
func TestHostileLoginClaims(t *testing.T) {
	s := newStand(t)
	both := s.v.RequireACR("2")(s.v.RequireRecentLogin(5 * time.Minute)(ok))
	now := s.issuer.Now().Unix()
	signed := func(member string) string {
		payload := s.claims(nil)
		return s.issuer.Sign("at+jwt", []byte(payload[:len(payload)-1]+","+member+"}"))
	}
	fresh := fmt.Sprintf(`"auth_time":%d`, now)
	if w := serve(both, request("GET", "/", "Bearer "+signed(`"acr":"2",`+fresh))); w.Code != 200 {
		t.Fatalf("a good one: %d %s", w.Code, w.Body)
	}
	for _, member := range []string{
		`"acr":2,` + fresh, `"acr":2.0,` + fresh, `"acr":true,` + fresh, `"acr":null,` + fresh, `"acr":"",` + fresh,
		`"acr":["2"],` + fresh, `"acr":{"2":1},` + fresh, `"acr":"1","acr":"2",` + fresh, `"acr":"1","ACR":"2",` + fresh,
		`"acr":"2","amr":"mfa",` + fresh, `"acr":"2","amr":[1],` + fresh,
		fmt.Sprintf(`"acr":"2","auth_time":"%d"`, now), `"acr":"2","auth_time":-1`, `"acr":"2","auth_time":1e12`,
		`"acr":"2","auth_time":9223372036854775807`, `"acr":"2","auth_time":18446744073709551616`,
		`"acr":"2","auth_time":253402300800`, `"acr":"2","auth_time":null`, `"acr":"2","auth_time":[` + fmt.Sprint(now) + `]`,
		`"acr":"2","auth_time":NaN`, `"acr":"2","Auth_Time":1,` + fresh,
		fmt.Sprintf(`"acr":"2","auth_time":0,"auth_time":%d`, now),
	} {
		w := serve(both, request("GET", "/", "Bearer "+signed(member)))
		rs401(t, w)
		if code := problemCode(t, w); code != verifier.CodeTokenInvalid {
			t.Errorf("%s: %s", member, code)
		}
	}
	ask := stepUp + `, acr_values="2", max_age="300"`
	for _, member := range []string{
		// None of these is "2": no trimming, no numbers, no case, no lists in a string.
		`"acr":"2 ",` + fresh, `"acr":" 2",` + fresh, `"acr":"02",` + fresh, `"acr":"2.0",` + fresh, `"acr":"1 2",` + fresh,
		`"acr":"22",` + fresh, `"acr":"3",` + fresh, `"acr":"0",` + fresh, `"acr":"\uff12",` + fresh, `"acr":"2\u0000",` + fresh,
		`"acr":"2\",acr_values=\"1",` + fresh, `"acr":"\r\nX: 1",` + fresh,
		// What amr says does not stand in for an acr.
		`"amr":["pwd","otp","mfa"],` + fresh, `"acr":"1","amr":["pwd","otp","mfa"],` + fresh,
		`"acr":"2"`, `"acr":"2","auth_time":0`, `"acr":"2","auth_time":0.9`, `"acr":"2","auth_time":253402300799`,
		fmt.Sprintf(`"acr":"2","auth_time":%d.999`, now-361), fmt.Sprintf(`"acr":"2","auth_time":%d`, now+61),
	} {
		s.refusedLogin(t, both, signed(member), 401, verifier.CodeInsufficientUserAuthentication, ask)
	}
}

// A requirement that is empty, or that no challenge could name, refuses to be built.
func TestAForgottenRequirementIsNotServed(t *testing.T) {
	s := newStand(t)
	panics := func(name string, build func()) {
		t.Helper()
		defer func() {
			if text, _ := recover().(string); !strings.HasPrefix(text, "verifier: Require") {
				t.Errorf("%s was built: %q", name, text)
			}
		}()
		build()
	}
	panics("no role", func() { s.v.RequireRole() })
	panics("an empty role", func() { s.v.RequireRole("admin", "") })
	panics("no acr", func() { s.v.RequireACR() })
	panics("a nil list of acr", func() { s.v.RequireACR([]string(nil)...) })
	for _, value := range []string{"", " ", "1 2", "2 ", "2\"", `2\`, "2\r\nX: 1", "2\x00", "2\t", "zw\u00f6lf", "\x7f", "\xff"} {
		panics(fmt.Sprintf("acr %q", value), func() { s.v.RequireACR(value) })
		panics(fmt.Sprintf("acr 2 and %q", value), func() { s.v.RequireACR("2", value) })
	}
	for _, age := range []time.Duration{0, -1, -time.Hour, 1, 300, time.Second - 1, -1 << 63} {
		panics("age "+age.String(), func() { s.v.RequireRecentLogin(age) })
	}

	// What the caller does with its slices later does not weaken a requirement.
	values, scopes := []string{"2"}, []string{"notes:write"}
	h := s.v.RequireACR(values...)(s.v.RequireScope(scopes...)(ok))
	values[0], scopes[0] = "1", "profile"
	s.refusedLogin(t, h, s.login("1", 0, nil), 401, verifier.CodeInsufficientUserAuthentication,
		stepUp+`, scope="notes:write", acr_values="2"`)
}

// One guard in two places is not changed by what stands around or inside it in the other.
func TestGuardsDoNotShareRequirements(t *testing.T) {
	s := newStand(t)
	shared := s.v.RequireScope("profile")(ok)
	strict := s.v.RequireACR("2")(shared)
	scoped := s.v.RequireScope("a")
	first, second := scoped(s.v.RequireScope("b")(ok)), scoped(s.v.RequireScope("c")(ok))
	weak := s.login("1", 0, nil)
	if w := serve(shared, request("GET", "/", "Bearer "+weak)); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.refusedLogin(t, strict, weak, 401, verifier.CodeInsufficientUserAuthentication, stepUp+`, acr_values="2"`)
	s.refusedLogin(t, first, weak, 403, verifier.CodeInsufficientScope, tooNarrow+`, scope="a b"`)
	s.refusedLogin(t, second, weak, 403, verifier.CodeInsufficientScope, tooNarrow+`, scope="a c"`)

	var many []string
	for n := range 20 { // whatever room a slice has left
		many = append(many, fmt.Sprint("s", n))
		outer := s.v.RequireScope(many...)
		first, second := outer(s.v.RequireScope("b")(ok)), outer(s.v.RequireScope("c")(ok))
		for scope, h := range map[string]http.Handler{"b": first, "c": second} {
			s.refusedLogin(t, h, weak, 403, verifier.CodeInsufficientScope,
				tooNarrow+`, scope="`+strings.Join(many, " ")+" "+scope+`"`)
		}
	}

	// A guard of another verifier proves the token by itself, and its requirements are its own.
	other := newVerifier(t, s.issuer.Config("https://other.example.com"))
	both := s.login("2", 0, map[string]any{"aud": []string{audience, "https://other.example.com"}})
	h := s.v.RequireRecentLogin(time.Minute)(other.RequireACR("urn:example:gold")(ok))
	s.refusedLogin(t, h, both, 401, verifier.CodeInsufficientUserAuthentication, stepUp+`, acr_values="urn:example:gold"`)
	rs401(t, serve(h, request("GET", "/", "Bearer "+weak)))
}

// Handlers make such errors by themselves. Nothing in them breaks out of its parameter.
func TestChallengesOfALoginHoldNoQuotesOfOthers(t *testing.T) {
	s := newStand(t)
	for _, c := range []struct {
		err  verifier.Error
		want string
	}{
		{verifier.Error{}, ""},
		{verifier.Error{ACRValues: []string{"2", "1"}, MaxAge: 90 * time.Minute}, `, acr_values="2 1", max_age="5400"`},
		{verifier.Error{ACRValues: []string{"2\", max_age=\"0", "\r\nSet-Cookie: a=b", "\\", "\u00fc\u2028\x00"}},
			`, acr_values="2, max_age=0 Set-Cookie: a=b  "`},
		{verifier.Error{Scopes: []string{"a\"\r\nb"}, MaxAge: time.Millisecond}, `, scope="ab", max_age="0"`},
		{verifier.Error{MaxAge: -time.Hour}, ""},
		{verifier.Error{MaxAge: 1<<63 - 1, Reason: "\"\r\nX: 1"}, `, max_age="9223372036"`},
	} {
		c.err.Code = verifier.CodeInsufficientUserAuthentication
		w := httptest.NewRecorder()
		s.v.WriteError(w, fmt.Errorf("wrapped: %w", &c.err))
		if got := w.Header().Values("WWW-Authenticate"); w.Code != 401 || len(got) != 1 || got[0] != stepUp+c.want ||
			len(w.Header()) != 4 || problemCode(t, w) != verifier.CodeInsufficientUserAuthentication {
			t.Errorf("%+v: %d %q", c.err, w.Code, w.Header())
		}
		if !errors.Is(&c.err, verifier.ErrInsufficientUserAuthentication) || errors.Is(&c.err, verifier.ErrInvalid) {
			t.Errorf("%+v matches the wrong target", c.err)
		}
	}
}

// The log says which rule refused a login; the caller hears only what to ask for.
func TestTheReasonIsForTheLog(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	s := newStand(t, func(c *verifier.Config) {
		c.Logger = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	h := s.v.RequireACR("2")(s.v.RequireRecentLogin(5 * time.Minute)(ok))
	for _, c := range []struct{ raw, reason string }{
		{s.login("2", 0, map[string]any{"acr": nil}), "the token has no acr"},
		{s.login("1", 0, nil), `the acr \"1\" is not enough`},
		{s.login("2", 0, map[string]any{"auth_time": nil}), "the token has no auth_time"},
		{s.login("2", time.Hour, nil), "the login is 1h0m0s old"},
		{s.login("2", -time.Hour, nil), "the login is in the future: compare the clocks"},
		{s.issuer.ClientToken(map[string]any{"aud": audience}), "there is no user behind the token"},
	} {
		log.Reset()
		w := serve(h, request("GET", "/", "Bearer "+c.raw))
		if !strings.Contains(log.String(), c.reason) || strings.Contains(log.String(), c.raw) {
			t.Errorf("the log has %q, not %q", &log, c.reason)
		}
		if strings.Contains(w.Body.String()+fmt.Sprint(w.Header()), c.reason) {
			t.Errorf("the caller hears %q", c.reason)
		}
	}
}

// A handler that knows only from the request what is needed calls the middleware itself.
func TestAHandlerRequiresALoginByTheRequest(t *testing.T) {
	s := newStand(t)
	dear := s.v.RequireACR("2")(ok)
	h := s.v.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("amount") == "1000" {
			dear.ServeHTTP(w, r)
			return
		}
		ok(w, r)
	}))
	weak := "Bearer " + s.login("1", 0, nil)
	if w := serve(h, request("GET", "/?amount=1", weak)); w.Code != 200 || w.Body.String() != "alice" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := serve(h, request("GET", "/?amount=1000", weak)); w.Code != 401 ||
		w.Header().Get("WWW-Authenticate") != stepUp+`, acr_values="2"` {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := serve(h, request("GET", "/?amount=1000", "Bearer "+s.login("2", 0, nil))); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
