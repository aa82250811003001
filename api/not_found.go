package api

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/wire"
)

// varyNotFound names the headers that decide how an unknown path is answered.
const varyNotFound = "Accept, Accept-Language, Cookie"

// programPaths are the first segments of paths that only programs ask for. Errors there are always JSON.
var programPaths = []string{"v1", "oauth2", ".well-known", "healthz", "readyz", "openapi.json", "assets"}

var errNothing = problem.New(problem.NotFound, "There is nothing at this path; /openapi.json lists what there is.")

// isLostPerson reports whether a browser has come to an unknown path, so that a page answers it.
func (s *Server) isLostPerson(r *http.Request, p *problem.Problem) bool {
	if p.Code != problem.NotFound || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for _, path := range []string{r.URL.Path, strings.TrimPrefix(r.URL.Path, s.Issuer.Path())} {
		first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if slices.Contains(programPaths, first) {
			return false
		}
	}
	return prefersHTML(r.Header["Accept"])
}

// home leads a person who opens the address of the service to the first page. For a program there is nothing.
func (s *Server) home(w http.ResponseWriter, r *http.Request) error {
	w.Header().Add("Vary", "Accept")
	if !prefersHTML(r.Header["Accept"]) {
		return errNothing
	}
	return wire.SeeOther(w, s.Issuer.Path()+"/login")
}

// prefersHTML reports whether Accept (RFC 9110 section 12.5.1) names HTML and does not prefer JSON to
// it. A program that accepts anything (*/*) does not name HTML.
func prefersHTML(accept []string) bool {
	weights := map[string]float64{}
	for _, header := range accept {
		for item := range strings.SplitSeq(header, ",") {
			media, parameters, err := mime.ParseMediaType(item)
			if err != nil {
				continue
			}
			weight := 1.0
			if q, ok := parameters["q"]; ok {
				if weight, err = strconv.ParseFloat(q, 64); err != nil || weight < 0 || weight > 1 {
					continue
				}
			}
			weights[media] = max(weights[media], weight)
		}
	}
	html := max(weights["text/html"], weights["application/xhtml+xml"])
	return html > 0 && html >= max(weights["application/json"], weights["application/problem+json"])
}
