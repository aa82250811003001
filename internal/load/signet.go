package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// signet is the real program on one store.
type signet struct {
	*program
	keys    Keys
	address string
	env     []string
	dir     string
	binary  string
	token   []string // access tokens with the scope openid
	sub     string   // of the first person
	header  http.Header
	keySet  []byte
}

// startSignet starts the program on a database that is empty, and makes its accounts, clients and
// sessions.
func (c Config) startSignet(
	ctx context.Context, name, database string, processes func() ([]int, error), k Keys,
) (*Contender, *signet, error) {
	dir := filepath.Join(c.Dir, strings.ReplaceAll(strings.ToLower(name), ", ", "-"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	if database == "" {
		database = filepath.Join(dir, "signet.db")
	}
	kek := jose.NewKEK()
	if err := k.seed(ctx, database, kek); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	s := &signet{keys: k, address: c.Addresses(), dir: dir, binary: c.Binary}
	s.env = []string{
		"PATH=" + os.Getenv("PATH"), "SIGNET_LISTEN=" + s.address, "SIGNET_ISSUER=" + issuerURL, "SIGNET_METRICS_LISTEN=",
		"SIGNET_DATABASE_URL=" + database, "SIGNET_KEYS_ENCRYPTION_KEY=" + kek, "SIGNET_TOKENS_ACCESS_ALG=EdDSA",
		"SIGNET_TOKENS_ACCESS_LIFETIME=1h", "SIGNET_THROTTLE_SIGNUPS_PER_NETWORK=0", "SIGNET_LOG_LEVEL=info",
		fmt.Sprintf(`SIGNET_RESOURCES=[{"uri":%q,"access_token_alg":"RS256","scopes":["profile","email"]},`+
			`{"uri":%q,"access_token_alg":"EdDSA","scopes":["profile","email"]}]`, rs256Resource, eddsaResource),
	}
	cmd := exec.Command(c.Binary, "serve")
	cmd.Env, cmd.Dir = s.env, dir
	var err error
	if s.program, err = start(c.Dir, filepath.Base(dir), cmd, nil, nil); err != nil {
		return nil, nil, err
	}
	contender := &Contender{Name: name, stop: s.stop, Flows: map[string]Script{}, Processes: func() ([]int, error) {
		pids, err := processes()
		return append(pids, s.cmd.Process.Pid), err
	}}
	if err := s.prepare(ctx, contender.Flows); err != nil {
		defer s.stop()
		return nil, nil, fmt.Errorf("%s: %w\n%s", name, err, s.said())
	}
	return contender, s, nil
}

// prepare makes what the flows need.
func (s *signet) prepare(ctx context.Context, flows map[string]Script) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	clients := [][]string{
		{"create", "--client-id", "machine", "--name", "machine", "--grant-type", "client_credentials", "--secret-file", "-",
			"--resource", rs256Resource, "--resource", eddsaResource},
		{"update", "signet", "--resource", rs256Resource, "--resource", eddsaResource},
	}
	for _, args := range clients {
		if err := s.command(ctx, append([]string{"clients"}, args...)...); err != nil {
			return err
		}
	}
	for _, a := range algorithms {
		flows[a.machine] = s.keys.machines(s.address, "/oauth2/token", a.alg)
		workers := make([]Worker, most)
		for n := range workers {
			tokens, err := s.refreshTokens(ctx, n, a.alg)
			if err != nil {
				return err
			}
			workers[n] = s.keys.refreshes(a.alg, tokens, true, func(_ int, token string) []byte {
				return request("POST", "/oauth2/token", "grant_type=refresh_token&client_id=signet&refresh_token="+token, formType)
			})
		}
		flows[a.refresh] = Script{s.address, workers}
	}
	if err := s.people(ctx, flows); err != nil {
		return err
	}
	return s.readKeySet(ctx)
}

// people makes the flows of people who log in, and of others who are asked about. Each flow has
// people of its own, for a user has 50 sessions at most, and a new login ends the oldest one.
func (s *signet) people(ctx context.Context, flows map[string]Script) error {
	logins, asked := make([]Worker, most), make([]Worker, most)
	for n := range most {
		email := fmt.Sprintf("login%d@example.com", n)
		if _, err := s.signUp(ctx, email); err != nil {
			return err
		}
		access := s.keys.accessToken(eddsa)
		logins[n] = repeats(request("POST", "/v1/login", credentials(email, ""), jsonType), func(body []byte, sample bool) error {
			if _, err := member(body, "refresh_token"); err != nil {
				return err
			}
			return access(body, sample)
		})
		email = fmt.Sprintf("asked%d@example.com", n)
		sub, err := s.signUp(ctx, email)
		if err != nil {
			return err
		}
		body, err := s.post(ctx, "/v1/login", credentials(email, `,"scope":"openid profile email"`), http.StatusOK)
		if err != nil {
			return err
		}
		token, err := member(body, "access_token")
		if err != nil {
			return err
		}
		if s.token = append(s.token, token); n == 0 {
			s.sub = sub
		}
		asked[n] = repeats(request("GET", "/oauth2/userinfo", "", "Authorization: Bearer "+token), personOf(sub, email))
	}
	flows[loginFlow], flows[userinfoFlow] = Script{s.address, logins}, Script{s.address, asked}
	flows[keySetFlow] = s.keys.keySets(s.address, "/.well-known/jwks.json")
	return nil
}

// refreshTokens makes an account with sessions of its own, and returns their refresh tokens.
func (s *signet) refreshTokens(ctx context.Context, n int, alg string) (tokens []string, err error) {
	email := fmt.Sprintf("%s%d@example.com", strings.ToLower(alg), n)
	if _, err := s.signUp(ctx, email); err != nil {
		return nil, err
	}
	for range sessions {
		body, err := s.post(ctx, "/v1/login", credentials(email, fmt.Sprintf(`,"resource":%q`, resources[alg])), http.StatusOK)
		if err != nil {
			return nil, err
		}
		token, err := member(body, "refresh_token")
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

func (s *signet) signUp(ctx context.Context, email string) (sub string, err error) {
	body, err := s.post(ctx, "/v1/signup", credentials(email, fmt.Sprintf(`,"name":%q`, personName)), http.StatusCreated)
	if err != nil {
		return "", err
	}
	return member(body, "sub")
}

func credentials(email, more string) string {
	return fmt.Sprintf(`{"email":%q,"password":"a long enough passphrase"%s}`, email, more)
}

// post sends JSON and returns the answer, which has to have a status.
func (s *signet) post(ctx context.Context, path, body string, status int) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Host = host
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != status {
		err = fmt.Errorf("POST %s answered %d: %s", path, resp.StatusCode, answer)
	}
	return answer, err
}

// readKeySet keeps the key set for the handler that answers with the same bytes.
func (s *signet) readKeySet(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/.well-known/jwks.json", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	s.header = resp.Header
	s.keySet, err = io.ReadAll(resp.Body)
	return err
}

// ready waits until the server answers.
func (s *signet) ready(ctx context.Context) error {
	for end := time.Now().Add(time.Minute); ; {
		resp, err := http.Get("http://" + s.address + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.exited:
			return errors.New("signet serve has ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			return errors.New("signet serve is not ready after a minute")
		}
	}
}

// command runs a command of the operator; the machine's secret is its standard input.
func (s *signet) command(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Env, cmd.Dir, cmd.Stdin = s.env, s.dir, strings.NewReader(machineSecret)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("signet %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// version is what the program says of itself.
func (c Config) version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, c.Binary, "version", "--json").Output()
	if err != nil {
		return "", err
	}
	var v map[string]any
	if err := json.Unmarshal(out, &v); err != nil {
		return "", err
	}
	return fmt.Sprint(v["version"]), nil
}
