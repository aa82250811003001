package verifier_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/verifier"
)

func TestJ24J25RefusingCostsNoMemory(t *testing.T) {
	s := newStand(t)
	s.accepted(t, s.genuine(verifier.RS256))
	requests := make([]*http.Request, 100)
	for i := range requests {
		requests[i] = request("GET", "/whoami",
			"Bearer "+strings.Repeat([]string{".", "A", "A.A."}[i%3], []int{8 << 10, 64 << 10, 1 << 18}[i/3%3]))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var wait sync.WaitGroup
	for _, r := range requests {
		wait.Go(func() { rs401(t, serve(s.handler, r)) })
	}
	wait.Wait()
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 10<<20 {
		t.Errorf("100 refusals allocated %d bytes", grown)
	}
}

func TestJ25OversizedHeadersOverTheWire(t *testing.T) {
	s := newStand(t)
	server := httptest.NewServer(s.handler)
	defer server.Close()
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			r, err := http.NewRequest("GET", server.URL+"/whoami", nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Authorization",
				"Bearer "+strings.Repeat("A", []int{8 << 10, 64 << 10, 1 << 20, 2 << 20}[i%4]))
			resp, err := server.Client().Do(r)
			if err != nil { // the server may close a connection whose header it does not read to the end
				return
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	wait.Wait()
	s.accepted(t, s.genuine(verifier.RS256))
}

func TestJ34HowATokenIsPresented(t *testing.T) {
	s := newStand(t)
	at := s.genuine(verifier.EdDSA)
	form := func(method, body string, authorization ...string) *http.Request {
		r := httptest.NewRequest(method, "/whoami", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		if len(authorization) > 0 {
			r.Header["Authorization"] = authorization
		}
		return r
	}
	for _, c := range []struct {
		name    string
		request *http.Request
		status  int
		code    string // of the problem; empty: the request passes
	}{
		{"Bearer", request("GET", "/whoami", "Bearer "+at), 200, ""},
		{"bearer", request("GET", "/whoami", "bearer "+at), 200, ""},
		{"BEARER", request("GET", "/whoami", "BEARER "+at), 200, ""},
		{"two headers", request("GET", "/whoami", "Bearer "+at, "Bearer "+at), 400, "invalid_request"},
		{"two headers, one of another scheme",
			request("GET", "/whoami", "Basic eDp5", "Bearer "+at), 400, "invalid_request"},
		{"no header", request("GET", "/whoami"), 401, "missing_token"},
		{"an empty header", request("GET", "/whoami", ""), 401, "missing_token"},
		{"the scheme alone", request("GET", "/whoami", "Bearer"), 401, "missing_token"},
		{"the scheme and a space", request("GET", "/whoami", "Bearer "), 401, "missing_token"},
		{"another scheme", request("GET", "/whoami", "Basic "+at), 401, "missing_token"},
		{"DPoP", request("GET", "/whoami", "DPoP "+at), 401, "missing_token"},
		{"no scheme", request("GET", "/whoami", at), 401, "missing_token"},
		{"a tab", request("GET", "/whoami", "Bearer\t"+at), 401, "missing_token"},
		{"two spaces", request("GET", "/whoami", "Bearer  "+at), 200, ""},
		{"five spaces", request("GET", "/whoami", "bearer     "+at), 200, ""},
		{"a space and a tab", request("GET", "/whoami", "Bearer \t"+at), 401, "token_invalid"},
		{"nothing but spaces", request("GET", "/whoami", "Bearer   "), 401, "missing_token"},
		{"two tokens in a header", request("GET", "/whoami", "Bearer "+at+", Bearer "+at), 401, "token_invalid"},
		{"the query", request("GET", "/whoami?access_token="+at), 401, "missing_token"},
		{"the query beside the header", request("GET", "/whoami?access_token=x", "Bearer "+at), 200, ""},
		{"the form of a GET", form("GET", "access_token="+at), 401, "missing_token"},
		{"the form of a POST", form("POST", "access_token="+at), 401, "missing_token"},
		{"the form beside the header", form("POST", "a=1&access_token="+at, "Bearer "+at), 400, "invalid_request"},
		{"the form beside the header, escaped", form("POST", "acc%65ss_token=x", "Bearer "+at), 400, "invalid_request"},
		{"the form beside the header of a PUT", form("PUT", "access_token", "Bearer "+at), 400, "invalid_request"},
		{"the form beside a bad token", form("POST", "access_token="+at, "Bearer x"), 401, "token_invalid"},
		{"a form without a token", form("POST", "a=1&xaccess_token=2", "Bearer "+at), 200, ""},
		{"another body that looks like one", httptestBody("POST", "text/plain", "access_token="+at, at), 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.called
			w := serve(s.handler, c.request)
			if w.Code != c.status || (s.called > before) != (c.code == "") {
				t.Fatalf("%d %s, handler called %d times", w.Code, w.Body, s.called-before)
			}
			if c.code == "" {
				return
			}
			if got := problemCode(t, w); got != c.code {
				t.Errorf("code %q", got)
			}
			want := map[string]string{"invalid_request": `Bearer error="invalid_request"`,
				"missing_token": `Bearer realm="` + audience + `"`,
				"token_invalid": `Bearer error="invalid_token"`}[c.code]
			if got := w.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, want) {
				t.Errorf("challenge %s", got)
			}
		})
	}
	// The handler reads the whole body, even the part that the middleware has read.
	long := "a=" + strings.Repeat("b", 200<<10)
	if w := serve(s.handler, form("POST", long, "Bearer "+at)); w.Code != 200 || w.Body.String() != "alice"+long {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
}

func httptestBody(method, contentType, body, at string) *http.Request {
	r := httptest.NewRequest(method, "/whoami", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+at)
	return r
}

func TestJ36ThereIsNoTokenBesideAnError(t *testing.T) {
	s := newStand(t)
	at := s.genuine(verifier.RS256)
	now := s.issuer.Now().Unix()
	for _, raw := range []string{
		"", "..", at + "A", at[:len(at)-4] + "AAAA",
		mk(t, s.header("RS256", nil), s.claims(map[string]any{"exp": now - 100, "iat": now - 200}), s.keys["RS256"]),
		mk(t, s.header("RS256", nil), s.claims(map[string]any{"aud": "x"}), s.keys["RS256"]),
		mk(t, s.header("RS256", map[string]any{"kid": "x"}), s.claims(nil), s.keys["RS256"]),
	} {
		if token, err := s.v.Verify(t.Context(), raw); token != nil || err == nil {
			t.Errorf("%.20q: %v, %v", raw, token, err)
		}
		if token, err := s.v.Authenticate(request("GET", "/", "Bearer "+raw)); token != nil || err == nil {
			t.Errorf("%.20q: %v, %v", raw, token, err)
		}
	}
	s.issuer.Break(status(500))
	if token, err := newVerifier(t, s.issuer.Config(audience)).Verify(t.Context(), at); token != nil ||
		!isUnavailable(err) {
		t.Errorf("%v, %v", token, err)
	}
}
