package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// ErrStopping is what Ready says while the server drains.
var ErrStopping = errors.New("the server is stopping")

// readyTimeout bounds the question to the store: a load balancer's probe is impatient.
const readyTimeout = 2 * time.Second

// healthz says that the process lives. It does not ask the store, because restarting this process
// does not bring a store back.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) error {
	return wire.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// reasons are the public reasons for not being ready; of each field the first that fits is shown.
var reasons = []struct {
	is     error
	reason problem.Fault
}{
	{ErrStopping, problem.Fault{Field: "server", Code: "stopping", Message: "The server is stopping."}},
	{userstore.ErrUnwritable, problem.Fault{Field: "store", Code: "unwritable", Message: "The store takes no writes; the server's log says why."}},
	{userstore.ErrUnavailable, problem.Fault{Field: "store", Code: "unavailable", Message: "The store does not answer."}},
	{context.DeadlineExceeded, problem.Fault{Field: "store", Code: "unavailable", Message: "The store does not answer."}},
	{keys.ErrClock, problem.Fault{Field: "keys", Code: "clock_off", Message: "The clock of this machine and that of the store differ too much; set them by NTP."}},
	{keys.ErrStale, problem.Fault{Field: "keys", Code: "stale", Message: "The signing keys were not read from the store for too long."}},
	{keys.ErrSealed, problem.Fault{Field: "keys", Code: "sealed", Message: "The signing keys cannot be opened with the key-encryption key that this server has; its log says which one is needed."}},
	{keys.ErrNotReady, problem.Fault{Field: "keys", Code: "not_ready", Message: "The signing keys are not ready; the server's log says why."}},
}

// readyz says whether requests should be sent here. The whole error is logged.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	err := s.Ready(ctx)
	if err == nil {
		return wire.WriteJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	}
	p := problem.New(problem.Unavailable, "Not ready; ask again in a moment.")
	p.Cause = err
	for _, known := range reasons {
		shown := slices.ContainsFunc(p.Errors, func(f problem.Fault) bool { return f.Field == known.reason.Field })
		if !shown && errors.Is(err, known.is) {
			p.Errors = append(p.Errors, known.reason)
		}
	}
	if p.Errors == nil {
		p.Errors = []problem.Fault{{Field: "server", Code: "not_ready", Message: "The server is not ready; its log says why."}}
	}
	return p
}
