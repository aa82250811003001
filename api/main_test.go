package api_test

import (
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

const goodPassword = "a password of planted words"

// refusal is a line of the tables here: a body and what it is told. Nothing that is
// refused changes a user or a grant (G4).
type refusal struct {
	name   string
	body   any
	status int
	code   string
	faults string // as Response.Faults says them; "*": any
}

func refuse(s *apitest.Server, q apitest.Request, row refusal) {
	s.T.Helper()
	q.Body = row.body
	s.Unchanged(func() {
		s.T.Helper()
		res := s.Do(q).Want(row.status, row.code)
		if got := res.Faults(); got != row.faults && row.faults != "*" {
			s.T.Errorf("faults %q, want %q", got, row.faults)
		}
	})
}

func run(t *testing.T, s *apitest.Server, q apitest.Request, rows []refusal) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { refuse(s.With(t), q, row) })
	}
}

// fields keeps the tables short.
type fields = apitest.Fields

func get(t *testing.T, s *apitest.Server, path string, replica int) *apitest.Response {
	t.Helper()
	return s.With(t).Do(apitest.Request{Path: path, Replica: replica}).Want(200, "")
}
