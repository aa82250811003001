package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/userstore"
)

// auditFlags are the conditions of a search in the audit log, as the operator typed them.
type auditFlags struct {
	event, user, actor, target, since, until string
	limit                                    int
}

func (a *app) auditCommand() *cobra.Command {
	var q auditFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show what happened, who did it and from where",
		Long: `Show the audit log, newest first: what happened, what came of it, who did it to whom and
from where. Of several conditions all must hold.

People get the last 50 events; --limit 0 shows all. With --json it is an export: one event a line,
each a JSON document, all that there are unless --limit is given.

USER is an email address, a username or an id; of a deleted account only the id is left, and
an actor or target that is no user (a client, a key, an operator) is named by its id as well.
WHEN is an instant (2026-01-31T18:00:00Z), a day (2026-01-31, UTC) or how long ago (90m, 24h, 7d).`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&q.event, "event", "", "events of this `name` only, such as login_failed")
	f.StringVar(&q.user, "user", "", "what this `USER` did, or what was done to them")
	f.StringVar(&q.actor, "actor", "", "what this `USER` or other actor did")
	f.StringVar(&q.target, "target", "", "what was done to this `USER` or other target")
	f.StringVar(&q.since, "since", "", "not before `WHEN`")
	f.StringVar(&q.until, "until", "", "before `WHEN`")
	f.IntVar(&q.limit, "limit", 50, "the newest `N` only; 0: all")
	a.wideFlag(cmd)
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		if a.asJSON && !f.Changed("limit") {
			q.limit = 0
		}
		return a.audit(ctx, q)
	})
	return cmd
}

func (a *app) audit(ctx context.Context, q auditFlags) error {
	query := userstore.EventQuery{Name: audit.Name(q.event)}
	switch {
	case q.limit < 0:
		return misusef("--limit is a number of events, and 0 for all of them")
	case q.event != "" && !slices.Contains(audit.Names, query.Name):
		return misusef("--event is none of %s", eventNames())
	case q.user != "" && (q.actor != "" || q.target != ""):
		return misusef("--user stands for actor and target; give it, or --actor and --target")
	}
	now := a.now() // the same for both flags, so that 2h is before 1h
	var err error
	if query.From, err = parseWhen(now, "--since", q.since); err != nil {
		return err
	}
	if query.To, err = parseWhen(now, "--until", q.until); err != nil {
		return err
	}
	if !query.From.IsZero() && !query.To.IsZero() && !query.From.Before(query.To) {
		return misusef("--until is not later than --since")
	}

	_, db, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	accounts := &userstore.Accounts{Store: db}
	found := make(map[*string][]string)
	for _, name := range []*string{&q.user, &q.actor, &q.target} {
		if found[name], err = idsOf(ctx, accounts, *name); err != nil {
			return err
		}
	}
	var queries []userstore.EventQuery
	add := func(actor, target string) {
		query.ActorID, query.TargetID = actor, target
		queries = append(queries, query)
	}
	if q.user != "" {
		for _, id := range found[&q.user] {
			add(id, "")
			add("", id)
		}
	} else {
		for _, actor := range found[&q.actor] {
			for _, target := range found[&q.target] {
				add(actor, target)
			}
		}
	}
	log := &auditLog{store: db, queries: queries, left: q.limit}
	if q.limit == 0 {
		log.left = -1
	}
	if a.asJSON {
		return a.exportEvents(ctx, log)
	}
	return a.showEvents(ctx, log, accounts)
}

// eventNames lists the names of all events, for people.
func eventNames() string {
	text := make([]string, len(audit.Names))
	for i, n := range audit.Names {
		text[i] = string(n)
	}
	return strings.Join(text, ", ")
}

// idsOf returns the ids that a name may stand for. An empty name matches any id. A name that no
// user has is taken as an id, because the log outlives accounts and not all actors are users. A
// username is taken as an id as well: a user who signs up under the name of an operator or a key
// must not hide the events of that operator or key.
func idsOf(ctx context.Context, accounts *userstore.Accounts, name string) ([]string, error) {
	if name == "" {
		return []string{""}, nil
	}
	u, err := accounts.Find(ctx, name)
	switch {
	case err == nil && (u.ID == name || strings.Contains(name, "@")):
		return []string{u.ID}, nil
	case err == nil:
		return []string{u.ID, name}, nil
	case !errors.Is(err, userstore.ErrNotFound):
		return nil, err
	case strings.Contains(name, "@"):
		return nil, fmt.Errorf("there is no user %q; of a deleted account the log knows the id only", printable.Text(name))
	}
	return []string{name}, nil
}

// parseWhen parses an instant, a day, or a time before now.
func parseWhen(now time.Time, flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	var ago time.Duration
	days, isDays := strings.CutSuffix(text, "d")
	n, err := strconv.ParseUint(days, 10, 16)
	if isDays && err == nil {
		ago = time.Duration(n) * 24 * time.Hour
	} else if ago, err = time.ParseDuration(text); err != nil || ago < 0 {
		return time.Time{}, misusef("%s is not an instant like 2026-01-31T18:00:00Z, a day like 2026-01-31, or how long ago, like 24h or 7d", flag)
	}
	return now.Add(-ago), nil
}

