package api

import (
	"errors"
	"net/http"

	"github.com/signet-id/signet/api/problem"
)

// beginTrace begins the span of a request, where requests are traced. Probes and public documents are
// not: they would be most of the traces. The span has the route's template and never the path, which
// may hold what a client should have kept to itself.
//
// A traceparent is followed, and with it the decision whether the request is recorded, only if it
// comes from a trusted proxy that is said to set it. From any other client it is ignored: a stranger
// must neither force the recording nor choose ids.
func (h *handler) beginTrace(a *answer, r *http.Request, res *resource) *http.Request {
	if h.Traces == nil || !res.class.bounded() {
		return r
	}
	parent := ""
	if h.TracesOfProxies {
		if peer, ok := parseHop(r.RemoteAddr); ok && h.trusts(peer) {
			parent = r.Header.Get("Traceparent")
		}
	}
	ctx, s, id := h.Traces.Request(r.Context(), knownMethod(r.Method), res.template, parent)
	if !s.Recorded() {
		return r
	}
	a.span, a.traceID = s, id
	return r.WithContext(ctx)
}

var errFailed = errors.New("the server failed")

// endTrace ends the span of a request. Only a failure of the server marks it as failed.
func (a *answer) endTrace(f *problem.Problem) {
	if !a.span.Recorded() {
		return
	}
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	a.span.Number("http.response.status_code", status)
	var failure error
	if f != nil {
		a.span.Text("error.type", string(f.Code))
		if status >= 500 {
			failure = errFailed
		}
	}
	a.span.End(failure)
}
