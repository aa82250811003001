package processes_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/cmd/signet/internal/watch"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// post sends a form, or JSON if the body is JSON, with Basic authentication if id is not empty.
func (p *process) post(t testing.TB, path, id, secret, body string) (status int, answer map[string]any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, p.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	if id != "" {
		r.SetBasicAuth(id, secret)
	}
	client := http.Client{Timeout: time.Minute}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(bytes.TrimSpace(text)) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%s: %d %s", path, res.StatusCode, text)
		}
	}
	return res.StatusCode, answer
}

// O-12: a command changes a client while servers run. On every server the client's tokens end at
// once for introspection and refresh, and a second later the client gets no new tokens.
func TestO12ClientsWhileServersRun(t *testing.T) {
	t.Parallel()
	const api = "https://api.example.com"
	sqltest.EachURL(t, func(t *testing.T, database string) {
		env := []string{"SIGNET_DATABASE_URL=" + database, "SIGNET_KEYS_ENCRYPTION_KEY=" + keystest.KEK,
			"SIGNET_ISSUER=http://localhost:8080", "SIGNET_CLOCK_SKEW=1s",
			`SIGNET_RESOURCES=[{"uri":"` + api + `","introspection_clients":["watcher"]}]`}
		servers := []*process{start(t, nil, env...)}
		if strings.HasPrefix(database, "postgres") {
			servers = append(servers, start(t, nil, env...))
		}
		signet := func(args ...string) string {
			t.Helper()
			cmd := exec.Command("signet", args...)
			cmd.Env = slices.Concat(watch.Env(), env)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("signet %v: %v", args, err)
			}
			return string(out)
		}
		create := func(id string, args ...string) (secret string) {
			t.Helper()
			var document struct {
				Secret string `json:"client_secret"`
			}
			out := signet(append([]string{"clients", "create", "--json", "--name", id, "--client-id", id}, args...)...)
			if err := json.Unmarshal([]byte(out), &document); err != nil {
				t.Fatal(err)
			}
			if document.Secret != "" {
				watch.Plant(document.Secret)
			}
			return document.Secret
		}
		pw := filepath.Join(t.TempDir(), "pw")
		if err := os.WriteFile(pw, []byte("a long enough passphrase\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		signet("users", "create", "--email", "ada@example.com", "--password-file", pw)
		watcher := create("watcher", "--grant-type", "client_credentials")

		login := func(client string) (access, refresh string) {
			t.Helper()
			status, answer := servers[0].post(t, "/v1/login", "", "",
				`{"email":"ada@example.com","password":"a long enough passphrase","client_id":"`+client+`","resource":"`+api+`"}`)
			if status != 200 {
				t.Fatal(status, answer)
			}
			return answer["access_token"].(string), answer["refresh_token"].(string)
		}
		active := func(token string) (yes int) {
			t.Helper()
			for _, p := range servers {
				status, answer := p.post(t, "/oauth2/introspect", "watcher", watcher, url.Values{"token": {token}}.Encode())
				if status != 200 {
					t.Fatal(status, answer)
				}
				if answer["active"] == true {
					yes++
				}
			}
			return yes
		}
		form := url.Values{"grant_type": {"client_credentials"}, "resource": {api}}.Encode()

		for _, act := range [][]string{{"clients", "disable"}, {"clients", "delete", "--yes"}} {
			t.Run("O-12 "+strings.Join(act, " "), func(t *testing.T) {
				create("console", "--auth-method", "none", "--grant-type", "refresh_token", "--first-party", "--resource", api)
				secret := create("robot", "--grant-type", "client_credentials", "--resource", api)
				access, refresh := login("console")
				token := func(p *process) (int, string) {
					status, answer := p.post(t, "/oauth2/token", "robot", secret, form)
					text, _ := answer["access_token"].(string)
					return status, text
				}
				var robots string
				for _, p := range servers { // each has the client in its cache
					status, text := token(p)
					if status != 200 {
						t.Fatal(status)
					}
					robots = text
				}
				if active(access) != len(servers) || active(robots) != len(servers) {
					t.Fatal("the tokens are not active to begin with")
				}

				signet(append(act, "console")...)
				if n := active(access); n != 0 {
					t.Errorf("%d servers call the access token active", n)
				}
				for _, p := range servers {
					if status, answer := p.post(t, "/v1/refresh", "", "", `{"refresh_token":"`+refresh+`"}`); status != 401 ||
						answer["code"] != "token_invalid" {
						t.Errorf("refreshed: %d %v", status, answer)
					}
					if status, answer := p.post(t, "/v1/login", "", "",
						`{"email":"ada@example.com","password":"a long enough passphrase","client_id":"console"}`); status != 400 {
						t.Errorf("logged in: %d %v", status, answer)
					}
				}

				signet(append(act, "robot")...)
				done := time.Now()
				if n := active(robots); n != 0 {
					t.Errorf("%d servers call the robot's token active", n)
				}
				for n, p := range servers {
					for {
						asked := time.Since(done)
						status, _ := token(p)
						switch {
						case status == 200 && asked > time.Second:
							t.Fatalf("server %d gave a token %s after the act", n, asked)
						case status == 200:
							time.Sleep(10 * time.Millisecond)
							continue
						case status != 401:
							t.Errorf("server %d answered %d", n, status)
						}
						t.Logf("server %d refuses, asked %s after the act", n, asked)
						break
					}
				}
				time.Sleep(time.Until(done.Add(time.Second)))
				for n, p := range servers {
					if status, _ := token(p); status != 401 {
						t.Errorf("server %d answered %d in the end", n, status)
					}
				}
				if act[1] == "disable" {
					signet("clients", "enable", "robot")
					if status, _ := token(servers[0]); status != 200 { // nothing is refused on a cache's word
						t.Errorf("enabled, and answered %d", status)
					}
					if n := active(access); n != 0 {
						t.Error("what was ended came back")
					}
					signet("clients", "delete", "--yes", "robot")
					signet("clients", "delete", "--yes", "console")
				} else {
					create("robot", "--grant-type", "client_credentials", "--resource", api)
					if n := active(robots); n != 0 {
						t.Error("a client that was made again inherited a token")
					}
					signet("clients", "delete", "--yes", "robot")
				}
			})
		}
		t.Run("O-12 clients rotate-secret", func(t *testing.T) {
			secret := create("robot", "--grant-type", "client_credentials", "--resource", api)
			p := servers[0]
			if status, _ := p.post(t, "/oauth2/token", "robot", secret, form); status != 200 {
				t.Fatal(status)
			}
			var document struct {
				Secret string `json:"client_secret"`
			}
			if err := json.Unmarshal([]byte(signet("clients", "rotate-secret", "robot", "--json")), &document); err != nil {
				t.Fatal(err)
			}
			watch.Plant(document.Secret)
			done := time.Now()
			if status, _ := p.post(t, "/oauth2/token", "robot", document.Secret, form); status != 200 {
				t.Errorf("the new secret: %d", status)
			}
			time.Sleep(time.Until(done.Add(time.Second)))
			if status, _ := p.post(t, "/oauth2/token", "robot", secret, form); status != 401 {
				t.Errorf("the old secret: %d", status)
			}
		})
	})
}
