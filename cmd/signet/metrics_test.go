package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/signet-id/signet/cmd/signet/internal/watch"
	"github.com/signet-id/signet/internal/jose"
)

// running is the program that serves in this process, with its log.
type running struct {
	*testing.T
	env              []string
	address, metrics string
	log              *watch.Buffer
	stop             func() // ends it, and waits until it has ended
}

const secretOfBatch = "correct-horse-battery-staple"

// serving runs `signet serve` on a new embedded database until the test ends.
func serving(t *testing.T, settings ...string) *running {
	t.Helper()
	s := &running{T: t, log: &watch.Buffer{}}
	s.env = append([]string{"SIGNET_DATA_DIR=" + t.TempDir(), "SIGNET_LISTEN=127.0.0.1:0", "SIGNET_METRICS_LISTEN=127.0.0.1:0",
		"SIGNET_HTTP_DRAIN_NOTICE=0s", "SIGNET_LOG_FORMAT=json", "SIGNET_REFRESH_REUSE_WINDOW=10m", "GOMAXPROCS=as it is"}, settings...)
	ctx, stop := context.WithCancelCause(context.Background())
	ended, code := make(chan struct{}), exitOK
	go func() {
		defer close(ended)
		code = run(ctx, []string{"serve"}, s.env, strings.NewReader(""), io.Discard, s.log)
	}()
	s.stop = func() {
		stop(errInterrupted)
		<-ended
		if code != exitOK {
			t.Errorf("serve ended with %d: %s", code, s.log)
		}
	}
	t.Cleanup(s.stop)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			t.FailNow()
		default:
		}
		for _, line := range s.lines() {
			switch line["msg"] {
			case "serving metrics":
				s.metrics = "http://" + line["listen"].(string) + "/metrics"
			case "serving":
				s.address = "http://" + line["listen"].(string)
				return s
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not serve: %s", s.log)
		}
	}
}

// lines returns the whole lines of the log.
func (s *running) lines() (lines []map[string]any) {
	for in := bufio.NewScanner(strings.NewReader(s.log.String())); in.Scan(); {
		line := map[string]any{}
		if json.Unmarshal(in.Bytes(), &line) == nil {
			lines = append(lines, line)
		}
	}
	return lines
}

// command runs another command beside the server.
func (s *running) command(args ...string) {
	s.Helper()
	var said bytes.Buffer
	if code := run(s.Context(), args, s.env, strings.NewReader(""), io.Discard, &said); code != exitOK {
		s.Fatalf("signet %s: %d: %s", strings.Join(args, " "), code, &said)
	}
}

// post sends JSON, or a form, and returns the answer.
func (s *running) post(path string, body any, want int) map[string]any {
	s.Helper()
	kind := "application/json"
	var text []byte
	if form, ok := body.(url.Values); ok {
		kind, text = "application/x-www-form-urlencoded", []byte(form.Encode())
	} else {
		text, _ = json.Marshal(body)
	}
	r, err := http.Post(s.address+path, kind, bytes.NewReader(text))
	if err != nil {
		s.Fatal(err)
	}
	defer r.Body.Close()
	answer := map[string]any{}
	all, _ := io.ReadAll(r.Body)
	if r.StatusCode != want || json.Unmarshal(all, &answer) != nil && len(all) > 0 {
		s.Fatalf("POST %s: %d %s, want %d", path, r.StatusCode, all, want)
	}
	return answer
}

// traffic makes one request of many kinds.
func (s *running) traffic() {
	s.Helper()
	file := filepath.Join(s.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secretOfBatch), 0o600); err != nil {
		s.Fatal(err)
	}
	s.command("clients", "create", "--name", "Batch", "--client-id", "batch", "--grant-type", "client_credentials",
		"--auth-method", "client_secret_post", "--secret-file", file)
	ada := map[string]any{"email": "ada@example.com", "password": "a very long password of Ada"}
	s.post("/v1/signup", ada, http.StatusCreated)
	s.post("/v1/signup", ada, http.StatusConflict)
	s.post("/v1/login", map[string]any{"email": "ada@example.com", "password": "another very long password"}, http.StatusUnauthorized)
	tokens := s.post("/v1/login", map[string]any{"email": "ada@example.com", "password": ada["password"], "scope": "openid email"}, http.StatusOK)
	first := map[string]any{"refresh_token": tokens["refresh_token"]}
	second := s.post("/v1/refresh", first, http.StatusOK)
	s.post("/v1/refresh", first, http.StatusOK) // within the window
	s.post("/v1/refresh", map[string]any{"refresh_token": second["refresh_token"]}, http.StatusOK)
	s.post("/v1/refresh", first, http.StatusUnauthorized) // a replay
	s.post("/v1/refresh", map[string]any{"refresh_token": "none"}, http.StatusUnauthorized)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"batch"}, "client_secret": {secretOfBatch}}
	s.post("/oauth2/token", form, http.StatusOK)
	form.Set("grant_type", "password")
	s.post("/oauth2/token", form, http.StatusBadRequest)
	s.post("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {"signet"}, "code": {"none"}}, http.StatusBadRequest)
}

