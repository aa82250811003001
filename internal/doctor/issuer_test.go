package doctor_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/doctor"
	"github.com/signet-id/signet/internal/testissuer"
	"github.com/signet-id/signet/keys/keystest"
)

type object = map[string]any

// issuerFault changes an answer of a good issuer before it is sent. body is nil for what is no JSON.
type issuerFault struct {
	discovery, keys func(body object, h http.Header)
	status          map[string]int // by path
	want            []string
}

// firstKey changes the first key of a set.
func firstKey(change func(object)) func(object, http.Header) {
	return func(body object, _ http.Header) { change(body["keys"].([]any)[0].(object)) }
}

// withoutEdDSA leaves RSA keys alone in a set, and in discovery.
func withoutEdDSA(body object, _ http.Header) {
	if list, ok := body["keys"].([]any); ok {
		body["keys"] = slices.DeleteFunc(slices.Clone(list), func(k any) bool { return k.(object)["kty"] != "RSA" })
	}
	body["id_token_signing_alg_values_supported"] = []string{"RS256"}
}

const (
	discoveryPath = "/.well-known/openid-configuration"
	otherPath     = "/.well-known/oauth-authorization-server"
	keysPath      = "/.well-known/jwks.json"
)

// Faults of issuers, one at a time, and all that is found.
var issuerFaults = map[string]issuerFault{
	"":                  {want: []string{"warning strict-verifiers"}},
	"RSA alone":         {discovery: withoutEdDSA, keys: withoutEdDSA},
	"no discovery":      {status: map[string]int{discoveryPath: 404, otherPath: 404}, want: []string{"failed discovery"}},
	"discovery moved":   {status: map[string]int{discoveryPath: 302, otherPath: 302}, want: []string{"failed discovery"}},
	"OAuth's discovery": {status: map[string]int{discoveryPath: 404}, want: []string{"warning strict-verifiers"}},
	"discovery is text": {discovery: func(_ object, h http.Header) { h.Set("Content-Type", "text/plain") },
		want: []string{"failed discovery", "warning strict-verifiers"}},
	"another issuer": {discovery: func(b object, _ http.Header) { b["issuer"] = b["issuer"].(string) + "/" },
		want: []string{"failed issuer", "warning strict-verifiers"}},
	"no jwks_uri": {discovery: func(b object, _ http.Header) { delete(b, "jwks_uri") }, want: []string{"failed metadata"}},
	"a plain endpoint": {discovery: func(b object, _ http.Header) { b["token_endpoint"] = "http://id.example.com/token" },
		want: []string{"failed metadata", "warning strict-verifiers"}},
	"none is offered": {discovery: func(b object, _ http.Header) {
		b["id_token_signing_alg_values_supported"] = []string{"RS256", "none"}
	}, want: []string{"warning algorithms", "warning strict-verifiers"}},
	"HS256 is offered": {discovery: func(b object, _ http.Header) {
		b["id_token_signing_alg_values_supported"] = []string{"RS256", "HS256"}
	}, want: []string{"warning algorithms", "warning strict-verifiers"}},
	"no S256": {discovery: func(b object, _ http.Header) { b["code_challenge_methods_supported"] = []string{"plain"} },
		want: []string{"warning pkce", "warning strict-verifiers"}},
	"an algorithm without a key": {discovery: func(b object, _ http.Header) {
		b["id_token_signing_alg_values_supported"] = []string{"RS256", "ES256"}
	}, want: []string{"failed algorithms-keys", "warning strict-verifiers"}},
	"no key set":    {status: map[string]int{keysPath: 500}, want: []string{"failed key-set"}},
	"key set moved": {status: map[string]int{keysPath: 302}, want: []string{"failed key-set"}},
	"no keys":       {keys: func(b object, _ http.Header) { b["keys"] = []any{} }, want: []string{"failed key-set"}},
	"a private key": {keys: firstKey(func(k object) { k["d"] = "AQAB" }), want: []string{"failed private-members", "warning strict-verifiers"}},
	"a shared secret": {keys: func(b object, _ http.Header) {
		b["keys"] = append(b["keys"].([]any), object{"kty": "oct", "k": "c2VjcmV0", "kid": "x", "alg": "HS256", "use": "sig"})
	}, want: []string{"failed private-members", "warning strict-verifiers", "warning successor"}},
	"a weak key": {keys: firstKey(func(k object) { k["n"] = k["n"].(string)[:170] }), want: []string{"failed key-size", "warning strict-verifiers"}},
	"no kid":     {keys: firstKey(func(k object) { delete(k, "kid") }), want: []string{"failed kid", "warning strict-verifiers"}},
	"a kid twice": {keys: func(b object, _ http.Header) {
		list := b["keys"].([]any)
		list[0].(object)["kid"] = list[1].(object)["kid"]
	}, want: []string{"failed kid", "warning strict-verifiers"}},
	"no alg": {keys: firstKey(func(k object) { delete(k, "use") }), want: []string{"warning alg-use", "warning strict-verifiers"}},
	"no successor": {keys: func(b object, h http.Header) {
		withoutEdDSA(b, h)
		b["keys"] = b["keys"].([]any)[:1]
	}, discovery: withoutEdDSA, want: []string{"warning successor"}},
	"many keys": {keys: func(b object, h http.Header) {
		withoutEdDSA(b, h)
		for _, kid := range []string{"a", "b", "c", "d", "e"} {
			b["keys"] = append(b["keys"].([]any), object{"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "e": "AQAB",
				"n": b["keys"].([]any)[0].(object)["n"]})
		}
	}, discovery: withoutEdDSA, want: []string{"warning old-keys"}},
	"no cache": {keys: func(_ object, h http.Header) { h.Set("Cache-Control", "no-store") },
		want: []string{"warning strict-verifiers", "warning cache"}},
	"a long cache": {keys: func(_ object, h http.Header) { h.Set("Cache-Control", "max-age=604800") },
		want: []string{"warning strict-verifiers", "warning cache"}},
	"a short cache": {keys: func(_ object, h http.Header) { h.Set("Cache-Control", "max-age=5") },
		want: []string{"warning strict-verifiers", "warning cache"}},
	"no ETag": {keys: func(_ object, h http.Header) { h.Del("ETag") }, want: []string{"warning strict-verifiers", "warning conditional"}},
	"no CORS": {keys: func(_ object, h http.Header) { h.Del("Access-Control-Allow-Origin") }, want: []string{"warning strict-verifiers", "warning cors"}},
	"no ETag and no CORS": {keys: func(_ object, h http.Header) { h.Del("ETag"); h.Del("Access-Control-Allow-Origin") },
		want: []string{"warning strict-verifiers", "warning cors", "warning conditional"}},
	"another clock": {discovery: func(_ object, h http.Header) {
		h.Set("Date", time.Now().Add(-5*time.Minute).UTC().Format(http.TimeFormat))
	}, want: []string{"failed clock", "warning strict-verifiers"}},
}

