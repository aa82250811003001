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
	anyOrigin       = []string{"*"}
	varyOrigin      = []string{"Origin"}
	exposeHeaders   = []string{"DPoP-Nonce, Link, Location, Retry-After, WWW-Authenticate, X-Request-Id"}
	documentHeaders = []string{"If-None-Match"} // for a preflight that names no header
	appHeaders      = []string{"Authorization, Content-Type"}
	preflightAge    = []string{"600"}
)

// setCORS sets the headers of the Fetch standard. Scripts of every origin may read public
// documents. Scripts of the configured origins, and of the origins that a client redirects to, may
// read the account API and the endpoints for apps. While anybody may register a client, a script of any
// origin may: before it did, nobody knows its redirect URIs. No script may read the rest. Credentials are
// never allowed: a script sends its token in a header that it sets itself. A script may send any
// header: apps add headers of tracing and of protocols, and unknown headers are not read.
func (h *handler) setCORS(header http.Header, r *http.Request, res *resource) {
	allowed := documentHeaders
	switch {
	case res.class == publicDocument:
		header["Access-Control-Allow-Origin"] = anyOrigin
		if len(r.Header["Origin"]) > 0 {
			header["Access-Control-Expose-Headers"] = exposeHeaders
		}
	case res.class == registrations && h.Issuer.RegistersAnybody():
		header["Access-Control-Allow-Origin"] = anyOrigin
		header["Access-Control-Expose-Headers"] = exposeHeaders
		allowed = appHeaders
	case res.class.crossOrigin():
		header["Vary"] = varyOrigin
		origin := r.Header["Origin"]
		if len(origin) != 1 || !h.origins.allow(r.Context(), origin[0], h.Now()) {
			return
		}
		allowed = appHeaders
		header["Access-Control-Allow-Origin"] = []string{origin[0]}
		header["Access-Control-Expose-Headers"] = exposeHeaders
	default:
		return
	}
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		header["Access-Control-Allow-Methods"] = res.allow
		if names := requestedHeaders(r.Header["Access-Control-Request-Headers"]); names != "" {
			allowed = []string{names}
		}
		header["Access-Control-Allow-Headers"] = allowed
		header["Access-Control-Max-Age"] = preflightAge
	}
}

// maxRequestedHeaders bounds the header names in the answer to a preflight, in bytes.
const maxRequestedHeaders = 2 << 10

// requestedHeaders lists the header names that a preflight asks for, as written: the valid names (RFC
// 9110 section 5.6.2), up to the bound.
func requestedHeaders(fields []string) string {
	var b strings.Builder
	for _, field := range fields {
		for name := range strings.SplitSeq(field, ",") {
			name = strings.Trim(name, " \t")
			if !isToken(name) {
				continue
			}
			if b.Len()+len(name)+2 > maxRequestedHeaders {
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

// origins decides from which origins browser apps may call: the configured ones, and the origins of
// the redirect URIs of enabled clients. The store is asked for the latter, and its answers are kept
// briefly.
type origins struct {
	configured []string
	find       func(ctx context.Context, origin string) (bool, error)
	known      *knownOrigins
}

type knownOrigins struct {
	mu      sync.Mutex
	allowed map[string]time.Time // origin → when the answer is to be asked for again
	refused map[string]time.Time // likewise
}

const (
	originRemembered = 10 * time.Second
	mostOrigins      = 1024 // of each kind, because requests can name any number of them
	maxOrigin        = 255 + len("https://:65535")
	originLookup     = 2 * time.Second
)

// scriptOrigins are the configured origins of browser apps: those that are named, and those of apps
// that use our passkeys. An app without an origin of the web, as of Android, needs no CORS.
func (s *Server) scriptOrigins() []string {
	list := slices.Clone(s.CORSOrigins)
	for _, origin := range s.PasskeyOrigins {
		if webOrigin(origin) {
			list = append(list, origin)
		}
	}
	return list
}

func newOrigins(configured []string, find func(context.Context, string) (bool, error)) origins {
	return origins{configured, find, &knownOrigins{allowed: map[string]time.Time{}, refused: map[string]time.Time{}}}
}

// allow reports whether a script of origin may read an answer. While the store is down, only
// origins with a kept answer are allowed.
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
	if until, ok := k.allowed[origin]; ok && now.Before(until) && !now.Before(until.Add(-originRemembered)) {
		return true, true
	}
	until, ok := k.refused[origin]
	return false, ok && now.Before(until) && !now.Before(until.Add(-originRemembered))
}

func (k *knownOrigins) put(origin string, allowed bool, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	in, out := k.allowed, k.refused
	if !allowed {
		in, out = out, in
	}
	delete(out, origin)
	if len(in) >= mostOrigins {
		clear(in)
	}
	in[origin] = now.Add(originRemembered)
}

// webOrigin reports whether a browser can have sent this origin; the store is not asked about
// others.
func webOrigin(origin string) bool {
	if len(origin) > maxOrigin {
		return false
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.Scheme+"://"+u.Host == origin &&
		origin == strings.ToLower(origin)
}
