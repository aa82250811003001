package verifier

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/dpop"
)

// Resource is what clients may know of a resource server before they have a token: its metadata
// (RFC 9728). With a URI,
//
//   - every challenge names the address of the metadata document in resource_metadata, so that a
//     client that knows nothing but the resource's URL finds the issuer;
//   - the challenge of 401 names the scopes that RequireScope requires, so that the first login
//     asks for them;
//   - Middleware and RequireScope answer requests for the document themselves, without a token.
//     Where requests for it do not reach them, because a mux stands before them, WithMetadata does.
//
// All of it comes from the configuration and nothing from a request: a Host header cannot send a
// client to the metadata, and so to the issuer, of somebody else.
type Resource struct {
	// URI is the resource identifier: the URL at which clients reach the resource server, as they
	// write it in the parameter resource (RFC 8707) and as it stands in `aud`.
	URI string
	// AuthorizationServers are the issuers of tokens for the resource. Config.Issuer must be one of
	// them; default: Config.Issuer, and those of Config.MoreIssuers.
	AuthorizationServers []string
	// ScopesSupported are the scopes that a client asks for where no challenge names any: what
	// basic use needs, not all that there is. offline_access is not the resource's and belongs to
	// no such list.
	ScopesSupported []string
	Name            string // for people
	Documentation   string // URL of a page for developers
}

// MetadataPath is where RFC 9728 section 3 puts the metadata document of a resource whose URI has
// no path. A path of the URI follows it: the metadata of https://api.example.com/mcp are at
// https://api.example.com/.well-known/oauth-protected-resource/mcp.
const MetadataPath = "/.well-known/oauth-protected-resource"

// metadata is the document of a Resource with its address. nil: there is none.
type metadata struct {
	url      string
	path     string // in url, and without the slash that may end it
	document []byte
	etag     string
}

// MetadataURL returns the address of the metadata document; empty without Config.Resource.
func (v *Verifier) MetadataURL() string {
	if v.metadata == nil {
		return ""
	}
	return v.metadata.url
}

