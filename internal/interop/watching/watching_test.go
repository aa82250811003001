//go:build interop

// Package watching runs a real Prometheus: its promtool checks the alerts, and every query of the
// dashboard is evaluated by a Prometheus that scrapes a real server.
package watching

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/testport"
)

const configs = "../../../configs/"

func TestAlertsFireAndAreSilent(t *testing.T) {
	for _, args := range [][]string{
		{"check", "rules", configs + "prometheus/alerts.yml"},
		{"test", "rules", configs + "prometheus/alerts_test.yml"},
	} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// program runs a program until the test ends.
func program(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var log bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, &log)
		}
	})
}

// until waits until done reports true.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in two minutes: %s", what)
		}
	}
}

func TestEveryQueryOfTheDashboardHasAnAnswer(t *testing.T) {
	dir := t.TempDir()
	signet := filepath.Join(dir, "signet")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", signet, "../../../cmd/signet").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	server, metrics, prometheus := testport.Address(t), testport.Address(t), testport.Address(t)
	program(t, []string{"SIGNET_DATA_DIR=" + filepath.Join(dir, "data"), "SIGNET_LISTEN=" + server, "SIGNET_METRICS_LISTEN=" + metrics},
		signet, "serve")
	rules, err := filepath.Abs(configs + "prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "prometheus.yml")
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs: [{job_name: signet, static_configs: [{targets: [%q]}]}]\n", rules, metrics)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	program(t, nil, "prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address="+prometheus)

	query := func(expression string) (series int, err error) {
		r, err := http.Get("http://" + prometheus + "/api/v1/query?" + url.Values{"query": {expression}}.Encode())
		if err != nil {
			return 0, err
		}
		defer r.Body.Close()
		var answer struct {
			Status, Error string
			Data          struct{ Result []any }
		}
		if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
			return 0, err
		}
		if answer.Status != "success" {
			return 0, fmt.Errorf("%s: %s", answer.Status, answer.Error)
		}
		return len(answer.Data.Result), nil
	}
	until(t, "the server listens", func() bool {
		c, err := net.Dial("tcp", server)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	// Requests between scrapes, so that every rate has two values.
	until(t, "three scrapes", func() bool {
		for _, r := range []struct{ path, body string }{
			{"/v1/signup", `{"email": "ada@example.com", "password": "a very long password of Ada"}`},
			{"/v1/login", `{"email": "ada@example.com", "password": "a very long password of Ada"}`},
		} {
			if answer, err := http.Post("http://"+server+r.path, "application/json", strings.NewReader(r.body)); err == nil {
				answer.Body.Close()
			}
		}
		n, err := query(`count_over_time(signet_logins_total{outcome="ok"}[1m]) >= 3`)
		return err == nil && n == 1
	})

	text, err := os.ReadFile(configs + "grafana/signet.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			asked++
			n, err := query(strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m").Replace(target.Expr))
			switch {
			case err != nil:
				t.Errorf("%s: %s: %v", panel.Title, target.Expr, err)
			case n == 0 && panel.Title != "Answers that are 5xx": // there was none
				t.Errorf("%s: nothing answers %s", panel.Title, target.Expr)
			}
		}
	}
	if asked < 60 {
		t.Errorf("only %d queries", asked)
	}
	if n, err := query(`ALERTS{alertname=~"Signet.*",alertstate="firing"}`); err != nil || n != 0 {
		t.Errorf("%d alerts fire on a new server: %v", n, err)
	}
}
