package verifier_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/statuslist"
	"github.com/signet-id/signet/verifier"
)

// statusStand is a stand whose issuer has status lists.
type statusStand struct {
	*stand
	list   atomic.Value // http.Handler: answers for the lists
	asked  atomic.Int64
	places statuslist.Places
}

func newStatusStand(t testing.TB, change ...func(*verifier.Config)) *statusStand {
	t.Helper()
	s := &statusStand{places: statuslist.New(64)}
	lists := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.list.Load().(http.HandlerFunc)(w, r)
	}))
	t.Cleanup(lists.Close)
	s.stand = newStand(t, append([]func(*verifier.Config){func(c *verifier.Config) { c.StatusBaseURL = lists.URL }}, change...)...)
	s.serve(func() string { return s.listToken(nil, nil) })
	return s
}

// serve answers for the lists with tokens.
func (s *statusStand) serve(token func() string) {
	s.list.Store(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", statuslist.MediaType)
		_, _ = w.Write([]byte(token()))
	}))
}

func (s *statusStand) address(path string) string { return s.issuer.URL + path }

// listToken makes a list's token, with changes of header and claims; nil removes one.
func (s *statusStand) listToken(header, change map[string]any) string {
	s.t.Helper()
	list, err := s.places.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	now := s.issuer.Now().Unix()
	all := map[string]any{"iss": s.issuer.URL, "sub": s.address("/status/0"), "iat": now, "exp": now + 600, "ttl": 15, "status_list": list}
	for name, value := range change {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	heads := map[string]any{"typ": statuslist.Type}
	for name, value := range header {
		heads[name] = value
	}
	return mk(s.t, s.header(verifier.EdDSA, heads), toJSON(s.t, all), s.keys[verifier.EdDSA])
}

// token makes an access token with a status claim.
func (s *statusStand) token(status any) string {
	return mk(s.t, s.header(verifier.EdDSA, nil), s.claims(map[string]any{"status": status}), s.keys[verifier.EdDSA])
}

func reference(uri string, index any) map[string]any {
	return map[string]any{"status_list": map[string]any{"uri": uri, "idx": index}}
}

func (s *statusStand) check(t *testing.T, what string, index int, want error) {
	t.Helper()
	_, err := s.v.Verify(t.Context(), s.token(reference(s.address("/status/0"), index)))
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestStatusOfATokenIsChecked(t *testing.T) {
	s := newStatusStand(t)
	s.places.Revoke(7)
	s.check(t, "a valid token", 6, nil)
	s.check(t, "a revoked token", 7, verifier.ErrRevoked)
	s.check(t, "a place outside of the list", 64, verifier.ErrInvalid)
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the list was fetched %d times", n)
	}
	if _, err := s.v.Verify(t.Context(), s.token(nil)); err != nil {
		t.Errorf("a token that names no list: %v", err)
	}
	res := httptest.NewRecorder()
	req := httptest.NewRequest("GET", "/whoami", nil)
	req.Header.Set("Authorization", "Bearer "+s.token(reference(s.address("/status/0"), 7)))
	s.handler.ServeHTTP(res, req)
	if challenge := res.Header().Get("WWW-Authenticate"); res.Code != 401 || !strings.Contains(challenge, `error="invalid_token"`) ||
		!strings.Contains(res.Body.String(), verifier.CodeTokenRevoked) {
		t.Errorf("%d %s %s", res.Code, challenge, res.Body)
	}
}

// A list is fetched anew when its ttl is over, so that a revocation shows then, and used until it
// expires while it cannot be fetched.
func TestStatusListThroughTime(t *testing.T) {
	s := newStatusStand(t)
	s.check(t, "at first", 3, nil)
	s.places.Revoke(3)
	s.issuer.Advance(15 * time.Second)
	s.check(t, "after its ttl", 3, verifier.ErrRevoked)

	s.list.Store(http.HandlerFunc(status(503).ServeHTTP))
	for _, wait := range []time.Duration{15 * time.Second, time.Minute, 8 * time.Minute} {
		s.issuer.Advance(wait)
		s.check(t, "during an outage", 3, verifier.ErrRevoked)
		s.check(t, "during an outage", 4, nil)
	}
	s.issuer.Advance(time.Minute)
	s.check(t, "after the list has expired", 4, verifier.ErrStatusUnavailable)
	res := httptest.NewRecorder()
	req := httptest.NewRequest("GET", "/whoami", nil)
	req.Header.Set("Authorization", "Bearer "+s.token(reference(s.address("/status/0"), 4)))
	s.handler.ServeHTTP(res, req)
	if res.Code != 503 || res.Header().Get("Retry-After") == "" || res.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v", res.Code, res.Header())
	}
	s.serve(func() string { return s.listToken(nil, nil) })
	s.issuer.Advance(10 * time.Second)
	s.check(t, "afterwards", 4, nil)
}

