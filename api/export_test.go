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
