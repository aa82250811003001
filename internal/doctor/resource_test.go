package doctor_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/doctor"
	"github.com/signet-id/signet/internal/testport"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/verifier"
)

const audience = "https://api.example.com/orders"

// examine examines a resource server that is made for the issuer's URL.
func examine(t *testing.T, make func(issuer string) http.Handler) (doctor.Report, []byte) {
	t.Helper()
	issuer := "http://" + testport.Address(t)
	seen := &recorder{next: make(issuer)}
	server := httptest.NewServer(seen)
	defer server.Close()
	r := doctor.Resource{
		URL: server.URL + "/orders", TestIssuer: issuer, Audience: audience, Scope: "orders:read",
		MaxAge: time.Second, Patience: 1500 * time.Millisecond, Make: keystest.Generator(),
	}
	report, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	junit, err := report.JUnit()
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, junit...)
	for _, token := range seen.tokens() {
		if bytes.Contains(text, []byte(token)) {
			t.Errorf("the report shows the token %.20s…", token)
		}
	}
	return report, text
}

// recorder keeps the tokens that a server gets.
type recorder struct {
	next http.Handler
	mu   sync.Mutex
	list []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	_, token, _ := strings.Cut(q.Header.Get("Authorization"), " ")
	if token == "" {
		token = q.URL.Query().Get("access_token")
	}
	if len(token) > 40 {
		r.list = append(r.list, token)
	}
	r.mu.Unlock()
	w.Header().Set("X-Echo", token) // a careless server repeats what it gets
	r.next.ServeHTTP(w, q)
}

func (r *recorder) tokens() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

// findings are what a report says that is not good.
func findings(r doctor.Report) (list []string) {
	for _, c := range r.Checks {
		if c.Verdict != doctor.OK {
			list = append(list, fmt.Sprintf("%s %s", c.Verdict, c.ID))
		}
	}
	return list
}

// The doctor finds nothing wrong with the verifier's middleware.
func TestOurMiddlewareIsWell(t *testing.T) {
	t.Parallel()
	report, _ := examine(t, func(issuer string) http.Handler {
		v, err := verifier.New(verifier.Config{
			Issuer: issuer, Audience: []string{audience}, Cooldown: 200 * time.Millisecond,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		return v.RequireScope("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_,
				_ = io.WriteString(w, "ok")
		}))
	})
	if got := findings(report); len(got) > 0 || len(report.Checks) < 35 || !report.Passed() {
		t.Errorf("%d checks, of which %q: %+v", len(report.Checks), got, report)
	}
}

// faults are planted one at a time; each names all that the doctor has to find, and nothing else.
var faults = map[string][]string{
	"":                           nil,
	"any aud":                    {"failed aud-wrong"},
	"aud may be missing":         {"failed aud-missing"},
	"aud is one text":            {"failed accept-aud-list"},
	"any iss":                    {"failed iss-wrong"},
	"iss may be missing":         {"failed iss-missing"},
	"any typ":                    {"failed typ-jwt", "failed typ-refresh", "failed typ-missing"},
	"typ JWT":                    {"failed typ-jwt"},
	"typ may be missing":         {"failed typ-missing"},
	"typ by case":                {"failed accept-typ-capitals"},
	"typ in short only":          {"failed accept-typ-long"},
	"expired":                    {"failed expired"},
	"exp may be missing":         {"failed exp-missing"},
	"nbf":                        {"failed nbf-future"},
	"alg none":                   {"failed alg-none"},
	"alg none in capitals":       {"failed alg-none-case"},
	"HS256":                      {"failed alg-hs256"},
	"any signature":              {"failed signature-stranger", "failed payload-changed"},
	"no signature":               {"failed signature-missing"},
	"half a signature":           {"failed truncated"},
	"jwk":                        {"failed jwk-header"},
	"jku":                        {"failed jku-header"},
	"jku is requested":           {"failed jku-header"},
	"crit":                       {"failed crit"},
	"the first duplicate counts": {"failed duplicate-first"},
	"the last duplicate counts":  {"warning duplicate-last"},
	"crash on garbage":           {"failed garbage"},
	"token in the query":         {"warning query"},
	"scheme by case":             {"failed accept-scheme-case"},
	"no challenge":               {"warning no-token"},
	"unknown kids are fetched":   {"failed unknown-kids"},
	"keys are fetched once":      {"warning revoked-key", "failed accept-fresh", "skipped withdrawn-key"},
	"keys never expire":          {"warning revoked-key"},
	"keys are merged":            {"warning revoked-key", "failed withdrawn-key"},
	"one key of the set": {"failed accept-prepublished", "skipped revoked-key", "failed accept-fresh",
		"skipped withdrawn-key"},
	"all key types or none": {"failed unknown-key-types"},
}

func TestEveryPlantedFaultIsFound(t *testing.T) {
	for fault, want := range faults {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			report, _ := examine(t, func(issuer string) http.Handler {
				return &planted{fault: fault, issuer: issuer, audience: audience}
			})
			if got := findings(report); !slices.Equal(got, want) {
				t.Errorf("it found %q, not %q: %+v", got, want, report)
			}
			failed := slices.ContainsFunc(want, func(f string) bool { return strings.HasPrefix(f, "failed") })
			if report.Passed() == failed {
				t.Errorf("passed: %t", report.Passed())
			}
		})
	}
}

// What turns everybody away, or nobody, cannot be examined, and says so.
func TestWhatCannotBeExamined(t *testing.T) {
	for name, c := range map[string]struct {
		make  func(issuer string) http.Handler
		first string
	}{
		"open": {func(issuer string) http.Handler { return &planted{fault: "open", issuer: issuer, audience: audience} },
			"failed no-token"},
		"another issuer": {func(string) http.Handler {
			return &planted{issuer: "http://127.0.0.1:1", audience: audience}
		}, "failed accept-plain"},
		"another audience": {func(issuer string) http.Handler {
			return &planted{issuer: issuer, audience: "https://other.example.com"}
		}, "failed accept-plain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, _ := examine(t, c.make)
			got := findings(report)
			if report.Passed() || len(got) < 20 || got[0] != c.first || report.Count(doctor.Skipped) != len(got)-1 {
				t.Errorf("%q", got)
			}
		})
	}
}

// Where bad tokens are refused otherwise than with 401, each refusal is a warning.
func TestRefusalsAre401(t *testing.T) {
	t.Parallel()
	report, _ := examine(t, func(issuer string) http.Handler {
		return &planted{fault: "forbidden", issuer: issuer, audience: audience}
	})
	if report.Count(doctor.Warning) < 20 || report.Count(doctor.Failed) != 0 || !report.Passed() {
		t.Errorf("%q", findings(report))
	}
}

func TestJUnit(t *testing.T) {
	r := doctor.Report{Kind: "issuer", Subject: "https://id.example.com", Checks: []doctor.Check{
		{ID: "a", Sent: "s", Expected: "e", Answered: "<&>", Verdict: doctor.Failed, Why: "w"},
		{ID: "b", Verdict: doctor.OK}, {ID: "c", Verdict: doctor.Skipped}, {ID: "d", Verdict: doctor.Warning},
	}}
	text, err := r.JUnit()
	if err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
			Out string `xml:"system-out"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(text, &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != 4 || suite.Failures != 1 || suite.Skipped != 1 || len(suite.Cases) != 4 ||
		suite.Cases[1].Failure != nil ||
		suite.Cases[0].Failure.Message != "expected e, got <&>" || !strings.Contains(suite.Cases[3].Out, "warning") {
		t.Errorf("%s", text)
	}
}