// A flood of tokens whose list cannot be had costs a fetch per cooldown.
func TestStatusListFailing(t *testing.T) {
	s := newStatusStand(t)
	s.list.Store(http.HandlerFunc(status(500).ServeHTTP))
	for range 100 {
		s.check(t, "without a list", 1, verifier.ErrStatusUnavailable)
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the list was asked for %d times", n)
	}
	s.issuer.Advance(10 * time.Second)
	s.check(t, "later", 1, verifier.ErrStatusUnavailable)
	if n := s.asked.Load(); n != 2 {
		t.Errorf("the list was asked for %d times", n)
	}
}

func TestStatusIgnored(t *testing.T) {
	s := newStatusStand(t, func(c *verifier.Config) { c.Status = verifier.StatusIgnore })
	s.places.Revoke(1)
	s.check(t, "a revoked token", 1, nil)
	if _, err := s.v.Verify(t.Context(), s.token(map[string]any{"other": true})); err != nil {
		t.Errorf("another mechanism: %v", err)
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("a list was fetched %d times", n)
	}
	if _, err := verifier.New(verifier.Config{Issuer: "https://id.test", Audience: []string{"a"}, Status: 2}); err == nil {
		t.Error("there is a third policy")
	}
}

// Without network a token that names a list is refused unless the configuration says otherwise, and the
// log says once what to do.
func TestStatusOffline(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	s := newStatusStand(t)
	bundle := s.bundle(verifier.EdDSA)
	for policy, want := range map[verifier.StatusPolicy]error{
		verifier.StatusRequire: verifier.ErrStatusUnavailable, verifier.StatusIgnore: nil,
	} {
		s.offline(bundle, func(c *verifier.Config) { c.Logger, c.Status = logTo(&mu, &log), policy })
		s.check(t, "the first token", 1, want)
		s.check(t, "another one", 2, want)
		if _, err := s.v.Verify(t.Context(), s.genuine(verifier.EdDSA)); err != nil {
			t.Errorf("a token without a status: %v", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(log.String(), "StatusIgnore"); n != 1 {
		t.Errorf("the log says %d times what to do: %s", n, &log)
	}
}

// What a token may name as its list.
func TestHostileStatusClaims(t *testing.T) {
	s := newStatusStand(t)
	good := s.address("/status/0")
	for name, claim := range map[string]any{
		"no object":                 "revoked",
		"a list":                    []any{},
		"no mechanism":              map[string]any{},
		"another mechanism":         map[string]any{"other": map[string]any{}},
		"status_list is no object":  map[string]any{"status_list": good},
		"no uri":                    map[string]any{"status_list": map[string]any{"idx": 1}},
		"no idx":                    map[string]any{"status_list": map[string]any{"uri": good}},
		"a uri that is a number":    reference("", 1),
		"a negative idx":            reference(good, -1),
		"a broken idx":              reference(good, 1.5),
		"an idx as a string":        reference(good, "1"),
		"a huge idx":                reference(good, 1e30),
		"an idx beyond the list":    reference(good, int64(1)<<62),
		"another host":              reference("https://evil.test/status/0", 1),
		"a host that begins alike":  reference(s.issuer.URL+".evil.test/status/0", 1),
		"a user name":               reference(strings.Replace(good, "://", "://evil@", 1), 1),
		"another port":              reference(s.issuer.URL+"0/status/0", 1),
		"above the issuer":          reference(s.issuer.URL+"/../status/0", 1),
		"above the issuer, escaped": reference(s.issuer.URL+"/%2e%2e/status/0", 1),
		"a query":                   reference(good+"?a=b", 1),
		"a fragment":                reference(good+"#a", 1),
		"the issuer itself":         reference(s.issuer.URL+"/", 1),
		"an empty part of a path":   reference(s.issuer.URL+"//status/0", 1),
		"a slash at the end":        reference(good+"/", 1),
		"a line break":              reference(good+"\n", 1),
		"an address without end":    reference(good+strings.Repeat("0", 600), 1),
		"a file":                    reference("file:///etc/passwd", 1),
	} {
		if _, err := s.v.Verify(t.Context(), s.token(claim)); !errors.Is(err, verifier.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.asked.Load(); n > 1 {
		t.Errorf("lists were asked for %d times", n)
	}
	// A token that is refused anyway fetches nothing.
	expired := mk(t, s.header(verifier.EdDSA, nil), s.claims(map[string]any{"exp": s.issuer.Now().Unix() - 100,
		"iat": s.issuer.Now().Unix() - 200, "status": reference(s.address("/status/9"), 1)}), s.keys[verifier.EdDSA])
	before := s.asked.Load()
	if _, err := s.v.Verify(t.Context(), expired); !errors.Is(err, verifier.ErrExpired) || s.asked.Load() != before {
		t.Errorf("an expired token: %v, %d fetches", err, s.asked.Load()-before)
	}
}

// Whatever is wrong with a list, no token that names it is accepted.
func TestHostileStatusLists(t *testing.T) {
	var redirected atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { redirected.Add(1) }))
	defer elsewhere.Close()
	for name, answer := range map[string]func(s *statusStand) any{
		"another typ":    func(s *statusStand) any { return s.listToken(map[string]any{"typ": "at+jwt"}, nil) },
		"no typ":         func(s *statusStand) any { return s.listToken(map[string]any{"typ": nil}, nil) },
		"alg none":       func(s *statusStand) any { return s.listToken(map[string]any{"alg": "none"}, nil) },
		"another alg":    func(s *statusStand) any { return s.listToken(map[string]any{"alg": "RS256"}, nil) },
		"an unknown key": func(s *statusStand) any { return s.listToken(map[string]any{"kid": "x"}, nil) },
		"crit":           func(s *statusStand) any { return s.listToken(map[string]any{"crit": []string{"x"}}, nil) },
		"another key": func(s *statusStand) any {
			return mk(s.t, s.header(verifier.RS256, map[string]any{"typ": statuslist.Type}), "{}", rsaKeys()[1])
		},
		"another issuer": func(s *statusStand) any { return s.listToken(nil, map[string]any{"iss": "https://evil.test"}) },
		"another sub":    func(s *statusStand) any { return s.listToken(nil, map[string]any{"sub": s.address("/status/1")}) },
		"no sub":         func(s *statusStand) any { return s.listToken(nil, map[string]any{"sub": nil}) },
		"no iat":         func(s *statusStand) any { return s.listToken(nil, map[string]any{"iat": nil}) },
		"of the future":  func(s *statusStand) any { return s.listToken(nil, map[string]any{"iat": s.issuer.Now().Unix() + 100}) },
		"not valid yet":  func(s *statusStand) any { return s.listToken(nil, map[string]any{"nbf": s.issuer.Now().Unix() + 100}) },
		"expired":        func(s *statusStand) any { return s.listToken(nil, map[string]any{"exp": s.issuer.Now().Unix()}) },
		"no list":        func(s *statusStand) any { return s.listToken(nil, map[string]any{"status_list": nil}) },
		"three bits": func(s *statusStand) any {
			return s.listToken(nil, map[string]any{"status_list": map[string]any{"bits": 3, "lst": "eNrbuRgAAhcBXQ"}})
		},
		"not zlib": func(s *statusStand) any {
			return s.listToken(nil, map[string]any{"status_list": map[string]any{"bits": 1, "lst": "AAAA"}})
		},
		"a bomb": func(s *statusStand) any { s.places = statuslist.New(256 << 23); return s.listToken(nil, nil) },
		"a member twice": func(s *statusStand) any {
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(s.listToken(nil, nil), ".")[1])
			if err != nil {
				s.t.Fatal(err)
			}
			twice := `{"ttl":15,` + string(payload[1:])
			return mk(s.t, s.header("EdDSA", map[string]any{"typ": statuslist.Type}), twice, s.keys["EdDSA"])
		},
		"a changed one":   func(s *statusStand) any { return s.listToken(nil, nil) + "AAAA" },
		"an access token": func(s *statusStand) any { return s.token(nil) },
		"nothing":         func(*statusStand) any { return "" },
		"9 MiB":           func(*statusStand) any { return strings.Repeat("x", 9<<20) },
		"not found":       func(*statusStand) any { return http.HandlerFunc(status(404).ServeHTTP) },
		"another type": func(s *statusStand) any {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s.listToken(nil, nil)) })
		},
		"a redirect away": func(*statusStand) any { return http.RedirectHandler(elsewhere.URL+"/status/0", http.StatusFound) },
		"a broken connection": func(*statusStand) any {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStatusStand(t)
			switch a := answer(s).(type) {
			case string:
				s.serve(func() string { return a })
			case http.Handler:
				s.list.Store(http.HandlerFunc(a.ServeHTTP))
			}
			s.check(t, "the list", 1, verifier.ErrStatusUnavailable)
		})
	}
	if redirected.Load() > 0 {
		t.Error("a redirect to another host was followed")
	}
}

