package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// ErrStopping is what Ready says while the server drains.
var ErrStopping = errors.New("the server is stopping")

// readyTimeout bounds the question to the store: a load balancer's probe is impatient.
const readyTimeout = 2 * time.Second

// healthz says that the process lives. It asks nobody: a store that is down is no
// reason to restart this process.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// reasons are all that a stranger learns of why we are not ready: the first that
// fits of each field.
var reasons = []struct {
	is     error
	reason fault
}{
	{ErrStopping, fault{"server", "stopping", "The server is stopping."}},
	{userstore.ErrUnwritable, fault{"store", "unwritable", "The store takes no writes; the server's log says why."}},
	{userstore.ErrUnavailable, fault{"store", "unavailable", "The store does not answer."}},
	{context.DeadlineExceeded, fault{"store", "unavailable", "The store does not answer."}},
	{keys.ErrClock, fault{"keys", "clock_off", "The clock of this machine and that of the store differ too much; set them by NTP."}},
	{keys.ErrStale, fault{"keys", "stale", "The signing keys were not read from the store for too long."}},
	{keys.ErrSealed, fault{"keys", "sealed", "The signing keys cannot be opened with the key-encryption key that this server has; its log says which one is needed."}},
	{keys.ErrNotReady, fault{"keys", "not_ready", "The signing keys are not ready; the server's log says why."}},
}

// readyz says whether requests should be sent here. The whole error is logged.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	var err error
	if s.Ready != nil {
		err = s.Ready(ctx)
	}
	if err == nil {
		return writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	}
	p := newProblem(unavailable, "Not ready; ask again in a moment.")
	p.cause = err
	for _, known := range reasons {
		said := slices.ContainsFunc(p.Errors, func(f fault) bool { return f.Field == known.reason.Field })
		if !said && errors.Is(err, known.is) {
			p.Errors = append(p.Errors, known.reason)
		}
	}
	if p.Errors == nil {
		p.Errors = []fault{{"server", "not_ready", "The server is not ready; its log says why."}}
	}
	return p
}
