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
	go_     func(s *apitest.Server, name string)
}

// step is a request of a journey, as it was without a fault.
type step struct {
	route      string
	status     int
	acts       sqltest.Counts // what it added to the database
	statements int
	lossy      []int // numbers of the statements whose answer can be lost
}

// given up ends a journey early: its client has to begin anew, as the exceptions say.
type givenUp struct{}

func sweep(t *testing.T, j journey, st *store) (points int) {
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
	s := apitest.New(t, o)
	runs := 0
	run := func(t testing.TB, around func(s *apitest.Server, q apitest.Request, send sender) *apitest.Response) {
		runs++
		s := s.With(t)
		var plain = s.With(t)
		s.Around = func(q apitest.Request, send sender) *apitest.Response { return around(plain, q, send) }
		defer func() {
			if r := recover(); r != nil && r != any(givenUp{}) {
				panic(r)
			}
		}()
		j.go_(s, fmt.Sprintf("n%04d", runs))
	}
	var steps, second []step
	first := func(list *[]step) func(*apitest.Server, apitest.Request, sender) *apitest.Response {
		return func(s *apitest.Server, q apitest.Request, send sender) *apitest.Response {
			before := st.count()
			st.arm(0, none)
			a := send(q)
			n, lossy := st.disarm()
			route := routeOf(s, q)
			walked.note(route)
			*list = append(*list, step{route, a.Status, st.count().Since(before), n, lossy})
			return a
		}
	}
	run(t, first(&steps))
	run(t, first(&second)) // what is kept in memory is there by now
	if t.Failed() {
		return 0
	}
	most := 0
	for i, step := range second {
		most = max(most, step.statements)
		if i < len(steps) && !maps.Equal(step.acts, steps[i].acts) {
			t.Errorf("%s: what a request adds depends on something else: %s; %s", step.route, step.acts, steps[i].acts)
		}
	}
	if testing.Verbose() {
		for _, step := range second {
			t.Logf("%s: %d, %d statements, %v: %s", step.route, step.status, step.statements, step.lossy, step.acts)
		}
	}
	steps = second
	for k := 1; k <= most; k++ {
		for _, f := range st.faults {
			if f == lost && !slices.ContainsFunc(steps, func(s step) bool { return slices.Contains(s.lossy, k) }) {
				continue
			}
			t.Run(fmt.Sprintf("statement %d %s", k, f), func(t *testing.T) {
				i := 0
				run(t, func(s *apitest.Server, q apitest.Request, send sender) *apitest.Response {
					if i >= len(steps) || routeOf(s, q) != steps[i].route {
						t.Fatalf("request %d is %s %s, which it was not before", i+1, q.Method, q.Path)
					}
					step := steps[i]
					i++
					if k > step.statements || f == lost && !slices.Contains(step.lossy, k) {
						return send(q)
					}
					points++
					return meet(s, st, step, k, f, q, send)
				})
			})
		}
	}
	return points
}

type sender = func(apitest.Request) *apitest.Response

// meet sends a request whose statement k meets a fault, looks at what that left, and sends the
// request again if it was refused.
func meet(s *apitest.Server, st *store, step step, k int, f fault, q apitest.Request, send sender) *apitest.Response {
	t := s.T
	t.Helper()
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
	whole := maps.Equal(acts, step.acts)
	nothing := len(acts) == 0
	if a.Status == step.status {
		if !whole && !e.lesser {
			fail("answered with %d, and the acts are not those without a fault: %s more", a.Status, acts.Since(step.acts))
		}
		return a
	}
	if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		fail("answered with %d (without a fault: %d), Retry-After %q: %.300s", a.Status, step.status,
			a.Header.Get("Retry-After"), a.Body)
		return a
	}
	if f == again {
		fail("a statement that the database would take again is not repeated")
	}
	if !whole && !nothing && !e.part(acts) {
		fail("done by half: %s more than the whole", acts.Since(step.acts))
	}
	q.Replica = 1
	b := send(q)
	switch {
	case b.Status == step.status:
		if acts := st.count().Since(before); !maps.Equal(acts, step.acts) && !e.more {
			fail("after the second request there is %s more than the whole", acts.Since(step.acts))
		}
	case !nothing && e.repeated != 0 && b.Status == e.repeated && (e.code == "" || b.Code() == e.code):
		if e.end {
			panic(givenUp{})
		}
	default:
		fail("sent again, after %d acts of %d: %d (without a fault: %d): %.300s", len(acts), len(step.acts), b.Status,
			step.status, b.Body)
	}
	return b
}

// routeOf returns the route of a request, as the server's list names it.
func routeOf(s *apitest.Server, q apitest.Request) string {
	path, _, _ := strings.Cut(q.Path, "?")
	parts := strings.Split(path, "/")
	best := ""
	for _, r := range s.Replicas[0].API.Routes() {
		template := strings.Split(r.Path, "/")
		if r.Method != q.Method || len(template) != len(parts) {
			continue
		}
		fits, exact := true, true
		for i, part := range template {
			variable := strings.HasPrefix(part, "{")
			fits = fits && (variable || part == parts[i])
			exact = exact && !variable
		}
		if fits && (best == "" || exact) {
			best = r.Method + " " + r.Path
		}
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