// An older copy, from a cache or a replica that is behind, takes no revocation back.
func TestStatusListOfBefore(t *testing.T) {
	s := newStatusStand(t)
	before := s.listToken(nil, nil)
	s.issuer.Advance(20 * time.Second)
	s.places.Revoke(5)
	s.check(t, "at first", 5, verifier.ErrRevoked)
	s.serve(func() string { return before })
	s.issuer.Advance(20 * time.Second)
	s.check(t, "an older copy", 5, verifier.ErrRevoked)
	s.serve(func() string { return s.listToken(nil, nil) })
	s.places = statuslist.New(64)
	s.issuer.Advance(20 * time.Second)
	s.check(t, "while it is fetched", 5, verifier.ErrRevoked) // the fetch before failed, so none waits for this one
	verifier.AwaitStatus(s.v)
	s.check(t, "a newer list", 5, nil)
}

// Lists of two, four and eight bits: every status but 0 refuses.
func TestStatusListsOfMoreBits(t *testing.T) {
	s := newStatusStand(t)
	lst := "eNo76fITAAPfAgc" // 1 2 0 3 0 1 0 1 1 2 3 3, of the specification's section 4.1
	s.serve(func() string {
		return s.listToken(nil, map[string]any{"status_list": map[string]any{"bits": 2, "lst": lst}})
	})
	for index, status := range []int{1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3} {
		want := verifier.ErrRevoked
		if status == 0 {
			want = nil
		}
		s.check(t, fmt.Sprint("status ", status), index, want)
	}
}

