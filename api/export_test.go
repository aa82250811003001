package api

// Route is what tests see of the list of routes.
type Route struct{ Method, Path string }

// RouteList is the one list.
func (s *Server) RouteList() (out []Route) {
	for _, r := range s.routes() {
		out = append(out, Route{r.method, r.path})
	}
	return out
}

// ProblemKind is a line of the table of problems.
type ProblemKind struct {
	Status        int
	Title, Detail string
}

// ProblemTable is the table by code.
func ProblemTable() map[string]ProblemKind {
	out := map[string]ProblemKind{}
	for c, k := range problems {
		out[string(c)] = ProblemKind{k.status, k.title, k.detail}
	}
	return out
}