// family is a family of metrics: the values by their labels, and the names of the labels.
type family struct {
	values map[string]float64
	labels map[string]bool
}

// scrape returns what /metrics says.
func (s *running) scrape() map[string]family {
	s.Helper()
	r, err := http.Get(s.metrics)
	if err != nil {
		s.Fatal(err)
	}
	defer r.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	parsed, err := parser.TextToMetricFamilies(r.Body)
	if err != nil {
		s.Fatal(err)
	}
	all := map[string]family{}
	for name, of := range parsed {
		f := family{map[string]float64{}, map[string]bool{}}
		for _, m := range of.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				f.labels[l.GetName()] = true
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			f.values[strings.Join(labels, ",")] = m.GetCounter().GetValue() + m.GetGauge().GetValue() +
				float64(m.GetHistogram().GetSampleCount())
		}
		all[name] = f
		if of.GetType().String() == "HISTOGRAM" {
			buckets := maps.Clone(f.labels)
			buckets["le"] = true
			all[name+"_bucket"], all[name+"_sum"], all[name+"_count"] = family{f.values, buckets}, f, f
		}
	}
	return all
}

// The metrics answer an operator's questions, with the outcomes that real requests had.
func TestMetricsTellWhatHappened(t *testing.T) {
	s := serving(t)
	s.traffic()
	got := s.scrape()
	for _, c := range []struct {
		name, labels string
		want         float64
	}{
		{"signet_signups_total", "outcome=created", 1},
		{"signet_signups_total", "outcome=taken", 1},
		{"signet_signups_total", "outcome=throttled", 0},
		{"signet_logins_total", "outcome=ok", 1},
		{"signet_logins_total", "outcome=wrong_password", 1},
		{"signet_refreshes_total", "outcome=rotated", 2},
		{"signet_refreshes_total", "outcome=repeated", 1},
		{"signet_refreshes_total", "outcome=replay", 1},
		{"signet_refreshes_total", "outcome=refused", 1},
		{"signet_refreshes_total", "outcome=failed", 0},
		{"signet_code_redemptions_total", "outcome=refused", 0}, // the client may not redeem any
		{"signet_code_redemptions_total", "outcome=replay", 0},
		{"signet_token_requests_total", "grant_type=client_credentials,outcome=ok", 1},
		{"signet_token_requests_total", "grant_type=other,outcome=refused", 1},
		{"signet_token_requests_total", "grant_type=authorization_code,outcome=refused", 1},
		{"signet_tokens_issued_total", "client=batch,kind=access", 1},
		{"signet_tokens_issued_total", "client=signet,kind=access", 4},
		{"signet_tokens_issued_total", "client=signet,kind=refresh", 4},
		{"signet_tokens_issued_total", "client=signet,kind=id", 4},
		{"signet_tokens_issued_total", "client=(self-made),kind=access", 0},
		{"signet_rate_limited_total", "limit=signups_from_network", 0},
		{"signet_audit_entries_total", "event=refresh_replay", 1},
		{"signet_audit_entries_total", "event=login_succeeded", 1},
		{"signet_audit_entries_total", "event=login_failed", 1},
		{"signet_audit_failures_total", "", 0},
		{"signet_store_failures_total", "", 0},
		{"signet_store_call_duration_seconds", "method=CreateUser", 1},
		{"signet_store_call_duration_seconds", "method=StartGrant", 1},
		{"signet_store_call_duration_seconds", "method=AdvanceGrant", 4}, // with the two that found another generation
		{"signet_password_hash_wait_seconds", "", 3},
		{"signet_keys_ready", "", 1},
		{"signet_http_requests_total", "method=POST,route=/v1/refresh,status=200", 3},
	} {
		if value, ok := got[c.name].values[c.labels]; !ok || value != c.want {
			t.Errorf("%s{%s} is %v (there: %t), want %v", c.name, c.labels, value, ok, c.want)
		}
	}
	for labels := range got["signet_build_info"].values {
		if !strings.Contains(labels, "rsa="+jose.RSAImplementation()) {
			t.Errorf("signet_build_info{%s} does not tell what makes RSA signatures", labels)
		}
	}
	now := float64(time.Now().Unix())
	for name, within := range map[string][2]float64{
		"signet_keys_view_age_seconds":                       {0, 30},
		"signet_clock_offset_seconds":                        {-1, 1},
		"signet_signing_key_active_since_timestamp_seconds":  {now - 600, now},
		"signet_signing_key_next_rotation_timestamp_seconds": {now, now + 400*24*3600},
	} {
		if len(got[name].values) == 0 {
			t.Errorf("%s is absent", name)
		}
		for labels, value := range got[name].values {
			if value < within[0] || value > within[1] {
				t.Errorf("%s{%s} is %v, want %v", name, labels, value, within)
			}
		}
	}
}

