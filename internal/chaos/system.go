package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/signet-id/signet/internal/faultproxy"
	"github.com/signet-id/signet/internal/jose"
)

// Config is that of a run.
type Config struct {
	Binary    string // the program
	Dir       string // of journals and logs
	Database  Database
	Addresses func() string // lends an address of the loopback interface
	Seed      uint64
	Time      time.Duration // of the faults
	Pace      float64       // how much more often faults come than in a long run
	Clients   int
	Verifiers int
	Think     time.Duration // between two acts of a client
	Refreshes int           // of one session
	Restarts  int           // in a rolling restart
	Timeline  Timeline
	Rotation  time.Duration
	Out       io.Writer
}

const replicas = 3

// Numbers of clients that are no part of the load, in journals.
const (
	operator = -2   // the command line
	closers  = -100 // and below: those that use what is left at the end
)

// issuerURL need not be an address where anything listens: clients are told where the replicas are.
const issuerURL = "http://localhost:8080"

// System is what a run is made against: the replicas, their database, and the clients' apps.
type System struct {
	Config
	Replicas []*Replica
	Apps     []App
	env      []string // of commands, past the proxies
	events   *os.File
	log      *log.Logger // to events
	running  sync.WaitGroup
	stop     context.CancelFunc
}

// Start makes the schema and the apps, and starts the replicas.
func Start(ctx context.Context, c Config) (_ *System, err error) {
	s := &System{Config: c}
	ctx, s.stop = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	common := []string{
		"PATH=" + os.Getenv("PATH"), "SIGNET_ISSUER=" + issuerURL, "SIGNET_KEYS_ENCRYPTION_KEY=" + jose.NewKEK(),
		"SIGNET_KEYS_ROTATION=" + c.Rotation.String(), "SIGNET_KEYS_PROPAGATION=" + c.Timeline.Propagation.String(),
		"SIGNET_KEYS_JWKS_MAX_AGE=" + c.Timeline.MaxAge.String(), "SIGNET_CLOCK_SKEW=" + c.Timeline.Skew.String(),
		"SIGNET_TOKENS_ACCESS_LIFETIME=" + c.Timeline.Lifetime.String(),
		"SIGNET_TOKENS_ID_LIFETIME=" + c.Timeline.Lifetime.String(),
		"SIGNET_TOKENS_ACCESS_ALG=EdDSA", `SIGNET_RESOURCES=[{"uri":"` + RS256Resource + `","access_token_alg":"RS256"}]`,
		"SIGNET_PASSWORDS_ARGON2_MEMORY=7MiB", "SIGNET_PASSWORDS_ARGON2_TIME=5", // the least that is allowed
		"SIGNET_THROTTLE_SIGNUPS_PER_NETWORK=0",
		"SIGNET_THROTTLE_FAILURES_PER_NETWORK=0", "SIGNET_THROTTLE_FAILURES_PER_BLOCK=0",
		"SIGNET_HTTP_DRAIN_NOTICE=3s", "SIGNET_LOG_LEVEL=warn", "SIGNET_LOG_FORMAT=json",
	}
	direct := c.Database.URL()
	s.env = append(common, "SIGNET_DATABASE_URL="+direct)
	if _, err := s.signet(ctx, "migrate", "up"); err != nil {
		return nil, err
	}
	if err := s.makeApps(ctx); err != nil {
		return nil, err
	}
	events, err := os.Create(filepath.Join(c.Dir, "events.log"))
	if err != nil {
		return nil, err
	}
	s.events = events
	s.log = log.New(events, "", log.LstdFlags|log.Lmicroseconds)
	for n := range replicas {
		r := &Replica{events: s.log, Name: fmt.Sprintf("replica %d", n), Listen: c.Addresses(), Metrics: c.Addresses()}
		var address string
		if r.Database, address, err = faultproxy.BeforePostgres(direct); err != nil {
			return nil, err
		}
		if r.Clients, err = faultproxy.New(r.Listen); err != nil {
			return nil, err
		}
		if r.log, err = os.Create(filepath.Join(c.Dir, fmt.Sprintf("replica%d.log", n))); err != nil {
			return nil, err
		}
		env := append(common, "SIGNET_DATABASE_URL="+address, "SIGNET_LISTEN="+r.Listen, "SIGNET_METRICS_LISTEN="+r.Metrics)
		r.command = func() *exec.Cmd {
			cmd := exec.Command(c.Binary, "serve")
			cmd.Env, cmd.Dir = append([]string(nil), env...), c.Dir
			cmd.SysProcAttr = endsWithUs()
			return cmd
		}
		s.Replicas = append(s.Replicas, r)
		s.running.Go(func() { r.supervise(ctx) })
		s.running.Go(func() { r.probe(ctx) })
	}
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return s, s.untilReady(ready)
}

