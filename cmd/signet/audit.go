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

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/userstore"
)

// auditFlags are the conditions of a look into the audit log, as they are typed.
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
	ask := userstore.EventQuery{Name: audit.Name(q.event)}
	switch {
	case q.limit < 0:
		return misusef("--limit is a number of events, and 0 for all of them")
	case q.event != "" && !slices.Contains(audit.Names, ask.Name):
		return misusef("--event is none of %s", names())
	case q.user != "" && (q.actor != "" || q.target != ""):
		return misusef("--user stands for actor and target; give it, or --actor and --target")
	}
	now := a.now() // one, so that 2h is before 1h
	var err error
	if ask.From, err = when(now, "--since", q.since); err != nil {
		return err
	}
	if ask.To, err = when(now, "--until", q.until); err != nil {
		return err
	}
	if !ask.From.IsZero() && !ask.To.IsZero() && !ask.From.Before(ask.To) {
		return misusef("--until is not later than --since")
	}

	_, db, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	finder := &userstore.Accounts{Store: db}
	found := make(map[*string][]string)
	for _, name := range []*string{&q.user, &q.actor, &q.target} {
		if found[name], err = subjects(ctx, finder, *name); err != nil {
			return err
		}
	}
	var asks []userstore.EventQuery
	add := func(actor, target string) {
		ask.ActorID, ask.TargetID = actor, target
		asks = append(asks, ask)
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
	log := &auditLog{store: db, asks: asks, left: q.limit}
	if q.limit == 0 {
		log.left = -1
	}
	if a.asJSON {
		return a.exportEvents(ctx, log)
	}
	return a.showEvents(ctx, log, finder)
}

func names() string {
	text := make([]string, len(audit.Names))
	for i, n := range audit.Names {
		text[i] = string(n)
	}
	return strings.Join(text, ", ")
}

// subjects are the ids that a name stands for; one that is empty stands for anybody. What no user
// has is taken for an id: the log outlives accounts, and not all actors are users. So is what a
// user has for a username: whoever signs up as the operator, or as a key, must not hide what they did.
func subjects(ctx context.Context, accounts *userstore.Accounts, name string) ([]string, error) {
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

// when reads an instant, a day, or how long ago.
func when(now time.Time, flag, text string) (time.Time, error) {
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

// exportEvents writes an event a line. The order is that of the table, newest first, so that an
// export which is cut short has what matters.
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
				if _, asked := emails[id]; !asked {
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
		if err := c.write(rows); err != nil {
			return err
		}
		rows = rows[:0]
	}
}

// telling are the fields whose values the table shows; of others it shows the names, for people's
// profiles are long, and --json has them.
var telling = []string{"is_active", "is_staff", "email_verified", "roles", "accounts"}

// details is why, and what is different now, in as much room as a table has.
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
		case !slices.Contains(telling, c.Field):
			others = append(others, c.Field)
		case c.Before == "" && c.Field == "accounts":
			parts = append(parts, c.Field+": "+c.After)
		default:
			parts = append(parts, c.Field+": "+dash(cut(c.Before, 40))+" → "+dash(cut(c.After, 40)))
		}
	}
	if others != nil {
		parts = append(parts, strings.Join(others, ", "))
	}
	return cut(strings.Join(parts, "; "), 120)
}

// cut is text in n characters at most.
func cut(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

// auditLog reads the events that any of several questions is answered with, newest first, each once,
// page by page.
type auditLog struct {
	store userstore.Audit
	asks  []userstore.EventQuery
	left  int // to be told yet; negative: all

	pages [][]audit.Event // by question: what was read and not told yet
	done  []bool          // by question: there is no more to read
}

func (l *auditLog) next(ctx context.Context) ([]audit.Event, error) {
	if l.pages == nil {
		l.pages, l.done = make([][]audit.Event, len(l.asks)), make([]bool, len(l.asks))
	}
	var told []audit.Event
	for len(told) < pageSize && l.left != 0 {
		newest := -1
		for i := range l.asks {
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
		for i := range l.pages { // one that a user did to themselves answers both questions
			if len(l.pages[i]) > 0 && l.pages[i][0].ID == e.ID {
				l.pages[i] = l.pages[i][1:]
			}
		}
		told = append(told, e)
		l.left--
	}
	return told, nil
}

func newer(a, b audit.Event) bool {
	if !a.At.Equal(b.At) {
		return a.At.After(b.At)
	}
	return a.ID > b.ID
}

// fill has an event of a question at hand, if there is one left.
func (l *auditLog) fill(ctx context.Context, i int) error {
	if len(l.pages[i]) > 0 || l.done[i] {
		return nil
	}
	q := l.asks[i]
	if q.Limit = pageSize; l.left > 0 {
		q.Limit = min(l.left, pageSize)
	}
	page, err := l.store.ListEvents(ctx, q)
	if err != nil {
		return err
	}
	if l.pages[i], l.done[i] = page, len(page) < q.Limit; len(page) > 0 {
		last := page[len(page)-1]
		l.asks[i].Before = &last
	}
	return nil
}
