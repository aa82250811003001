package issuer

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// AuthorizationResponse is the response that the browser carries to the client's redirect URI: a
// success or an error.
type AuthorizationResponse struct {
	RedirectURI string
	Mode        string      // query, fragment or form_post
	Parameters  [][2]string // in order; iss is always among them (RFC 9207)
	Refused     *Error      // the refusal, for the log; nil: a success

	monitor string // the client that gets a session_state: see WithSession; empty: it gets none
}

// Location returns the redirect URI with the parameters in its fragment, or in its query after the
// registered ones, which stay as they are (RFC 6749 section 3.1.2).
func (r AuthorizationResponse) Location() string {
	if r.Mode == ModeFragment { // a redirect URI has no fragment of its own
		return withParameters(r.RedirectURI, "#", r.Parameters)
	}
	return withQuery(r.RedirectURI, r.Parameters)
}

func withQuery(uri string, parameters [][2]string) string {
	separator := "?"
	if at := strings.IndexByte(uri, '?'); at >= 0 {
		separator = "&"
		if strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&") {
			separator = ""
		}
	}
	return withParameters(uri, separator, parameters)
}

// withParameters appends parameters to uri, the first after separator.
func withParameters(uri, separator string, parameters [][2]string) string {
	var b strings.Builder
	b.WriteString(uri)
	for _, p := range parameters {
		b.WriteString(separator + url.QueryEscape(p[0]) + "=" + url.QueryEscape(p[1]))
		separator = "&"
	}
	return b.String()
}

// refusal returns an error response (RFC 6749 section 4.1.2.1).
func (i *Issuer) refusal(p Pending, e *Error) AuthorizationResponse {
	r := i.respond(p, [2]string{"error", string(e.Code)}, [2]string{"error_description", e.Description})
	r.Refused = e
	return r
}

// respond returns the response to p: the parameters, the state, and iss (RFC 9207).
func (i *Issuer) respond(p Pending, parameters ...[2]string) AuthorizationResponse {
	if p.State != "" {
		parameters = append(parameters, [2]string{"state", string(p.State)})
	}
	parameters = append(parameters, [2]string{"iss", i.URL})
	r := AuthorizationResponse{RedirectURI: p.RedirectURI, Mode: p.ResponseMode, Parameters: parameters}
	if slices.Contains(p.Scopes, userstore.ScopeOpenID) {
		r.monitor = p.ClientID
	}
	return r
}

// redirects reports whether uri is a redirect URI of client: byte for byte one that is registered
// (RFC 9700 section 4.1.3). Nothing is parsed, normalised or decoded, so there is nothing that a
// browser could read differently.
//
// Only the port of a public client's http redirect to its own machine may differ, because a native
// app takes any free port (RFC 8252 section 7.3). The section advises against the name localhost,
// but many apps are registered with it; each of the three spellings allows itself and neither of
// the others.
func redirects(client userstore.Client, uri string) bool {
	if slices.Contains(client.RedirectURIs, uri) {
		return true
	}
	origin, rest, ok := loopback(uri)
	if !ok || !client.Public() {
		return false
	}
	for _, registered := range client.RedirectURIs {
		if o, r, ok := loopback(registered); ok && o == origin && r == rest {
			return true
		}
	}
	return false
}

// loopback splits a redirect to the user's own machine around its port.
func loopback(uri string) (origin, rest string, ok bool) {
	for _, origin := range []string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
		rest, ok := strings.CutPrefix(uri, origin)
		if !ok {
			continue
		}
		if port, found := strings.CutPrefix(rest, ":"); found {
			end := strings.IndexFunc(port, func(c rune) bool { return c < '0' || c > '9' })
			if end < 0 {
				end = len(port)
			}
			if n, err := strconv.ParseUint(port[:end], 10, 16); err != nil || n == 0 {
				return "", "", false
			}
			rest = port[end:]
		}
		// What follows is a path or a query, never more of the authority.
		if rest == "" || rest[0] == '/' || rest[0] == '?' {
			return origin, rest, true
		}
	}
	return "", "", false
}

// impersonable reports whether any program on the user's machine could receive the response at uri:
// it only needs to listen on a port, or to claim a scheme (RFC 8252 sections 8.6 and 7.1).
func impersonable(uri string) bool {
	u, err := url.Parse(uri)
	return err != nil || u.Scheme != "https" || isLoopbackHost(u.Hostname())
}

func isLoopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