// What strangers choose adds no series: names, clients, grant types, paths and methods.
func TestStrangersAddNoSeries(t *testing.T) {
	s := serving(t)
	s.post("/oauth2/token", url.Values{"grant_type": {"none 0"}, "client_id": {"none 0"}}, http.StatusBadRequest)
	stranger := func(n int) {
		name := fmt.Sprintf("stranger-%d", n)
		s.post("/oauth2/token", url.Values{"grant_type": {name}, "client_id": {name}}, http.StatusBadRequest)
		r, _ := http.NewRequest("M"+fmt.Sprint(n), s.address+"/"+name+"?"+name, nil)
		r.Header.Set("User-Agent", name)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	stranger(0)
	series := func() (list []string) {
		for name, f := range s.scrape() {
			if strings.HasPrefix(name, "signet_") && !strings.HasPrefix(name, "signet_store_call") { // of what runs by itself
				for labels := range f.values {
					list = append(list, name+"{"+labels+"}")
				}
			}
		}
		slices.Sort(list)
		return list
	}
	before := series()
	for n := range 20 {
		stranger(n)
	}
	if after := series(); !slices.Equal(before, after) {
		t.Errorf("%d series became %d: %v", len(before), len(after), after)
	}
}

var (
	selectors = regexp.MustCompile(`\b(signet_[a-z_]+|up|process_[a-z_]+|go_[a-z_]+)\b(?:\{([^}]*)\})?`)
	matchers  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	grouping  = regexp.MustCompile(`\b(?:by|on)\s*\(([^)]*)\)`)
)

// Every metric, label and value that the dashboard and the alerts name is there in what a server
// exports, so that no panel is empty and no alert silent because of a name.
func TestDashboardAndAlertsNameMetricsThatExist(t *testing.T) {
	s := serving(t)
	s.traffic()
	exported := s.scrape()
	exported["up"] = family{map[string]float64{"instance=,job=": 1}, map[string]bool{}}
	ofPrometheus := map[string]bool{"instance": true, "job": true, "le": true}
	checked := 0
	for from, expressions := range map[string][]string{
		"dashboard": dashboardQueries(t), "alerts": alertExpressions(t),
	} {
		if len(expressions) < 10 {
			t.Errorf("%s: only %d expressions", from, len(expressions))
		}
		for _, expression := range expressions {
			labels := map[string]bool{}
			for _, found := range selectors.FindAllStringSubmatch(grouping.ReplaceAllString(expression, ""), -1) {
				f, ok := exported[found[1]]
				if !ok {
					t.Errorf("%s: no server exports %s: %s", from, found[1], expression)
					continue
				}
				checked++
				maps.Copy(labels, f.labels)
				for _, m := range matchers.FindAllStringSubmatch(found[2], -1) {
					if !ofPrometheus[m[1]] && !f.labels[m[1]] {
						t.Errorf("%s: %s has no label %s: %s", from, found[1], m[1], expression)
					}
					if ofPrometheus[m[1]] || m[1] == "status" || strings.Contains(found[0], "~") {
						continue
					}
					if !hasValue(f, m[1], m[2]) {
						t.Errorf("%s: %s never has %s=%q: %s", from, found[1], m[1], m[2], expression)
					}
				}
			}
			for _, by := range grouping.FindAllStringSubmatch(expression, -1) {
				for label := range strings.SplitSeq(by[1], ",") {
					if label = strings.TrimSpace(label); !ofPrometheus[label] && !labels[label] {
						t.Errorf("%s: nothing has the label %s: %s", from, label, expression)
					}
				}
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d names were found", checked)
	}
}

func hasValue(f family, label, value string) bool {
	for labels := range f.values {
		if slices.Contains(strings.Split(labels, ","), label+"="+value) {
			return true
		}
	}
	return false
}

// dashboardQueries returns the queries of the Grafana dashboard.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	text, err := os.ReadFile("../../configs/grafana/signet.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %d %q has the id of another, no title, no place or no query", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	return queries
}

// alertExpressions returns the expressions of the alerts, each of which has a summary and a link to
// a heading or row of the operators' manual.
func alertExpressions(t *testing.T) (expressions []string) {
	t.Helper()
	text, err := os.ReadFile("../../configs/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("../../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			expressions = append(expressions, rule.Expr)
			if !slices.Contains([]string{"critical", "warning"}, rule.Labels["severity"]) || rule.Annotations["summary"] == "" {
				t.Errorf("%s has no severity or no summary", rule.Alert)
			}
			_, anchor, _ := strings.Cut(rule.Annotations["runbook_url"], "docs/operators.md#")
			if anchor == "" || !strings.Contains(string(manual), `<a id="`+anchor+`"></a>`) {
				t.Errorf("docs/operators.md has no %q, which the runbook of %s is", anchor, rule.Alert)
			}
		}
	}
	return expressions
}