func TestFaultsOfIssuersAreFound(t *testing.T) {
	issuer, err := testissuer.Start(t.Context(), testissuer.Options{Clock: testissuer.Running(time.Now), Make: keystest.Generator()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer issuer.Close()
	for name, fault := range issuerFaults {
		t.Run(name, func(t *testing.T) {
			proxy := httptest.NewServer(nil)
			defer proxy.Close()
			proxy.Config.Handler = fault.between(t, issuer.URL, proxy.URL)
			report, err := doctor.Issuer{URL: proxy.URL, Now: time.Now}.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := findings(report); !slices.Equal(got, fault.want) {
				t.Errorf("it found %q, not %q: %+v", got, fault.want, report)
			}
		})
	}
}

// unreadable are answers that begin and that no client can read.
var unreadable = map[string]string{
	"a bad header line": "HTTP/1.1 200 OK\r\nplanted header\r\n\r\n{}",
	"no status line":    "planted, and no HTTP\r\n\r\n",
	"a cut body":        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"planted\":1",
	"too long a body": "HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n" +
		strings.Repeat("planted", 1<<20/7+1)[:1<<20+1],
}

// An answer that cannot be read is a failed check, and not the end of the examination.
func TestAnswersThatCannotBeRead(t *testing.T) {
	issuer, err := testissuer.Start(t.Context(), testissuer.Options{Clock: testissuer.Running(time.Now), Make: keystest.Generator()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer issuer.Close()
	for name, text := range unreadable {
		for path, want := range map[string]string{discoveryPath: "failed discovery", keysPath: "failed key-set"} {
			proxy := httptest.NewServer(nil)
			good := issuerFault{}.between(t, issuer.URL, proxy.URL)
			proxy.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != path {
					good.ServeHTTP(w, r)
					return
				}
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(conn, text) // the client may have had enough of it
				conn.Close()
			})
			report, err := doctor.Issuer{URL: proxy.URL, Now: time.Now}.Run(t.Context())
			proxy.Close()
			if got := findings(report); err != nil || !slices.Equal(got, []string{want}) {
				t.Errorf("%s at %s: it found %q, %v", name, path, got, err)
			}
			if junit, err := report.JUnit(); err != nil || !strings.Contains(string(junit), "<failure") ||
				strings.Contains(string(junit), "planted") {
				t.Errorf("%s at %s: %v: %s", name, path, err, junit)
			}
		}
	}
}

// A report repeats only the beginning of what a server says.
func TestAnswersAreCut(t *testing.T) {
	issuer, err := testissuer.Start(t.Context(), testissuer.Options{Clock: testissuer.Running(time.Now), Make: keystest.Generator()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer issuer.Close()
	proxy := httptest.NewServer(nil)
	defer proxy.Close()
	long := issuerFault{
		discovery: func(b object, _ http.Header) { b["issuer"] = strings.Repeat("é", 100_000) },
		keys:      func(_ object, h http.Header) { h.Set("Cache-Control", "max-age=300"+strings.Repeat(", x", 10_000)) },
	}
	proxy.Config.Handler = long.between(t, issuer.URL, proxy.URL)
	report, err := doctor.Issuer{URL: proxy.URL, Now: time.Now}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range report.Checks {
		if n := utf8.RuneCountInString(c.Answered); n > 301 || !utf8.ValidString(c.Answered) {
			t.Errorf("the answer of %s has %d characters", c.ID, n)
		}
	}
}

// between answers as an issuer does, under an address of its own and with the fault.
func (f issuerFault) between(t *testing.T, issuer, own string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := f.status[r.URL.Path]; status != 0 {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			return
		}
		q, err := http.NewRequest(http.MethodGet, issuer+r.URL.Path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		q.Header = r.Header
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		for name, values := range resp.Header {
			if name != "Content-Length" {
				w.Header()[name] = values
			}
		}
		change := f.discovery
		if r.URL.Path == keysPath {
			change = f.keys
		}
		var body object
		if json.Unmarshal([]byte(strings.ReplaceAll(string(text), issuer, own)), &body) == nil {
			if change != nil {
				change(body, w.Header())
			}
			if text, err = json.Marshal(body); err != nil {
				t.Error(err)
			}
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(text)
	})
}

// Over TLS the certificate is looked at; plain http on another machine fails.
func TestTransport(t *testing.T) {
	issuer, err := testissuer.Start(t.Context(), testissuer.Options{Clock: testissuer.Running(time.Now), Make: keystest.Generator()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer issuer.Close()
	proxy := httptest.NewUnstartedServer(nil)
	proxy.StartTLS()
	defer proxy.Close()
	hsts := ""
	fault := issuerFault{discovery: func(b object, h http.Header) {
		withoutEdDSA(b, h)
		if hsts != "" {
			h.Set("Strict-Transport-Security", hsts)
		}
	}, keys: withoutEdDSA}
	proxy.Config.Handler = fault.between(t, issuer.URL, proxy.URL)
	client := proxy.Client()
	for _, c := range []struct {
		hsts string
		now  func() time.Time
		want []string
	}{
		{"", time.Now, []string{"warning https"}},
		{"max-age=63072000", time.Now, nil},
		{"max-age=63072000", func() time.Time { return proxy.Certificate().NotAfter.Add(-time.Hour) }, []string{"warning https", "failed clock"}},
	} {
		hsts = c.hsts
		report, err := doctor.Issuer{URL: proxy.URL, Now: c.now, Client: client}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := findings(report); !slices.Equal(got, c.want) {
			t.Errorf("with %q it found %q, not %q: %+v", c.hsts, got, c.want, report)
		}
	}
	far := &http.Client{Transport: toward(strings.TrimPrefix(issuer.URL, "http://"))}
	for _, remote := range []string{"http://id.example.com", "http://127.example.com"} {
		report, err := doctor.Issuer{URL: remote, Now: time.Now, Client: far}.Run(t.Context())
		if err != nil || !slices.Contains(findings(report), "failed https") {
			t.Errorf("%s: %v: %+v", remote, err, report)
		}
	}
	for _, bad := range []string{"ftp://id.example.com", "https://", "https://id.example.com?x=1", "https://u:p@id.example.com", "://"} {
		if _, err := (doctor.Issuer{URL: bad, Now: time.Now}).Run(t.Context()); err == nil {
			t.Errorf("%s is no issuer", bad)
		}
	}
}

// toward sends every request to one host.
type toward string

func (to toward) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = string(to)
	return http.DefaultTransport.RoundTrip(r)
}
