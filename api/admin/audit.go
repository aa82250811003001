package admin

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const linesType = "application/x-ndjson"

// ListAudit answers a page of the audit log, newest first: a JSON document or, for an export, JSON
// lines with one event a line and the next page in Link (RFC 8288).
func (h *Handlers) ListAudit(w http.ResponseWriter, r Request) error {
	q := &r.query
	ask := userstore.EventQuery{
		Name:    q.event("event"),
		ActorID: q.text("actor"), TargetID: q.text("target"),
		From: q.instant("from"), To: q.instant("to"),
	}
	size := q.limit(usualPage, largestPage)
	ask.Limit = size + 1
	if !ask.From.IsZero() && !ask.To.IsZero() && !ask.From.Before(ask.To) {
		q.fault("to", "invalid", "This must be later than from.")
	}
	if err := q.err(); err != nil {
		return err
	}
	if text := q.text("cursor"); text != "" {
		p, err := h.openCursor("audit", q.conditions(), text)
		if err != nil {
			return err
		}
		ask.Before = &audit.Event{At: p.at, ID: p.id}
	}
	var events []audit.Event
	if storable(string(ask.Name), ask.ActorID, ask.TargetID) {
		var err error
		if events, err = h.Audit.ListEvents(r.Context(), ask); err != nil {
			return err
		}
	}
	next := ""
	if len(events) > size {
		events = events[:size]
		last := events[size-1]
		var err error
		if next, err = h.sealCursor("audit", q.conditions(), position{last.At, last.ID}); err != nil {
			return err
		}
	}
	if accepts(r.Request, linesType) {
		return h.writeLines(w, r, events, next)
	}
	return wire.WriteJSON(w, http.StatusOK, struct {
		Events     []audit.Event `json:"events"`
		NextCursor string        `json:"next_cursor,omitempty"`
	}{append([]audit.Event{}, events...), next})
}

func (h *Handlers) writeLines(w http.ResponseWriter, r Request, events []audit.Event, next string) error {
	var body bytes.Buffer
	lines := json.NewEncoder(&body) // ends each with a line feed
	for i := range events {
		if err := lines.Encode(events[i]); err != nil {
			return err
		}
	}
	if next != "" {
		nextQuery := url.Values{}
		for name, values := range r.query.values {
			nextQuery[name] = values
		}
		nextQuery.Set("cursor", next)
		w.Header().Set("Link", "<"+h.IssuerPath+"/v1/admin/audit?"+nextQuery.Encode()+`>; rel="next"`)
	}
	wire.WriteBody(w, http.StatusOK, jsonLines, body.Bytes())
	return nil
}

var jsonLines = []string{linesType}

// accepts reports whether Accept names a media type with another weight than 0.
func accepts(r *http.Request, media string) bool {
	for _, header := range r.Header["Accept"] {
		for part := range strings.SplitSeq(header, ",") {
			if m, params, err := mime.ParseMediaType(part); err == nil && m == media && params["q"] != "0" {
				return true
			}
		}
	}
	return false
}

// event is the name of a known event, or "" for any. A misspelt name is a fault: it would answer an
// empty log, which looks as if nothing had happened.
func (q *query) event(parameter string) audit.Name {
	names := make([]string, len(audit.Names))
	for i, name := range audit.Names {
		names[i] = string(name)
	}
	return audit.Name(q.oneOf(parameter, names...))
}