// exportEvents writes one event a line. The newest event comes first, as in the table, so that an
// export which is cut short has the most important events.
func (a *app) exportEvents(ctx context.Context, log *auditLog) error {
	for {
		events, err := log.next(ctx)
		if err != nil || len(events) == 0 {
			return err
		}
		var text []byte
		for _, e := range events {
			line, err := json.Marshal(e)
			if err != nil {
				return err
			}
			text = append(append(text, line...), '\n')
		}
		if _, err := a.out.Write(text); err != nil {
			return err
		}
	}
}

func (a *app) showEvents(ctx context.Context, log *auditLog, accounts *userstore.Accounts) error {
	c := a.list(0, 1)
	rows := [][]string{append(a.columnsOf("TIME", "EVENT", "ACTOR", "TARGET").and("NETWORK"), "REASON AND CHANGES")}
	for first := true; ; first = false {
		events, err := log.next(ctx)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			if first {
				_, err = fmt.Fprintln(a.out, "The audit log has no such event.")
			}
			return err
		}
		emails := make(map[string]string) // of this page
		shown := func(kind, id string) string {
			if kind == string(audit.ByUser) {
				if _, known := emails[id]; !known {
					emails[id] = id
					if u, err := accounts.Store.UserByID(ctx, id); err == nil {
						emails[id] = u.Email
					}
				}
				id = emails[id]
			}
			return dash(strings.TrimSpace(kind + " " + id))
		}
		for _, e := range events {
			row := a.columnsOf(readable.Instant(e.At), string(e.Name), shown(string(e.Actor.Type), e.Actor.ID), shown(string(e.Target.Type), e.Target.ID))
			rows = append(rows, append(row.and(dash(e.Address)), dash(details(e))))
		}
		if err := c.Write(rows); err != nil {
			return err
		}
		rows = rows[:0]
	}
}

// shownFields are the fields whose values the table shows. Of other fields it shows only the names,
// because profiles are long; --json has the values.
var shownFields = []string{"is_active", "is_staff", "email_verified", "roles", "accounts"}

// details returns the reason and the changes of an event, shortened for the table.
func details(e audit.Event) string {
	var parts []string
	if e.Outcome != audit.Success { // which goes without saying
		parts = append(parts, string(e.Outcome))
	}
	if e.Reason != "" {
		parts = append(parts, e.Reason)
	}
	var others []string
	for _, c := range e.Changes {
		switch {
		case !slices.Contains(shownFields, c.Field):
			others = append(others, c.Field)
		case c.Before == "" && c.Field == "accounts":
			parts = append(parts, c.Field+": "+c.After)
		default:
			parts = append(parts, c.Field+": "+dash(terminal.Cut(c.Before, 40))+" → "+dash(terminal.Cut(c.After, 40)))
		}
	}
	if others != nil {
		parts = append(parts, strings.Join(others, ", "))
	}
	return terminal.Cut(strings.Join(parts, "; "), 120)
}

// auditLog reads the events that match any of several queries, page by page: newest first, and each
// event once.
type auditLog struct {
	store   userstore.Audit
	queries []userstore.EventQuery
	left    int // events still to return; negative: all

	pages [][]audit.Event // by query: events that were read and not returned yet
	done  []bool          // by query: there are no more events to read
}

// next returns the next page; it is empty at the end.
func (l *auditLog) next(ctx context.Context) ([]audit.Event, error) {
	if l.pages == nil {
		l.pages, l.done = make([][]audit.Event, len(l.queries)), make([]bool, len(l.queries))
	}
	var page []audit.Event
	for len(page) < pageSize && l.left != 0 {
		newest := -1
		for i := range l.queries {
			if err := l.fill(ctx, i); err != nil {
				return nil, err
			}
			if len(l.pages[i]) > 0 && (newest < 0 || newer(l.pages[i][0], l.pages[newest][0])) {
				newest = i
			}
		}
		if newest < 0 {
			break
		}
		e := l.pages[newest][0]
		for i := range l.pages { // an event with one user as actor and target matches two queries
			if len(l.pages[i]) > 0 && l.pages[i][0].ID == e.ID {
				l.pages[i] = l.pages[i][1:]
			}
		}
		page = append(page, e)
		l.left--
	}
	return page, nil
}

func newer(a, b audit.Event) bool {
	if !a.At.Equal(b.At) {
		return a.At.After(b.At)
	}
	return a.ID > b.ID
}

// fill reads the next page of query i, if its last page is used up.
func (l *auditLog) fill(ctx context.Context, i int) error {
	if len(l.pages[i]) > 0 || l.done[i] {
		return nil
	}
	q := l.queries[i]
	if q.Limit = pageSize; l.left > 0 {
		q.Limit = min(l.left, pageSize)
	}
	page, err := l.store.ListEvents(ctx, q)
	if err != nil {
		return err
	}
	if l.pages[i], l.done[i] = page, len(page) < q.Limit; len(page) > 0 {
		last := page[len(page)-1]
		l.queries[i].Before = &last
	}
	return nil
}
