package apitest

import "testing"

// NamedRefusal is a row of a table of refusals.
type NamedRefusal struct {
	Name string
	Refusal
}

// Refused makes a row.
func Refused(name string, body any, status int, code, faults string) NamedRefusal {
	return NamedRefusal{name, Refusal{Body: body, Status: status, Code: code, Faults: faults}}
}

// RefuseAll sends the body of each row in a subtest of its own.
func RefuseAll(t *testing.T, s *Server, q Request, rows ...NamedRefusal) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) { s.With(t).Refuse(q, row.Refusal) })
	}
}
