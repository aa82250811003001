package account_test

import (
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// refusal is a line of the tables here: a name, a body and how it is refused.
type refusal struct {
	name   string
	body   any
	status int
	code   string
	faults string // as Response.Faults writes them; "*": any
}

func refuse(s *apitest.Server, q apitest.Request, row refusal) {
	s.T.Helper()
	s.Refuse(q, apitest.Refusal{Body: row.body, Status: row.status, Code: row.code, Faults: row.faults})
}

func run(t *testing.T, s *apitest.Server, q apitest.Request, rows []refusal) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { refuse(s.With(t), q, row) })
	}
}
