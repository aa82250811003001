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
	options func(t *testing.T, o *apitest.Options) // nil: the server of all tests
	walk    func(s *apitest.Server, name string)
}

// with joins options of servers to those of a journey.
func with(options ...func(*apitest.Options)) func(*testing.T, *apitest.Options) {
	return func(_ *testing.T, o *apitest.Options) {
		for _, set := range options {
			set(o)
		}
	}
}

// between are the options of a server whose first replica reaches the store by the way that fails, and
// its second not.
func between(st *store) apitest.Options {
	made := 0
	return apitest.Options{DB: st.direct, Replicas: 2, Store: func(db *sqlstore.DB) apitest.Store {
		if made++; made == 1 {
			return st.faulty
		}
		return db
	}}
}

// step is a request of a journey, as it was without a fault.
type step struct {
	route  string
	answer string
	acts   sqltest.Counts // what it added to the database
	ran
}

func (s step) text() string { return fmt.Sprint(s.route, s.answer, s.statements, s.lossy, s.acts) }

type sender = func(apitest.Request) *apitest.Response

// givenUp ends a journey early: its client begins anew, as the exceptions say.
type givenUp struct{}

// swept is what all journeys on a store swept together.
type swept struct {
	mu     sync.Mutex
	done   map[string]bool // steps: journeys have requests in common
	routes map[string]int  // the most statements that a request of the route had
	points int             // requests that met a fault

	journeys int
}

// begin counts a journey.
func (a *swept) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.journeys++
}

// first reports whether nobody swept a step before.
func (a *swept) first(s step, points int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.routes[s.route] = max(a.routes[s.route], len(s.statements))
	if a.done[s.text()] {
		return false
	}
	a.done[s.text()] = true
	a.points += points
	return true
}

// sweep walks a journey once for each number of a statement and each fault.
func sweep(t *testing.T, j journey, st *store, all *swept) {
	o := between(st)
	if j.options != nil {
		j.options(t, &o)
	}
	server := apitest.New(t, o)
	drain := func() { // what a server writes after its answer
		for _, r := range server.Replicas {
			r.Accounts.Throttle.Drain()
		}
	}
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
			drain()
			st.arm(statement{}, none)
			a := send(q)
			drain()
			ran := st.disarm()
			steps = append(steps, step{routeOf(server, q), answerOf(a), st.since(before), ran})
			return a
		})
		return steps
	}
	before, steps := without(), without() // what a server keeps in memory is there in the second run
	if t.Failed() {
		return
	}
	queues := make([][]point, len(steps))
	for i, step := range steps {
		if i >= len(before) || !maps.Equal(step.acts, before[i].acts) {
			t.Fatalf("%s: what a request adds depends on something else: %s; %s", step.route, step.acts, before[i].acts)
		}
		if points := step.points(st.faults); all.first(step, len(points)) {
			queues[i] = points
		}
	}
	left := func() (last int) { // the last step with points left; -1: none
		last = len(queues) - 1
		for last >= 0 && len(queues[last]) == 0 {
			last--
		}
		return last
	}
	for last := left(); last >= 0; last = left() {
		reached := false
		t.Run(fmt.Sprintf("walk %d", runs+1), func(t *testing.T) {
			i := -1
			run(t, func(q apitest.Request, send sender) *apitest.Response {
				i++
				if i >= len(steps) || routeOf(server, q) != steps[i].route {
					t.Fatalf("request %d is %s %s, which it was not before", i+1, q.Method, q.Path)
				}
				if i > last {
					panic(givenUp{}) // the rest was walked before
				}
				if len(queues[i]) == 0 {
					return send(q)
				}
				reached = true
				return meet(t, st, drain, steps[i], &queues[i], q, send)
			})
		})
		if !reached {
			t.Fatalf("the journey ended before request %d, %s", last+1, steps[last].route)
		}
	}
}

// since returns what was added since before. The uses of DPoP proofs do not count: a request that fails
// after it used its proof leaves the use, and its client makes another proof.
func (st *store) since(before sqltest.Counts) sqltest.Counts {
	acts := st.count().Since(before)
	maps.DeleteFunc(acts, func(name string, _ int64) bool {
		return name == "dpop_proofs" || strings.HasPrefix(name, "dpop_proofs.")
	})
	return acts
}

// point is a statement that meets a fault.
type point struct {
	statement
	number int // of the statement, without a fault
	fault  fault
}

// points are those of a request, in an order in which those come first that leave nothing.
func (r ran) points(faults []fault) (list []point) {
	for _, f := range faults {
		for k := range r.statements {
			if f != lost || slices.Contains(r.lossy, k+1) {
				list = append(list, point{r.at(k + 1), k + 1, f})
			}
		}
	}
	return list
}

// meet sends a request whose statement meets the next fault of the queue, and looks at what that left.
// After a refusal that left nothing it sends the request again, with the fault after that, and so on. It
// ends with the first point that left something, or without a fault.
func meet(
	t *testing.T, st *store, drain func(), step step, queue *[]point, q apitest.Request, send sender,
) *apitest.Response {
	e := exceptions[step.route]
	before := st.count()
	for first := true; len(*queue) > 0; first = false {
		p := (*queue)[0]
		fail := func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s, statement %d of %d %s: %s", step.route, p.number, len(step.statements), p.fault,
				fmt.Sprintf(format, args...))
		}
		drain()
		st.arm(p.statement, p.fault)
		a := send(q)
		drain()
		met := st.disarm().met
		if !met && !first {
			panic(givenUp{}) // the refusals before, such as of a second message, are in the way: a point for the next walk
		}
		if *queue = (*queue)[1:]; !met {
			fail("it was not run: %s", p.sql)
		}
		acts := st.since(before)
		whole, nothing := e.whole(acts, step.acts), len(acts) == 0
		switch answer := answerOf(a); {
		case answer == step.answer:
			if !whole {
				fail("answered as without a fault, and done is not the same: %s more", acts.Since(step.acts))
			}
			if nothing && p.fault != again {
				continue // a read that was answered all the same
			}
			return a
		case p.fault == again:
			fail("%s, where the database would take the statement again: %.300s", answer, a.Body)
			return a
		case e.goesOn != "" && answer == e.goesOn:
			panic(givenUp{})
		case a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "":
			fail("%s, Retry-After %q (without a fault: %s): %.300s", answer, a.Header.Get("Retry-After"), step.answer, a.Body)
			return a
		}
		if nothing && len(*queue) > 0 && (*queue)[0].fault == p.fault {
			st.forget()
			continue
		}
		if !whole && !nothing && !e.several {
			fail("done by half: %s more than the whole", acts.Since(step.acts))
		}
		other := q
		other.Replica = 1
		st.forget()
		b := send(other)
		answer := answerOf(b)
		switch {
		case answer == step.answer:
			if acts := st.since(before); !e.whole(acts, step.acts) && (nothing || !e.twice) {
				fail("sent twice, it adds more than once: %s more", acts.Since(step.acts))
			}
		case (!nothing || p.fault == lost) && slices.Contains(e.again, answer):
			acts := st.since(before)
			for name, n := range e.left[answer] {
				if acts[name] != n {
					fail("sent again, it leaves %s %+d, not %+d", name, acts[name], n)
				}
			}
			panic(givenUp{})
		default:
			fail("sent again, after %d acts of %d: %s (without a fault: %s): %.300s", len(acts), len(step.acts), answer,
				step.answer, b.Body)
		}
		return b
	}
	return send(q)
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
