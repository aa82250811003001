package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

var (
	anyOrigin     = []string{"*"}
	varyOrigin    = []string{"Origin"}
	exposeHeaders = []string{"DPoP-Nonce, Link, Location, Retry-After, WWW-Authenticate, X-Request-Id"}
	documentAsks  = []string{"If-None-Match"} // of a preflight that names no header
	sharedAsks    = []string{"Authorization, Content-Type"}
	preflightAge  = []string{"600"}
)

// setCORS answers the Fetch standard's questions: public documents may be read from
// everywhere; the account API and the protocol's endpoints for apps from the configured origins and those that a client
// redirects to; the rest from none. Never with credentials: tokens travel in a header that scripts set themselves. Any
// header may be sent: apps add those of tracing and of protocols, and what we do not know we do not read.
func (h *handler) setCORS(header http.Header, r *http.Request, res *resource) {
	asks := documentAsks
	switch {
	case res.class == publicDocument:
		header["Access-Control-Allow-Origin"] = anyOrigin
		if len(r.Header["Origin"]) > 0 {
			header["Access-Control-Expose-Headers"] = exposeHeaders
		}
	case res.class.shared():
		header["Vary"] = varyOrigin
		origin := r.Header["Origin"]
		if len(origin) != 1 || !h.origins.allow(r.Context(), origin[0], h.Now()) {
			return
		}
		asks = sharedAsks
		header["Access-Control-Allow-Origin"] = []string{origin[0]}
		header["Access-Control-Expose-Headers"] = exposeHeaders
	default:
		return
	}
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		header["Access-Control-Allow-Methods"] = res.allow
		if names := askedHeaders(r.Header["Access-Control-Request-Headers"]); names != "" {
			asks = []string{names}
		}
		header["Access-Control-Allow-Headers"] = asks
		header["Access-Control-Max-Age"] = preflightAge
	}
}

// maxAsked is how many bytes of header names a preflight is answered with.
const maxAsked = 2 << 10

// askedHeaders lists the header names that a preflight asks for, as it wrote them: those that are tokens (RFC 9110 section
// 5.6.2), and no more than a browser app has.
func askedHeaders(fields []string) string {
	var b strings.Builder
	for _, field := range fields {
		for name := range strings.SplitSeq(field, ",") {
			name = strings.Trim(name, " \t")
			if !isToken(name) {
				continue
			}
			if b.Len()+len(name)+2 > maxAsked {
				return b.String()
			}
			if b.Len() > 0 {
				b.WriteString(", ")
			}
			b.WriteString(name)
		}
	}
	return b.String()
}

func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// origins knows from where browser apps may call: from the configured origins, and from those of the redirect URIs of
// enabled clients, which the store is asked for and which are remembered briefly.
type origins struct {
	configured []string
	find       func(ctx context.Context, origin string) (bool, error)
	known      *knownOrigins
}

type knownOrigins struct {
	mu    sync.Mutex
	until map[string]time.Time // of those that are allowed
	never map[string]time.Time // of those that are not
}

const (
	originRemembered = 10 * time.Second
	mostOrigins      = 1024 // of each kind: strangers can name any number
	maxOrigin        = 255 + len("https://:65535")
	originLookup     = 2 * time.Second
)

func newOrigins(configured []string, find func(context.Context, string) (bool, error)) origins {
	return origins{configured, find, &knownOrigins{until: map[string]time.Time{}, never: map[string]time.Time{}}}
}

// allow tells whether a script of origin may read an answer. While the store cannot be asked, what was not known
// before may not.
func (o origins) allow(ctx context.Context, origin string, now time.Time) bool {
	if slices.Contains(o.configured, origin) {
		return true
	}
	if !webOrigin(origin) {
		return false
	}
	if allowed, known := o.known.get(origin, now); known {
		return allowed
	}
	ctx, cancel := context.WithTimeout(ctx, originLookup)
	defer cancel()
	allowed, err := o.find(ctx, origin)
	if err != nil {
		return false
	}
	o.known.put(origin, allowed, now)
	return allowed
}

func (k *knownOrigins) get(origin string, now time.Time) (allowed, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if until, ok := k.until[origin]; ok && now.Before(until) && !now.Before(until.Add(-originRemembered)) {
		return true, true
	}
	until, ok := k.never[origin]
	return false, ok && now.Before(until) && !now.Before(until.Add(-originRemembered))
}

func (k *knownOrigins) put(origin string, allowed bool, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	in, out := k.until, k.never
	if !allowed {
		in, out = out, in
	}
	delete(out, origin)
	if len(in) >= mostOrigins {
		clear(in)
	}
	in[origin] = now.Add(originRemembered)
}

// webOrigin tells an origin that a browser may have sent: only such a one is worth a look.
func webOrigin(origin string) bool {
	if len(origin) > maxOrigin {
		return false
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.Scheme+"://"+u.Host == origin &&
		origin == strings.ToLower(origin)
}
