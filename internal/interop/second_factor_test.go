//go:build interop

package interop

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/interop/browser"
	"github.com/signet-id/signet/internal/totp"
)

// Two libraries show the codes of our keys, of new ones and of imported ones with other parameters.
func TestOthersShowTheCodes(t *testing.T) {
	var keys []totp.Key
	for _, algorithm := range []string{"SHA1", "SHA256", "SHA512"} {
		for _, digits := range []int{6, 7, 8} {
			for _, period := range []int{30, 60} {
				key, err := totp.New(rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				key.Algorithm, key.Digits, key.Period = algorithm, digits, period
				keys = append(keys, key)
			}
		}
	}
	times := []int64{0, 59, 1_111_111_109, time.Now().Unix(), 20_000_000_000}
	var uris []string
	for _, key := range keys {
		uris = append(uris, key.URI("Signet", "ada@example.com"))
	}
	for name, cmd := range map[string]*exec.Cmd{"pyotp": python("totp.py")(t), "otplib": node("totp.js")(t)} {
		input, err := json.Marshal(map[string]any{"uris": uris, "times": times})
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd.Stdin, cmd.Stderr = bytes.NewReader(append(input, '\n')), &stderr
		out, err := cmd.Output()
		var codes [][]string
		if err != nil || json.Unmarshal(out, &codes) != nil || len(codes) != len(keys) {
			t.Fatalf("%s: %v %s%s", name, err, out, &stderr)
		}
		for n, key := range keys {
			for i, at := range times {
				counter, ok := key.Check(codes[n][i], time.Unix(at, 0), -1)
				if !ok || counter != at/int64(key.Period) {
					t.Errorf("%s shows %s at %d for %v", name, codes[n][i], at, key)
				}
			}
		}
	}
}

// withApp makes an account with an authenticator app, as it moves in from another system, and returns
// the app's secret in base32.
func (s *server) withApp(t *testing.T, u user) (secret string) {
	t.Helper()
	file, secret := importedWithApp(t, u)
	s.signet(t, "users", "import", file)
	return secret
}

// importedWithApp writes a file for `signet users import` that has an account with an authenticator app.
func importedWithApp(t *testing.T, u user) (file, secret string) {
	t.Helper()
	key, err := totp.New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 10_000
	hash, err := pbkdf2.Key(sha256.New, u.Password, []byte("salt"), rounds, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	secret = strings.ReplaceAll(key.Text(), " ", "")
	of, _ := json.Marshal(map[string]any{"value": secret})
	about, _ := json.Marshal(map[string]any{
		"subType": "totp", "digits": key.Digits, "period": key.Period, "algorithm": "HmacSHA1", "secretEncoding": "BASE32",
	})
	line, err := json.Marshal(map[string]any{
		"email": u.Email, "email_verified": true,
		"password_hash": fmt.Sprintf("pbkdf2_sha256$%d$salt$%s", rounds, base64.StdEncoding.EncodeToString(hash)),
		"credentials":   []any{map[string]any{"type": "otp", "secretData": string(of), "credentialData": string(about)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "users.jsonl")
	if err := os.WriteFile(file, append(line, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, secret
}

// codes returns the next code of an app, by pyotp. Each code counts once, and one of the next half
// minute is taken as well.
func codes(t *testing.T, secret string) (next func() string) {
	uri, later := "otpauth://totp/ada?algorithm=SHA1&digits=6&period=30&secret="+secret, int64(0)
	return func() string {
		t.Helper()
		input, _ := json.Marshal(map[string]any{"uris": []string{uri}, "times": []int64{time.Now().Unix() + later}})
		later += 30
		cmd := python("totp.py")(t)
		cmd.Stdin = bytes.NewReader(input)
		var codes [][]string
		out, err := cmd.Output()
		if err != nil || json.Unmarshal(out, &codes) != nil {
			t.Fatalf("%v %s", err, out)
		}
		return codes[0][0]
	}
}

// openid-client steps a login up because an API behind express-oauth2-jwt-bearer asks for two factors.
// All tokens are those of real logins.
func TestOpenIDClientStepsUp(t *testing.T) {
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, registry)
			ada := user{Email: "ada@example.com", Password: "correct horse battery staple"}
			took := stepsOf(t, node("second_factor.js")(t), map[string]any{
				"issuer": s.issuer, "user": ada, "secret": s.withApp(t, ada),
				"clients": map[string]registered{
					"app": s.register(t, "app", "https://app.test/callback", "--resource", resource),
				},
				"resource": resource,
			})
			if want := []string{
				"discovery names both values of acr",
				"a login takes a code, and says so",
				"a trusted browser proves one factor, and says so",
				"an API behind express-oauth2-jwt-bearer refuses its token, and openid-client reads what the API asks for",
				"acr_values steps it up, asking only for what is missing",
				"the token of before stays as weak as it was",
				"what is strong enough is asked for nothing",
			}; !slices.Equal(took, want) {
				t.Errorf("it took the steps %q", took)
			}
		})
	}
}

// oidc-client-ts asks for two factors from a page.
func TestOIDCClientTSStepsUp(t *testing.T) {
	chromium := browser.Start(t)
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, "")
			ada := user{Email: "ada@example.com", Password: "correct horse battery staple"}
			secret := s.withApp(t, ada)
			app := &page{tab: chromium.Tab(t), origin: servePage(t)}
			s.signet(t, "clients", "create", "--client-id", "page", "--name", "Page", "--auth-method", "none",
				"--redirect-uri", app.origin+"/back", "--grant-type", "authorization_code")
			settings, err := json.Marshal(map[string]any{
				"authority": s.issuer, "client_id": "page", "redirect_uri": app.origin + "/back", "scope": "openid",
				"filterProtocolClaims": false, // else the library hides acr
				"automaticSilentRenew": false,
			})
			if err != nil {
				t.Fatal(err)
			}
			app.settings = string(settings)
			code := codes(t, secret)
			back := func() (got signedIn) {
				t.Helper()
				app.tab.Wait(`document.querySelector('#consent-approve')`) // each time: any program could be at this port
				app.tab.Click("#consent-approve")
				app.tab.Wait(`location.pathname === '/back' && document.querySelector('#ready')`)
				app.tab.Eval(app.manager()+`.signinCallback()`, &got)
				return got
			}

			app.open("/")
			app.tab.Eval(app.manager()+`.signinRedirect({acr_values: '1'}), 0`, nil)
			logIn(app.tab, ada.Email, ada.Password)
			app.tab.Wait(`document.querySelector('#second-code')`)
			app.tab.Click("#second-trust")
			app.tab.Type("#second-code", code())
			app.tab.Press("Enter")
			if got := back(); got.Profile["acr"] != "2" {
				t.Fatalf("a login with a code: %v", got.Profile)
			}

			// The session ends, and the trust in the browser stays.
			app.tab.Open(s.issuer + "/logout")
			app.tab.Loads(func() { app.tab.Click("#logout-confirm") })
			app.open("/")
			app.tab.Eval(app.manager()+`.signinRedirect(), 0`, nil)
			logIn(app.tab, ada.Email, ada.Password)
			if got := back(); got.Profile["acr"] != "1" {
				t.Fatalf("a login in a trusted browser: %v", got.Profile)
			}

			app.tab.Eval(app.manager()+`.signinRedirect({acr_values: '2'}), 0`, nil)
			app.tab.Wait(`document.querySelector('#second-code')`)
			app.tab.Type("#second-code", code())
			app.tab.Press("Enter")
			if got := back(); got.Profile["acr"] != "2" {
				t.Fatalf("after the step-up: %v", got.Profile)
			}
		})
	}
}
