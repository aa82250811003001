package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/mux"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/internal/span"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
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
	plain     map[string]*resource // by path: those that the router finds by the path alone
	trusted   []netip.Prefix
	origins   origins
	timeout   time.Duration
	hsts      bool

	crossOrigin *http.CrossOriginProtection
	ownOrigin   string // of the issuer
}

func (h *handler) prepare() (err error) {
	h.cacheable = publicFor(h.JWKSMaxAge)
	h.description = sync.OnceValues(h.describe)
	if h.trusted, err = parseProxies(h.TrustedProxies); err != nil {
		return err
	}
	h.origins = newOrigins(h.scriptOrigins(), h.Store.RedirectOrigin)
	h.timeout = h.Timeout
	if h.timeout <= 0 {
		h.timeout = defaultTimeout
	}
	h.hsts = strings.HasPrefix(h.Issuer.URL, "https://")
	h.prepareOrigin()
	return nil
}

// unmatched stands for every path without a route.
var unmatched = &resource{template: "unmatched", class: accountAPI, allow: []string{""}}

// answer is the ResponseWriter that handlers get; it keeps the status that was sent.
type answer struct {
	http.ResponseWriter
	status  int
	id      [1]string    // the request id, as the value of its header
	address string       // of the client, once it is known
	note    refusal.Note // for the log line of a refused request

	span    span.Span
	traceID string // empty: the request is not recorded
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

// ServeHTTP is the pipeline. The request id is always made here: a client that
// could choose it could forge log lines.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := h.Now()
	id := h.NewID()
	a := &answer{ResponseWriter: w, id: [1]string{id}}
	res, vars := h.find(r)
	r = h.beginTrace(a, r, res)
	var failure *problem.Problem
	defer func() {
		if p := recover(); p != nil {
			failure = h.recovered(a, r, res, id, p)
		}
		h.report(r, a, res, h.Now().Sub(began), failure)
		a.endTrace(failure)
		if failure != nil && failure.Abort {
			panic(http.ErrAbortHandler)
		}
	}()

	h.setHeaders(w.Header(), res, a)
	if err := h.serve(a, r, res, vars, id); err != nil {
		failure = problem.From(err)
		h.writeProblem(a, r, res.class, failure)
	}
}

// find returns the resource of a request, and what its path has in the place of the template's
// variables. The router tries one route after the other, so most paths are looked up before.
func (h *handler) find(r *http.Request) (*resource, map[string]string) {
	if res := h.plain[r.URL.EscapedPath()]; res != nil {
		return res, nil
	}
	var match mux.RouteMatch
	if !h.router.Match(r, &match) {
		return unmatched, nil
	}
	return h.resources[match.Route], match.Vars
}

// serve finds the method and runs its handler.
func (h *handler) serve(a *answer, r *http.Request, res *resource, vars map[string]string, id string) error {
	if res == unmatched && r.Method != http.MethodConnect {
		return errNothing
	}
	if res.class.bounded() { // all of it: setCORS asks the store as well
		ctx, cancel := context.WithTimeout(r.Context(), h.timeout)
		defer cancel()
		origin := h.origin(r, id)
		a.address = origin.Address
		r = r.WithContext(refusal.With(audit.WithOrigin(ctx, origin), &a.note))
	}
	h.setCORS(a.Header(), r, res)
	handle := res.methods[r.Method]
	if handle == nil {
		a.Header()["Allow"] = res.allow
		if r.Method == http.MethodOptions {
			a.WriteHeader(http.StatusNoContent)
			return nil
		}
		return problem.New(problem.MethodNotAllowed, "")
	}
	for name, value := range vars {
		r.SetPathValue(name, value)
	}
	if !res.class.bounded() {
		return handle(a, r)
	}

	// MaxBytesReader gets the server's own writer: it tells it to close the
	// connection instead of reading the rest of a body that is too long.
	if r.ContentLength > maxBody {
		a.Header().Set("Connection", "close")
		return problem.New(problem.BodyTooLarge, "")
	}
	if r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(a.ResponseWriter, r.Body, maxBody)
	}
	if res.class == ownPage && r.Method == http.MethodPost {
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

	// Pages differ by language and user. Caches must not keep them; a careless cache shall at least
	// not mix them up.
	varyPage   = []string{"Accept-Language, Cookie"}
	ownReferer = []string{"same-origin"}
	noFraming  = []string{"DENY"}
)

