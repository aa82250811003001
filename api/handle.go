package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/signet-id/signet/internal/audit"
)

const (
	maxBody        = 64 << 10 // bytes of a request body; more is 413
	defaultTimeout = 5 * time.Second
)

// handler is the pipeline around every route.
type handler struct {
	*Server
	router    *mux.Router
	resources map[*mux.Route]*resource
	trusted   []netip.Prefix
	origins   origins
	timeout   time.Duration
	hsts      bool

	crossOrigin *http.CrossOriginProtection
	ownOrigin   string // of the issuer
}

func (h *handler) prepare() {
	h.cacheable = publicFor(h.JWKSMaxAge)
	h.trusted = parseProxies(h.TrustedProxies)
	h.origins = newOrigins(h.CORSOrigins, h.Store.RedirectOrigin)
	h.timeout = h.Timeout
	if h.timeout <= 0 {
		h.timeout = defaultTimeout
	}
	h.hsts = strings.HasPrefix(h.Issuer.URL, "https://")
	h.prepareOrigin()
}

// unmatched stands for every path that is no route.
var unmatched = &resource{template: "unmatched", dialect: account, allow: []string{""}}

// answer is the ResponseWriter that handlers see: it remembers what was sent.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// ServeHTTP is the pipeline. The request id is always ours: one that a stranger
// chose would let him forge or join log lines.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := h.Now()
	id := h.NewID()
	a := &answer{ResponseWriter: w}
	res := unmatched
	var match mux.RouteMatch
	if h.router.Match(r, &match) {
		res = h.resources[match.Route]
	}
	var failure *problem
	defer func() {
		if p := recover(); p != nil {
			failure = h.recovered(a, r, res, id, p)
		}
		h.report(r, a, res, id, h.Now().Sub(began), failure)
		if failure != nil && failure.abort {
			panic(http.ErrAbortHandler)
		}
	}()

	h.setHeaders(w.Header(), res, id)
	if err := h.serve(a, r, res, &match, id); err != nil {
		failure = asProblem(err)
		h.writeProblem(a, r, res.dialect, failure)
	}
}

// serve finds the method and runs its handler.
func (h *handler) serve(a *answer, r *http.Request, res *resource, match *mux.RouteMatch, id string) error {
	if res == unmatched && r.Method != http.MethodConnect {
		return newProblem(notFound, "There is nothing at this path; /openapi.json lists what there is.")
	}
	if res.dialect.bounded() { // all of it: setCORS asks the store as well
		ctx, cancel := context.WithTimeout(r.Context(), h.timeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	h.setCORS(a.Header(), r, res)
	handle := res.methods[r.Method]
	if handle == nil {
		a.Header()["Allow"] = res.allow
		if r.Method == http.MethodOptions {
			a.WriteHeader(http.StatusNoContent)
			return nil
		}
		return newProblem(methodNotAllowed, "")
	}
	for name, value := range match.Vars {
		r.SetPathValue(name, value)
	}
	if !res.dialect.bounded() {
		return handle(a, r)
	}

	// MaxBytesReader gets the server's own writer: it tells it to close the
	// connection instead of reading the rest of a body that is too long.
	if r.ContentLength > maxBody {
		a.Header().Set("Connection", "close")
		return newProblem(bodyTooLarge, "")
	}
	r.Body = http.MaxBytesReader(a.ResponseWriter, r.Body, maxBody)
	r = r.WithContext(audit.WithOrigin(r.Context(), h.origin(r, id)))
	for name, value := range match.Vars {
		r.SetPathValue(name, value)
	}
	if res.dialect == page && r.Method == http.MethodPost {
		if err := h.checkOrigin(r); err != nil {
			return err
		}
	}
	return handle(a, r)
}

// Values of headers that every answer carries. They are shared: replace, never edit.
var (
	noStore   = []string{"no-store"}
	nosniff   = []string{"nosniff"}
	noReferer = []string{"no-referrer"}
	strictCSP = []string{"default-src 'none'; frame-ancestors 'none'"}
	hstsValue = []string{"max-age=31536000"}
)

// setHeaders sets what is right for every answer; a cacheable one replaces Cache-Control.
// Keys are written in canonical form straight into the map. Each header costs 2 % of
// what a bare answer takes, so public documents, which render and link nothing, go
// without the two that only speak to browsers that show a page.
func (h *handler) setHeaders(header http.Header, res *resource, id string) {
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = nosniff
	header["X-Request-Id"] = []string{id}
	if h.hsts {
		header["Strict-Transport-Security"] = hstsValue
	}
	if res.dialect != document {
		header["Referrer-Policy"] = noReferer
		header["Content-Security-Policy"] = strictCSP
	}
	if res.dialect.forPeople() {
		header["Referrer-Policy"] = ownReferer
		header["Vary"] = varyPage
		header["X-Frame-Options"] = noFraming
	}
}

// recovered turns a panic into server_error, or cuts the connection when a part of the
// answer is already on its way.
func (h *handler) recovered(a *answer, r *http.Request, res *resource, id string, p any) *problem {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return &problem{Code: serverError, abort: true, cause: err}
	}
	f := asProblem(fmt.Errorf("panic: %v", p))
	f.stack = string(debug.Stack())
	if a.status != 0 {
		f.abort = true
		return f
	}
	h.writeProblem(a, r, res.dialect, f)
	return f
}

// report writes the one log line of a request and counts it. Neither path nor query is
// logged, because strangers put secrets there. A failure on our side carries its cause.
func (h *handler) report(r *http.Request, a *answer, res *resource, id string, took time.Duration, f *problem) {
	status, method := a.status, r.Method
	if status == 0 {
		status = http.StatusOK // net/http's, when a handler wrote nothing
	}
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
	default:
		method = "OTHER"
	}
	if h.Metrics != nil {
		h.Metrics.Request(res.template, method, status, took)
	}

	level := slog.LevelInfo
	switch {
	case f != nil && f.Code == serverError:
		level = slog.LevelError
	case status >= 500:
		level = slog.LevelWarn
	case !res.dialect.bounded() && status < 400:
		level = slog.LevelDebug // probes and public documents would drown the rest
	}
	ctx := r.Context()
	if !h.Log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs,
		slog.String("request_id", id), slog.String("method", method), slog.String("route", res.template),
		slog.Int("status", status), slog.Duration("took", took), slog.String("address", h.clientAddress(r)))
	if f != nil {
		attrs = append(attrs, slog.String("code", string(f.Code)))
		if f.cause != nil && status >= 500 {
			attrs = append(attrs, slog.String("error", f.cause.Error()))
		}
		if f.stack != "" {
			attrs = append(attrs, slog.String("stack", f.stack))
		}
	}
	h.Log.LogAttrs(ctx, level, "request", attrs...)
}

// writeBody sends a complete answer. The length is said explicitly so that HEAD and GET agree.
func writeBody(w http.ResponseWriter, status int, contentType []string, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left is nobody's error
}
