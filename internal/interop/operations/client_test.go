//go:build interop

package operations

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// request is what a client sends, and the status that it wants.
type request struct {
	path    string
	get     bool // otherwise it is a POST, or what method says
	method  string
	json    any
	form    url.Values
	bearer  string
	app     *app // authenticates by client_secret_basic
	browser *browser
	want    int
}

type answer struct {
	status   int
	body     []byte
	location string
}

// read decodes a JSON answer.
func (a answer) read(t *testing.T, to any) {
	t.Helper()
	if err := json.Unmarshal(a.body, to); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

// app is a registered client.
type app struct {
	ID          string            `json:"client_id"`
	Secret      string            `json:"client_secret,omitempty"`
	RedirectURI string            `json:"redirect_uri"`
	Bye         string            `json:"post_logout_redirect_uri"`
	Keys        []json.RawMessage `json:"private_keys,omitempty"`
}

// browser keeps cookies.
type browser struct{ cookies map[string]string }

func newBrowser() *browser { return &browser{cookies: map[string]string{}} }

// busy counts answers that said that the processors do not keep up with the passwords.
var busy atomic.Int64

var client = &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
	return http.ErrUseLastResponse
}}

// ask sends a request to the issuer, or to one of its replicas. Any status but the wanted one is an
// error. Only a server that has too many passwords to hash is asked again, as docs/client-apps.md
// demands; everything else that is answered 503 is an error.
func (s *service) ask(at string, q request) (answer, error) {
	for try := 0; ; try++ {
		a, err := s.askOnce(at, q)
		switch {
		case err != nil:
			return a, fmt.Errorf("%s at %s: %w", q.path, at, err)
		case a.status == q.want:
			return a, nil
		case a.status == http.StatusServiceUnavailable && strings.Contains(string(a.body), `"overloaded"`) && try < 20:
			busy.Add(1)
			time.Sleep(time.Second)
		default:
			return a, fmt.Errorf("%s at %s: %d, not %d: %s", q.path, at, a.status, q.want, a.body)
		}
	}
}

func (s *service) askOnce(at string, q request) (a answer, err error) {
	method, body, kind := http.MethodPost, io.Reader(nil), ""
	switch {
	case q.get:
		method = http.MethodGet
	case q.json != nil:
		text, err := json.Marshal(q.json)
		if err != nil {
			return a, err
		}
		body, kind = strings.NewReader(string(text)), "application/json"
	case q.form != nil:
		body, kind = strings.NewReader(q.form.Encode()), "application/x-www-form-urlencoded"
	}
	if q.method != "" {
		method = q.method
	}
	r, err := http.NewRequest(method, at+q.path, body)
	if err != nil {
		return a, err
	}
	r.Host = strings.TrimPrefix(s.issuer, "http://")
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if q.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+q.bearer)
	}
	if q.app != nil {
		r.SetBasicAuth(url.QueryEscape(q.app.ID), url.QueryEscape(q.app.Secret))
	}
	if q.browser != nil {
		for name, value := range q.browser.cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		r.Header.Set("Origin", s.issuer)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := client.Do(r)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if q.browser != nil {
		for _, c := range resp.Cookies() {
			if q.browser.cookies[c.Name] = c.Value; c.MaxAge < 0 {
				delete(q.browser.cookies, c.Name)
			}
		}
	}
	a = answer{status: resp.StatusCode, location: resp.Header.Get("Location")}
	a.body, err = io.ReadAll(resp.Body)
	return a, err
}

// must is like ask and ends the test with the error.
func (s *service) must(t *testing.T, at string, q request) answer {
	t.Helper()
	a, err := s.ask(at, q)
	must(t, err)
	return a
}

const password = "correct horse battery staple"

// tokens are those of a session. Without an app it is one of the account API.
type tokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	app     *app
}

func (s *service) signUp(at, email string) error {
	_, err := s.ask(at, request{path: "/v1/signup", want: http.StatusCreated,
		json: map[string]string{"email": email, "password": password, "given_name": "Ada"}})
	return err
}

func (s *service) logIn(at, email string) (got tokens, err error) {
	a, err := s.ask(at, request{path: "/v1/login", want: http.StatusOK,
		json: map[string]string{"email": email, "password": password, "scope": "openid profile email"}})
	if err == nil {
		err = json.Unmarshal(a.body, &got)
	}
	return got, err
}

// refresh exchanges a refresh token, and wants the next one.
func (s *service) refresh(at string, old tokens) (got tokens, err error) {
	q := request{path: "/v1/refresh", json: map[string]string{"refresh_token": old.Refresh}, want: http.StatusOK}
	if old.app != nil {
		q = request{path: "/oauth2/token", app: old.app, want: http.StatusOK,
			form: url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.Refresh}}}
	}
	a, err := s.ask(at, q)
	if err == nil {
		err = json.Unmarshal(a.body, &got)
	}
	if got.app = old.app; err == nil && (got.Access == "" || generation(got) != generation(old)+1) {
		err = fmt.Errorf("generation %d was followed by %d", generation(old), generation(got))
	}
	return got, err
}

// refused sends a refresh token that must not be taken.
func (s *service) refused(t *testing.T, at string, old tokens) {
	t.Helper()
	q := request{path: "/v1/refresh", json: map[string]string{"refresh_token": old.Refresh}, want: http.StatusUnauthorized}
	if old.app != nil {
		q = request{path: "/oauth2/token", app: old.app, want: http.StatusBadRequest,
			form: url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.Refresh}}}
	}
	s.must(t, at, q)
}

// part returns the header (0) or the claims (1) of a token, which somebody else verifies.
func part(token string, n int) (claims map[string]any) {
	if parts := strings.Split(token, "."); len(parts) == 3 {
		text, _ := base64.RawURLEncoding.DecodeString(parts[n])
		_ = json.Unmarshal(text, &claims)
	}
	return claims
}