func (s *System) untilReady(ctx context.Context) error {
	for _, r := range s.Replicas {
		if err := r.untilReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the replicas.
func (s *System) Close() {
	for _, r := range s.Replicas {
		r.signal(syscall.SIGCONT)
	}
	s.stop()
	s.running.Wait()
	for _, r := range s.Replicas {
		r.Clients.Close()
		r.Database.Close()
		r.log.Close()
	}
	s.events.Close()
}

// signet runs a command of the operator.
func (s *System) signet(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, s.Binary, args...)
	cmd.Env, cmd.Dir = s.env, s.Dir
	var failed strings.Builder
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("signet %s: %w: %s", strings.Join(args, " "), err, failed.String())
	}
	return out, err
}

// makeApps registers the clients. Most have EdDSA for every token; the last has RS256.
func (s *System) makeApps(ctx context.Context) error {
	for n, extra := range [][]string{
		{"--auth-method", "none", "--id-token-alg", "EdDSA"},
		{"--auth-method", "none", "--id-token-alg", "EdDSA"},
		{"--id-token-alg", "EdDSA"},
		{"--id-token-alg", "EdDSA"},
		{"--auth-method", "none", "--id-token-alg", "RS256", "--resource", RS256Resource},
	} {
		app := App{ID: fmt.Sprintf("app%d", n)}
		out, err := s.signet(ctx, append([]string{"clients", "create", "--json", "--name", app.ID, "--client-id", app.ID,
			"--grant-type", "authorization_code", "--grant-type", "refresh_token", "--redirect-uri", redirectURI}, extra...)...)
		if err != nil {
			return err
		}
		var document struct {
			Secret string `json:"client_secret"`
		}
		if err := json.Unmarshal(out, &document); err != nil {
			return err
		}
		if app.Secret = document.Secret; n == 4 {
			app.Resource = RS256Resource
		}
		s.Apps = append(s.Apps, app)
	}
	return nil
}

func (s *System) targets() (all []Target) {
	for _, r := range s.Replicas {
		all = append(all, Target{r.Clients.Addr(), r.ready.Load})
	}
	return all
}

// load prepares clients that write to a journal of that name.
func (s *System) load(name string, v *Verifiers) (*Load, error) {
	j, err := NewJournal(filepath.Join(s.Dir, name))
	if err != nil {
		return nil, err
	}
	live := NewLive()
	live.Events = s.log
	return &Load{Seed: s.Seed, Host: strings.TrimPrefix(issuerURL, "http://"), Targets: s.targets(), Apps: s.Apps,
		Journal: j,
		Live:    live, Verifiers: v, Think: s.Think, Refreshes: s.Refreshes}, nil
}

// clientTimeout is how long a client waits for an answer. Replicas answer earlier, whatever their
// database does.
const clientTimeout = 10 * time.Second

func (l *Load) newClient(number int) *client {
	return &client{Load: l, number: number, random: rand.New(rand.NewPCG(l.Seed, uint64(number))),
		cookies: map[string]string{},
		session: &http.Client{Timeout: clientTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 2,
			IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// runClients runs n clients, numbered from first, until ctx ends.
func (l *Load) runClients(ctx context.Context, first, n int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		all.Go(func() {
			c := l.newClient(first + i)
			defer c.session.CloseIdleConnections()
			c.rest(ctx, time.Duration(c.random.Int64N(int64(n)*int64(60*time.Millisecond)))) // not all log in at once
			if errs[i] = c.run(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// keyFaults rotate and revoke keys by the command line.
func (s *System) keyFaults(l *Load) Group {
	acts := int64(0)
	record := func(r Record, ran error) error {
		r.Client, r.Number, r.At = operator, acts, time.Now().UnixMicro()
		if r.Kind == Ask {
			return l.Journal.Write(r)
		}
		if r.Kind, r.Status = Got, 200; ran != nil {
			r.Kind, r.Status, r.Code = Lost, 0, "failed"
		}
		return l.Journal.Write(r)
	}
	command := func(ctx context.Context, r Record, args ...string) error {
		acts++
		r.Kind = Ask
		if err := record(r, nil); err != nil {
			return err
		}
		r.Kind = ""
		_, ran := s.signet(context.WithoutCancel(ctx), args...)
		if err := record(r, ran); err != nil {
			return err
		}
		if ran != nil {
			return errNotNow // the database was away
		}
		return nil
	}
	return Group{"keys", []Fault{
		{"keys rotated", 40 * time.Second, func(ctx context.Context, _ *rand.Rand) error {
			return command(ctx, Record{Act: KeyRotation}, "keys", "rotate")
		}},
		{"key revoked", 130 * time.Second, func(ctx context.Context, random *rand.Rand) error {
			out, err := s.signet(ctx, "keys", "list", "--json")
			if err != nil {
				return errNotNow
			}
			var report struct {
				Keys []struct {
					ID    string `json:"kid"`
					State string `json:"state"`
				} `json:"keys"`
			}
			if err := json.Unmarshal(out, &report); err != nil {
				return err
			}
			var live []string
			for _, k := range report.Keys {
				if k.State != "removed" {
					live = append(live, k.ID)
				}
			}
			if len(live) == 0 {
				return errors.New("signet keys list shows no published key")
			}
			kid := live[random.IntN(len(live))]
			return command(ctx, Record{Act: KeyRevoking, Key: kid}, "keys", "revoke", kid)
		}},
	}}
}