// WithMetadata answers requests for the metadata document of Config.Resource and passes all others
// on to next, with a token or without:
//
//	mux := http.NewServeMux()
//	mux.Handle("/mcp", v.RequireScope("tools:read")(tools))
//	mux.Handle("/", website)
//	log.Fatal(http.ListenAndServe("127.0.0.1:9000", v.WithMetadata(mux)))
//
// The document is there at MetadataPath followed by the path of Resource.URI, and, for clients that
// look no further, at MetadataPath itself. Where several resources share a host, nest: each
// verifier answers for its own path, and MetadataPath itself belongs to the outermost, which has to
// be the resource without a path if there is one.
func (v *Verifier) WithMetadata(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !v.metadata.answer(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// answer answers a request for the document; false: the request is for something else.
//
// The document is for everybody, pages of every origin included. It is the same for all of them,
// and so CORS allows the request without credentials.
func (m *metadata) answer(w http.ResponseWriter, r *http.Request) bool {
	if m == nil || !strings.HasPrefix(r.URL.Path, MetadataPath) {
		return false
	}
	if asked := strings.TrimSuffix(r.URL.EscapedPath(), "/"); asked != m.path && asked != MetadataPath {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Del("Access-Control-Allow-Credentials") // of a handler further out: with * it is an error
	h.Set("X-Content-Type-Options", "nosniff")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("Content-Type", "application/json")
		h.Set("ETag", m.etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(m.document))
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "*") // MCP clients send a header of their own
		h.Set("Access-Control-Max-Age", "3600")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	}
	return true
}

// newMetadata returns the metadata of a resource that validate found no fault with.
func newMetadata(r Resource, issuers []string, d DPoP) (*metadata, error) {
	if r.URI == "" {
		return nil, nil
	}
	if len(r.AuthorizationServers) == 0 {
		r.AuthorizationServers = issuers
	}
	document, err := json.Marshal(struct {
		Resource             string   `json:"resource"`
		AuthorizationServers []string `json:"authorization_servers"`
		ScopesSupported      []string `json:"scopes_supported,omitempty"`
		BearerMethods        []string `json:"bearer_methods_supported"`
		Name                 string   `json:"resource_name,omitempty"`
		Documentation        string   `json:"resource_documentation,omitempty"`
		DPoPAlgorithms       []string `json:"dpop_signing_alg_values_supported"`
		DPoPRequired         bool     `json:"dpop_bound_access_tokens_required,omitempty"`
	}{r.URI, r.AuthorizationServers, r.ScopesSupported, []string{"header"}, r.Name, r.Documentation,
		dpop.Algorithms, d.Required})
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(r.URI)
	if err != nil {
		return nil, err
	}
	inserted := MetadataPath + u.EscapedPath()
	if u.Path == "/" { // RFC 9728 section 3.1
		inserted = MetadataPath
	}
	sum := sha256.Sum256(document)
	return &metadata{
		url:      u.Scheme + "://" + u.Host + inserted,
		path:     strings.TrimSuffix(inserted, "/"),
		document: document,
		etag:     `"` + hex.EncodeToString(sum[:16]) + `"`,
	}, nil
}

// faults returns what is wrong with r in a configuration with the given issuer and audience.
func (r Resource) faults(issuer string, audience []string) []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if r.URI == "" {
		if len(r.AuthorizationServers) > 0 || len(r.ScopesSupported) > 0 || r.Name != "" || r.Documentation != "" {
			fault("Resource needs a URI: without it no metadata are served")
		}
		return faults
	}
	if err := checkResourceURI(r.URI); err != nil {
		fault("Resource.URI must be %w (got %q)", err, r.URI)
	} else if len(audience) > 0 && !slices.Contains(audience, r.URI) {
		fault("Audience must hold Resource.URI: clients that read the metadata ask for tokens for %q", r.URI)
	}
	for _, server := range r.AuthorizationServers {
		if checkIssuer(server) != nil {
			fault("Resource.AuthorizationServers: %q is not an issuer's URL", server)
		}
	}
	if len(r.AuthorizationServers) > 0 && !slices.Contains(r.AuthorizationServers, issuer) {
		fault("Resource.AuthorizationServers must hold Issuer")
	}
	for _, scope := range r.ScopesSupported {
		if scope == "" || scope != quotable(scope) || strings.Contains(scope, " ") {
			fault("Resource.ScopesSupported: %q is not a scope (RFC 6749 section 3.3)", scope)
		}
	}
	if r.Documentation != "" && checkURL(r.Documentation) != nil {
		fault("Resource.Documentation must be an http or https URL without user name")
	}
	return faults
}

// checkResourceURI returns what uri should be, if it is not. Clients compare URIs byte by byte, and
// some write them anew before: a URI that could be written in two ways would not be found again.
func checkResourceURI(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || checkURL(uri) != nil || u.Hostname() == "" {
		return errors.New("the http or https URL of the resource, without user name")
	}
	if strings.ContainsAny(uri, "?#") {
		return errors.New("without query and fragment")
	}
	escape := func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("\"\\<>^{|}`", c) }
	if strings.ContainsFunc(uri, escape) {
		return errors.New("escaped: a host in punycode, and other characters as %XX")
	}
	port := u.Port()
	if u.Scheme+"://"+strings.ToLower(u.Host)+u.EscapedPath() != uri || strings.HasSuffix(u.Host, ":") ||
		u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return errors.New("as a browser writes it: scheme and host in lower case, without the scheme's own port")
	}
	// To a browser, %2e is a dot.
	plain := strings.TrimSuffix(strings.NewReplacer("%2e", ".", "%2E", ".").Replace(u.EscapedPath()), "/")
	if plain != "" && plain != path.Clean(plain) {
		return errors.New("without empty, . and .. segments")
	}
	return nil
}