// What the issuer revoked at once concerns tokens that name no list as well.
func TestStatusCutoff(t *testing.T) {
	s := newStatusStand(t)
	bare := s.token(nil)
	s.issuer.Advance(time.Minute)
	cutoff := s.issuer.Now().Unix()
	s.serve(func() string { return s.listToken(nil, map[string]any{"revoked_before": cutoff}) })
	if _, err := s.v.Verify(t.Context(), bare); err != nil {
		t.Errorf("before any list says so: %v", err)
	}
	s.check(t, "a token of the same second", 1, nil)
	if _, err := s.v.Verify(t.Context(), bare); !errors.Is(err, verifier.ErrRevoked) {
		t.Errorf("a token from before: %v", err)
	}
	earlier := mk(t, s.header(verifier.EdDSA, nil), s.claims(map[string]any{"iat": cutoff - 1,
		"status": reference(s.address("/status/0"), 1)}), s.keys[verifier.EdDSA])
	if _, err := s.v.Verify(t.Context(), earlier); !errors.Is(err, verifier.ErrRevoked) {
		t.Errorf("a token from before, whose place says nothing: %v", err)
	}
	// A list that does not say it, such as an older copy, takes nothing back.
	s.serve(func() string { return s.listToken(nil, nil) })
	s.issuer.Advance(20 * time.Second)
	s.check(t, "a new token", 1, nil)
	for _, raw := range []string{bare, earlier} {
		if _, err := s.v.Verify(t.Context(), raw); !errors.Is(err, verifier.ErrRevoked) {
			t.Errorf("a token from before, after a list without a cutoff: %v", err)
		}
	}
}

// Many lists: the memory stays bounded, and those in use stay.
func TestManyStatusLists(t *testing.T) {
	s := newStatusStand(t)
	var busy atomic.Int64
	s.list.Store(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/status/busy" {
			busy.Add(1)
		}
		w.Header().Set("Content-Type", statuslist.MediaType)
		fmt.Fprint(w, s.listToken(nil, map[string]any{"sub": s.address(r.URL.Path)}))
	}))
	for n := range 400 {
		s.issuer.Advance(time.Millisecond)
		for _, name := range []string{strconv.Itoa(n), "busy"} {
			if _, err := s.v.Verify(t.Context(), s.token(reference(s.address("/status/"+name), 1))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := busy.Load(); n != 1 {
		t.Errorf("the list that is in use was fetched %d times", n)
	}
	if n, bytes := verifier.StatusLists(s.v); n > 256 || bytes != n*8 {
		t.Errorf("%d lists of %d bytes are kept", n, bytes)
	}
}

func BenchmarkVerifyWithStatus(b *testing.B) {
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprint("status=", with), func(b *testing.B) {
			s := newStatusStand(b)
			s.places = statuslist.New(statuslist.Size)
			token := s.token(nil)
			if with {
				token = s.token(reference(s.address("/status/0"), 12345))
			}
			for b.Loop() {
				if _, err := s.v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
