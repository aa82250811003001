package api

import "net/http"

var (
	anyOrigin     = []string{"*"}
	varyOrigin    = []string{"Origin"}
	exposeHeaders = []string{"Link, Location, Retry-After, WWW-Authenticate, X-Request-Id"}
	documentAsks  = []string{"If-None-Match"}
	accountAsks   = []string{"Authorization, Content-Type"}
	preflightAge  = []string{"600"}
)

// setCORS answers the Fetch standard's questions: public documents may be read from
// everywhere, the account API from the configured origins, the rest from none. Never
// with credentials: tokens travel in a header that scripts set themselves.
func (h *handler) setCORS(header http.Header, r *http.Request, res *resource) {
	origin := r.Header["Origin"]
	asks := documentAsks
	switch res.dialect {
	case document:
		header["Access-Control-Allow-Origin"] = anyOrigin
	case account:
		if len(h.origins) == 0 {
			return
		}
		header["Vary"] = varyOrigin
		if len(origin) != 1 || !h.origins[origin[0]] {
			return
		}
		asks = accountAsks
		header["Access-Control-Allow-Origin"] = []string{origin[0]}
		header["Access-Control-Expose-Headers"] = exposeHeaders
	default:
		return
	}
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		header["Access-Control-Allow-Methods"] = res.allow
		header["Access-Control-Allow-Headers"] = asks
		header["Access-Control-Max-Age"] = preflightAge
	}
}
