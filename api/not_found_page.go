package api

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// varyFound is what the answer for a path that there is not depends on.
const varyFound = "Accept, Accept-Language, Cookie"

// programPaths are the first segments of paths that only programs ask for: an error there is JSON for everybody.
var programPaths = []string{"v1", "oauth2", ".well-known", "healthz", "readyz", "openapi.json", "assets"}

// visited404 tells that a person's browser has come to a path that there is not, and shall see a page.
func (s *Server) visited404(r *http.Request, p *problem) bool {
	if p.Code != notFound || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for _, path := range []string{r.URL.Path, strings.TrimPrefix(r.URL.Path, s.issuerPath())} {
		first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if slices.Contains(programPaths, first) {
			return false
		}
	}
	return prefersHTML(r.Header["Accept"])
}

// prefersHTML tells whether HTML is named in Accept (RFC 9110 section 12.5.1), and JSON no more than that. A program
// that takes anything (*/*) names nothing.
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
