package profile

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const (
	// mostExported and mostBytes bound the audit entries of an export. Users can make entries long: an
	// edit of the profile leaves one of several kilobytes, and its number is not bounded.
	mostExported = 10_000
	mostBytes    = 8 << 20
	// eventsAtOnce is how many entries are read at once.
	eventsAtOnce = 201

	turnWait = 5 * time.Second
)

// turns lets two exports of this process be gathered at a time. An export is the largest answer there
// is: one user who asks for many must not take the store and the processors from all others.
var turns = make(chan struct{}, 2)

// ExportDisposition is the header Content-Disposition of an export: browsers keep it as a file.
const ExportDisposition = `attachment; filename="account.json"`

// Export is everything that is kept in the user's name. Passwords, tokens, codes, the secrets
// of second factors and the hashes of any of them are not in it.
type Export struct {
	ExportedAt time.Time     `json:"exported_at"`
	Issuer     string        `json:"issuer"`
	Profile    Document      `json:"profile"`
	Factors    Factors       `json:"factors"`
	Sessions   []Session     `json:"sessions"`
	Consents   []Consent     `json:"consents"`
	Subjects   []Subject     `json:"subjects"`
	Audit      []audit.Event `json:"audit"`          // newest first
	AuditAll   bool          `json:"audit_complete"` // false: there are older entries, too many for one document
}

// Exporter gathers what is kept in a user's name.
type Exporter struct {
	Issuer   string
	Factors  userstore.Factors
	Sessions Sessions
	Consents Consents
	Subjects userstore.Subjects
	Audit    userstore.Audit
	Now      func() time.Time
}

// Of is the export of a user; current is as in Sessions.List. userstore.ErrOverloaded: too many
// others are gathered now.
func (e Exporter) Of(ctx context.Context, u userstore.User, current userstore.Grant) (out Export, err error) {
	waitCtx, cancel := context.WithTimeout(ctx, turnWait)
	defer cancel()
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
	case <-waitCtx.Done():
		return Export{}, userstore.ErrOverloaded
	}
	out = Export{ExportedAt: e.Now().UTC().Truncate(time.Second), Issuer: e.Issuer, Profile: Of(u)}
	have, err := e.Factors.SecondFactors(ctx, u.ID)
	if err != nil {
		return Export{}, err
	}
	trusted, err := e.Factors.ListTrustedBrowsers(ctx, u.ID, e.Now())
	if err != nil {
		return Export{}, err
	}
	out.Factors = FactorsOf(have, trusted)
	if out.Sessions, err = e.Sessions.List(ctx, u.ID, current); err != nil {
		return Export{}, err
	}
	if out.Consents, err = e.Consents.List(ctx, u.ID); err != nil {
		return Export{}, err
	}
	if out.Subjects, err = subjectsOf(ctx, e.Subjects, u.ID); err != nil {
		return Export{}, err
	}
	if out.Audit, out.AuditAll, err = e.Events(ctx, u.ID, time.Time{}, mostExported); err != nil {
		return Export{}, err
	}
	return out, nil
}

// Events lists the newest audit entries about a user and of what the user did, since then: most of
// them at most, and mostBytes. all reports whether there are no others.
//
// What an entry says of somebody else is left out: where an admin was when the admin changed the account, and
// what this user, as an admin, changed in other accounts.
func (e Exporter) Events(
	ctx context.Context, userID string, since time.Time, most int,
) (events []audit.Event, all bool, err error) {
	events, all = []audit.Event{}, true
	for _, q := range []userstore.EventQuery{{TargetID: userID}, {ActorID: userID}} {
		q.From, q.Limit = since, min(most+1, eventsAtOnce)
		for found, bytes := 0, 0; ; {
			page, err := e.Audit.ListEvents(ctx, q)
			if err != nil {
				return nil, false, err
			}
			for _, event := range page {
				event = ownPart(event, userID)
				events = append(events, event)
				bytes += sizeOf(event)
			}
			if found += len(page); len(page) < q.Limit {
				break
			}
			if found >= most || bytes >= mostBytes {
				all = false
				break
			}
			last := page[len(page)-1]
			q.Before = &last
		}
	}
	slices.SortFunc(events, func(a, b audit.Event) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) })
	events = slices.CompactFunc(events, func(a, b audit.Event) bool { return a.ID == b.ID && a.At.Equal(b.At) })
	// Each of the two lists has this much of the newest entries, so both together have no gap.
	bytes := 0
	for n, event := range events {
		if n >= most || bytes >= mostBytes {
			return events[:n], false, nil
		}
		bytes += sizeOf(event)
	}
	return events, all, nil
}

// sizeOf returns about how long an entry is in the answer. Only its changes can be long.
func sizeOf(e audit.Event) int {
	changes, err := json.Marshal(e.Changes)
	if err != nil {
		return mostBytes
	}
	return len(changes)
}

// ownPart is an entry without what it says of others than the user.
func ownPart(e audit.Event, userID string) audit.Event {
	if e.Actor.ID != userID && e.Actor.Type != audit.ByNobody {
		e.Address, e.UserAgent, e.RequestID = "", "", ""
		if e.Actor.Type != audit.ByClient {
			e.Actor.ID, e.SessionID = "", "" // of the admin or operator who did it
		}
	}
	if e.Target.ID != userID {
		e.Changes = nil
	}
	return e
}