func generation(k tokens) int {
	gen, _ := part(k.Refresh, 1)["gen"].(float64)
	return int(gen)
}

func keyID(token string) string {
	kid, _ := part(token, 0)["kid"].(string)
	return kid
}

var (
	action  = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	hidden  = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)"`)
	hasForm = regexp.MustCompile(`id="(login-submit|consent-approve)"`)
)

// authorize is what a browser does until it has a code. Each request goes to the next address.
func (s *service) authorize(next func() string, b *browser, c *app, email, verifier string) (code string, err error) {
	sum := sha256.Sum256([]byte(verifier))
	q := request{get: true, browser: b, want: http.StatusSeeOther, path: "/oauth2/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.RedirectURI}, "state": {"s"}, "nonce": {"n"},
		"scope":          {"openid profile email offline_access"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()}
	for range 10 {
		a, err := s.askOnce(next(), q)
		if err != nil {
			return "", err
		}
		if u, err := url.Parse(a.location); err == nil && strings.HasPrefix(a.location, c.RedirectURI) {
			return u.Query().Get("code"), nil
		}
		if a.status == http.StatusSeeOther && strings.HasPrefix(a.location, "/") {
			q = request{get: true, browser: b, path: a.location}
			continue
		}
		page := string(a.body)
		form, button := action.FindStringSubmatch(page), hasForm.FindStringSubmatch(page)
		if a.status != http.StatusOK || form == nil || button == nil {
			return "", fmt.Errorf("%s is answered %d %s", q.path, a.status, page)
		}
		fields := url.Values{}
		for _, m := range hidden.FindAllStringSubmatch(page, -1) {
			fields.Set(m[1], html.UnescapeString(m[2]))
		}
		if fields.Set("decision", "approve"); button[1] == "login-submit" {
			fields = url.Values{"email": {email}, "password": {password}, "request": fields["request"], "csrf": fields["csrf"]}
		}
		q = request{browser: b, path: html.UnescapeString(form[1]), form: fields}
	}
	return "", errors.New("the pages lead nowhere")
}

// redeem exchanges a code.
func (s *service) redeem(at string, c *app, code, verifier string) (got tokens, err error) {
	a, err := s.ask(at, request{path: "/oauth2/token", app: c, want: http.StatusOK, form: url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.RedirectURI}, "code_verifier": {verifier}}})
	if err == nil {
		err = json.Unmarshal(a.body, &got)
	}
	got.app = c
	return got, err
}

func newVerifier() string { return rand.Text() + rand.Text() }

const period = 30 // seconds of an authenticator app's code

// authenticator is an authenticator app. It shows each code once (RFC 6238).
type authenticator struct {
	email  string
	secret []byte
	last   int64 // the step of the last code
}

// ready reports whether there is a code that Signet takes now and that was not shown before.
func (a *authenticator) ready() bool { return a.last <= time.Now().Unix()/period }

func (a *authenticator) code() string {
	a.last = max(a.last+1, time.Now().Unix()/period)
	h := hmac.New(sha1.New, a.secret)
	_ = binary.Write(h, binary.BigEndian, a.last)
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1000000)
}

// logInWithCode takes both steps of a login, each at the next address, with a code of the app or, if
// there is one, with a recovery code.
func (s *service) logInWithCode(next func() string, a *authenticator, recovery string) (got tokens, err error) {
	first, err := s.ask(next(), request{path: "/v1/login", want: http.StatusUnauthorized,
		json: map[string]string{"email": a.email, "password": password, "scope": "openid profile email"}})
	if err != nil {
		return got, err
	}
	var step struct{ Code, Login string }
	if err := json.Unmarshal(first.body, &step); err != nil || step.Code != "second_factor_required" {
		return got, fmt.Errorf("the password of %s is answered %s", a.email, first.body)
	}
	path, code := "/v1/login/recovery-code", recovery
	if recovery == "" {
		path, code = "/v1/login/totp", a.code()
	}
	second, err := s.ask(next(), request{path: path, want: http.StatusOK,
		json: map[string]string{"login": step.Login, "code": code}})
	if err == nil {
		err = json.Unmarshal(second.body, &got)
	}
	return got, err
}

// djangoHash is a hash of password that takes no time; the first login replaces it.
const djangoHash = "pbkdf2_sha256$1000$operations$DtgPQYQBT0OdjgfZ8kvDoTsVA8d/CCV3HdfOX0d60Us="

// importPeople makes accounts that have an authenticator app. The program is the operator's.
func (s *service) importPeople(t *testing.T, program, name string, n int) (all []*authenticator) {
	t.Helper()
	var lines strings.Builder
	for i := range n {
		a := &authenticator{email: fmt.Sprintf("%s-%d@example.com", name, i), secret: []byte(rand.Text()[:20])}
		all = append(all, a)
		line, err := json.Marshal(map[string]any{"email": a.email, "email_verified": true, "given_name": "Grace",
			"password_hash": djangoHash, "credentials": []map[string]string{{"type": "otp",
				"secretData":     fmt.Sprintf(`{"value":%q}`, a.secret),
				"credentialData": `{"subType":"totp","digits":6,"period":30,"algorithm":"HmacSHA1"}`}}})
		must(t, err)
		lines.Write(append(line, '\n'))
	}
	file := filepath.Join(t.TempDir(), "people.jsonl")
	must(t, os.WriteFile(file, []byte(lines.String()), 0o600))
	said := s.run(t, program, nil, "users", "import", file)
	if !strings.HasPrefix(said, fmt.Sprintf("%d imported, 0 there already", n)) {
		t.Fatal(said)
	}
	return all
}