// setHeaders sets what is right for every answer; a cacheable one replaces Cache-Control.
// Keys are written in canonical form straight into the map. Each header costs 2 % of
// what a bare answer takes, so public documents, which render and link nothing, go
// without the two that only speak to browsers that show a page.
func (h *handler) setHeaders(header http.Header, res *resource, a *answer) {
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = nosniff
	header["X-Request-Id"] = a.id[:]
	if h.hsts {
		header["Strict-Transport-Security"] = hstsValue
	}
	if res.class != publicDocument {
		header["Referrer-Policy"] = noReferer
		header["Content-Security-Policy"] = strictCSP
	}
	if res.class.forPeople() {
		header["Referrer-Policy"] = ownReferer
		header["Vary"] = varyPage
		header["X-Frame-Options"] = noFraming
	}
}

// recovered turns a panic into server_error, or cuts the connection when a part of the
// answer is already on its way.
func (h *handler) recovered(a *answer, r *http.Request, res *resource, id string, p any) *problem.Problem {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return &problem.Problem{Code: problem.ServerError, Abort: true, Cause: err}
	}
	if err, ok := p.(error); ok && errors.Is(err, userstore.ErrUnavailable) && a.status == 0 { // no id could be drawn
		f := problem.From(err)
		h.writeProblem(a, r, res.class, f)
		return f
	}
	f := problem.From(fmt.Errorf("panic: %v", p))
	f.Stack = string(debug.Stack())
	if a.status != 0 {
		f.Abort = true
		return f
	}
	h.writeProblem(a, r, res.class, f)
	return f
}

// report writes the one log line of a request and counts it. Path and query are not logged, because
// clients put secrets there. A failure of the server is logged with its cause, a refusal with the
// client and the reason, which the answer may not name.
func (h *handler) report(r *http.Request, a *answer, res *resource, took time.Duration, f *problem.Problem) {
	status, method := a.status, r.Method
	if status == 0 {
		status = http.StatusOK // as net/http answers when a handler wrote nothing
	}
	method = knownMethod(method)
	if h.Metrics != nil {
		h.Metrics.Request(res.template, method, status, took)
	}

	level := slog.LevelInfo
	switch {
	case f != nil && f.Code == problem.ServerError:
		level = slog.LevelError
	case status >= 500:
		level = slog.LevelWarn
	case !res.class.bounded() && status < 400:
		level = slog.LevelDebug // or probes and public documents would be most of the log
	}
	ctx := r.Context()
	if !h.Log.Enabled(ctx, level) {
		return
	}
	if a.address == "" {
		a.address = h.clientAddress(r)
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("request_id", a.id[0]), slog.String("method", method), slog.String("route", res.template),
		slog.Int("status", status), slog.String("took", took.String()), slog.String("address", a.address))
	if a.traceID != "" {
		attrs = append(attrs, slog.String("trace_id", a.traceID))
	}
	if f != nil {
		attrs = append(attrs, slog.String("code", string(f.Code)))
		if f.Cause != nil && status >= 500 {
			attrs = append(attrs, slog.String("error", f.Cause.Error()))
		}
		if f.Stack != "" {
			attrs = append(attrs, slog.String("stack", f.Stack))
		}
		if res.class.bounded() {
			attrs = append(attrs, a.note.Attrs(reasonOf(f, status))...)
		}
	} else if a.note.Refused() {
		attrs = append(append(attrs, slog.String("code", a.note.Code())), a.note.Attrs("")...)
	}
	h.Log.LogAttrs(ctx, level, "request", attrs...)
}

// knownMethod returns a method of HTTP, or OTHER: clients must not invent values.
func knownMethod(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
		return method
	}
	return "OTHER"
}

// reasonOf says for the log why a request was refused: what the issuer keeps to itself, or else what the answer says.
func reasonOf(f *problem.Problem, status int) string {
	var said *issuer.Error
	switch {
	case status >= 500: // the line has the error itself
		return ""
	case f.Cause == nil || len(f.Errors) > 0 || errors.As(f.Cause, &said) && said.Cause == nil:
		return f.Detail
	}
	return f.Cause.Error()
}
