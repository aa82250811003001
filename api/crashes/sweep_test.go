package crashes_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// journey is what somebody does with a server, from the first request to the last. It fails the test
// unless it reaches its end. name is a part of every name that it makes up, always of the same length.
type journey struct {
	name    string
	options []func(*apitest.Options)
	walk    func(s *apitest.Server, name string)
}

// step is a request of a journey, as it was without a fault.
type step struct {
	route      string
	answer     string
	acts       sqltest.Counts // what it added to the database
	statements int
	lossy      []int // numbers of the statements whose answer can be lost
}

func (s step) text() string { return fmt.Sprint(s.route, s.answer, s.statements, s.lossy, s.acts) }

// meets reports whether a fault of statement k means something to the step.
func (s step) meets(k int, f fault) bool {
	return k <= s.statements && (f != lost || slices.Contains(s.lossy, k))
}

type sender = func(apitest.Request) *apitest.Response

// givenUp ends a journey early: its client begins anew, as the exceptions say.
type givenUp struct{}

// swept are the steps that were swept already: journeys have requests in common.
type swept map[string]bool

// sweep walks a journey once for each number of a statement and each fault, and returns how many
// requests met one.
func sweep(t *testing.T, j journey, st *store, done swept) (points int) {
	made := 0
	o := apitest.Options{DB: st.direct, Replicas: 2, Store: func(db *sqlstore.DB) apitest.Store {
		if made++; made == 1 {
			return st.faulty
		}
		return db
	}}
	for _, set := range j.options {
		set(&o)
	}
	server := apitest.New(t, o)
	runs := 0
	run := func(t *testing.T, around func(q apitest.Request, send sender) *apitest.Response) {
		runs++
		s := server.With(t)
		s.Around = around
		defer func() {
			if r := recover(); r != nil && r != any(givenUp{}) {
				panic(r)
			}
		}()
		j.walk(s, fmt.Sprintf("n%04d", runs))
	}
	without := func() (steps []step) {
		run(t, func(q apitest.Request, send sender) *apitest.Response {
			before := st.count()
			st.arm(0, none)
			a := send(q)
			n, lossy := st.disarm()
			route := routeOf(server, q)
			walked.note(route)
			steps = append(steps, step{route, answerOf(a), st.count().Since(before), n, lossy})
			return a
		})
		return steps
	}
	before, steps := without(), without() // what a server keeps in memory is there in the second run
	if t.Failed() || testing.Short() {    // DEV
		return 0
	}
	most := 0
	fresh := make([]bool, len(steps))
	for i, step := range steps {
		if i >= len(before) || !maps.Equal(step.acts, before[i].acts) {
			t.Fatalf("%s: what a request adds depends on something else: %s; %s", step.route, step.acts, before[i].acts)
		}
		if fresh[i] = !done[step.text()]; fresh[i] {
			most = max(most, step.statements)
			done[step.text()] = true
		}
	}
	for k := 1; k <= most; k++ {
		for _, f := range st.faults {
			if !slices.ContainsFunc(steps, func(s step) bool { return s.meets(k, f) }) {
				continue
			}
			t.Run(fmt.Sprintf("statement %d %s", k, f), func(t *testing.T) {
				i := 0
				run(t, func(q apitest.Request, send sender) *apitest.Response {
					if i >= len(steps) || routeOf(server, q) != steps[i].route {
						t.Fatalf("request %d is %s %s, which it was not before", i+1, q.Method, q.Path)
					}
					i++
					if !fresh[i-1] || !steps[i-1].meets(k, f) {
						return send(q)
					}
					points++
					return meet(t, st, steps[i-1], k, f, q, send)
				})
			})
		}
	}
	return points
}

// meet sends a request whose statement k meets a fault, looks at what that left, and sends the
// request again if it was refused.
func meet(t *testing.T, st *store, step step, k int, f fault, q apitest.Request, send sender) *apitest.Response {
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s, statement %d of %d %s: %s", step.route, k, step.statements, f, fmt.Sprintf(format, args...))
	}
	e := exceptions[step.route]
	before := st.count()
	st.arm(k, f)
	a := send(q)
	st.disarm()
	acts := st.count().Since(before)
	whole, nothing := e.whole(acts, step.acts), len(acts) == 0
	switch answer := answerOf(a); {
	case answer == step.answer:
		if !whole {
			fail("answered as without a fault, and done is not the same: %s more", acts.Since(step.acts))
		}
		return a
	case f == again:
		fail("%s, where the database would take the statement again: %.300s", answer, a.Body)
		return a
	case e.goesOn != "" && answer == e.goesOn:
		panic(givenUp{})
	case a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "":
		fail("%s, Retry-After %q (without a fault: %s): %.300s", answer, a.Header.Get("Retry-After"), step.answer, a.Body)
		return a
	}
	if !whole && !nothing && !e.several {
		fail("done by half: %s more than the whole", acts.Since(step.acts))
	}
	q.Replica = 1
	b := send(q)
	answer := answerOf(b)
	switch {
	case answer == step.answer:
		if acts := st.count().Since(before); !e.whole(acts, step.acts) && (nothing || !e.twice) {
			fail("sent twice, it adds more than once: %s more", acts.Since(step.acts))
		}
	case !nothing && slices.Contains(e.again, answer):
		panic(givenUp{})
	default:
		fail("sent again, after %d acts of %d: %s (without a fault: %s): %.300s", len(acts), len(step.acts), answer,
			step.answer, b.Body)
	}
	return b
}

// answerOf is the status of an answer, its code, and the page of ours that it leads to.
func answerOf(a *apitest.Response) string {
	to, _, _ := strings.Cut(a.Header.Get("Location"), "?")
	if a.Status/100 != 3 || !strings.HasPrefix(to, "/") {
		to = ""
	}
	return strings.TrimSpace(fmt.Sprint(a.Status, " ", a.Code(), to))
}

// routeOf returns the route of a request, as the server's list names it.
func routeOf(s *apitest.Server, q apitest.Request) string {
	path, _, _ := strings.Cut(q.Path, "?")
	parts := strings.Split(path, "/")
	best, variables := "", len(parts)+1
	for _, r := range s.Replicas[0].API.Routes() {
		template := strings.Split(r.Path, "/")
		if r.Method != q.Method || len(template) != len(parts) {
			continue
		}
		fits, n := true, 0
		for i, part := range template {
			if strings.HasPrefix(part, "{") {
				n++
			} else if part != parts[i] {
				fits = false
			}
		}
		if fits && n < variables {
			best, variables = r.Method+" "+r.Path, n
		}
	}
	if best == "" {
		return q.Method + " " + path
	}
	return best
}

// walked are the routes that journeys have taken.
var walked routes

type routes struct {
	mu  sync.Mutex
	all map[string]bool
}

func (r *routes) note(route string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]bool{}
	}
	r.all[route] = true
}
