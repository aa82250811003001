package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// endGrants returns the statements that revoke the grants that match a condition, and end the
// sessions that apps have because of these and of earlier grants. Every operation that ends grants
// uses it, or endApps where not all of the grants end with the apps' sessions: so no app is forgotten.
//
// The condition is on columns that grants and app_sessions share. A grant of a disabled client's
// earlier epoch, or one that has expired, is revoked as well; that does no harm.
func endGrants(now int64, condition string, args ...any) []stmt {
	revoke := bind(numbered(`UPDATE grants SET revoked_at = $ WHERE revoked_at = 0 AND `+condition),
		slices.Concat([]any{now}, args)...)
	return append([]stmt{revoke}, endApps(now, condition, args...)...)
}

// endLiveGrants is endGrants for an operation that counts the grants that it revoked: only live ones
// are.
func endLiveGrants(now int64, condition string, args ...any) []stmt {
	revoke := bind(numbered(`UPDATE grants SET revoked_at = $ WHERE revoked_at = 0 AND expires_at > $ AND `+inEpoch+
		` AND `+condition), slices.Concat([]any{now, now}, args)...)
	return append([]stmt{revoke}, endApps(now, condition, args...)...)
}

// endApps returns the statements that end app sessions. From then on those of clients with a
// backchannel_logout_uri wait in the outbox. The others are deleted: a browser tells their apps, in
// frames, or nobody does.
func endApps(now int64, condition string, args ...any) []stmt {
	return []stmt{
		bind(numbered(deleteUntold+condition), args...),
		bind(numbered(endAppsWhere+condition), slices.Concat([]any{now, now}, args)...),
	}
}

// endAppsOfDeleted is endApps for a deleted user. The time of the deletion is that of its event.
func endAppsOfDeleted(userID string, events []audit.Event) []stmt {
	at := int64(0)
	if len(events) > 0 {
		at = micros(events[0].At)
	}
	return []stmt{bind(deleteUntold+`user_id = $1`, userID), bind(endDeletedApps, at, at, at, at, userID)}
}

var endDeletedApps = numbered(`UPDATE app_sessions SET
	ended_at = CASE WHEN created_at < CAST($ AS BIGINT) THEN CAST($ AS BIGINT) ELSE created_at END,
	due_at = CASE WHEN created_at < CAST($ AS BIGINT) THEN CAST($ AS BIGINT) ELSE created_at END
	WHERE ended_at = 0 AND user_id = $`)

const deleteUntold = `DELETE FROM app_sessions WHERE ended_at = 0
	AND NOT EXISTS (SELECT 1 FROM clients c WHERE c.id = app_sessions.client_id AND c.backchannel_logout) AND `

const endAppsWhere = `UPDATE app_sessions SET ended_at = $, due_at = $ WHERE ended_at = 0 AND `

var (
	// startApp reads the grant's row, which is not there if a condition of the login failed. A session
	// that the browser replaces in between keeps its id, so no app session is lost.
	startApp = numbered(`INSERT INTO app_sessions
			(session_id, user_id, subject, client_id, client_epoch, browser_session, created_at, expires_at)
		SELECT g.session_id, g.user_id, g.subject, g.client_id, g.client_epoch, g.browser_session, g.created_at,
			CASE WHEN b.expires_at > g.expires_at THEN b.expires_at ELSE g.expires_at END
		FROM grants g JOIN clients c ON c.id = g.client_id
			LEFT JOIN browser_sessions b ON b.id = g.browser_session AND g.browser_session <> ''
		WHERE g.id = $ AND (c.backchannel_logout OR c.frontchannel_logout) ON CONFLICT (session_id) DO NOTHING`)

	boundApps = numbered(`DELETE FROM app_sessions WHERE session_id IN (
		SELECT session_id FROM (SELECT a.session_id FROM app_sessions a
			WHERE a.user_id = $ AND a.client_id = $ AND a.browser_session = $ AND a.browser_session <> '' AND a.session_id <> $
			ORDER BY a.created_at DESC, a.session_id LIMIT 100 OFFSET $) AS of_browser
		UNION SELECT session_id FROM (SELECT a.session_id FROM app_sessions a
			WHERE a.user_id = $ AND a.client_id = $ AND a.session_id <> $
			ORDER BY a.created_at DESC, a.session_id LIMIT 100 OFFSET $) AS of_client
		UNION SELECT session_id FROM (SELECT a.session_id FROM app_sessions a
			WHERE a.user_id = $ AND a.session_id <> $
			ORDER BY a.created_at DESC, a.session_id LIMIT 100 OFFSET $) AS of_user)
		AND EXISTS (SELECT 1 FROM app_sessions n WHERE n.session_id = $ AND n.user_id = $)`)
)

// startAppSession returns the statements that store the app session of a new grant, if its client
// wants to hear of the end, and keep the bounds of the user's app sessions. The user's row is locked
// by then.
func startAppSession(g userstore.Grant) []stmt {
	u, c, s := g.UserID, g.ClientID, g.SessionID
	return []stmt{
		bind(startApp, g.ID[:]),
		bind(boundApps,
			u, c, g.BrowserSession, s, int64(userstore.MaxAppSessionsPerBrowser-1),
			u, c, s, int64(userstore.MaxAppSessionsPerClient-1),
			u, s, int64(userstore.MaxAppSessionsPerUser-1),
			s, u),
	}
}

const appSessionColumns = `session_id, user_id, subject, client_id, browser_session, created_at, ended_at`

func appDest(a *userstore.AppSession, created, ended *int64) []any {
	return []any{&a.SessionID, &a.UserID, &a.Subject, &a.ClientID, &a.BrowserSession, created, ended}
}

const listApps = `SELECT ` + appSessionColumns + ` FROM app_sessions WHERE browser_session = $1 AND browser_session <> '' AND ended_at = 0
	ORDER BY created_at DESC, session_id LIMIT 1000`

func (db *DB) ListAppSessions(ctx context.Context, browserSession string) ([]userstore.AppSession, error) {
	var all []userstore.AppSession
	list := bind(listApps, browserSession)
	err := db.as("ListAppSessions").rows(ctx, list, func() { all = nil }, func(row scanner) error {
		var a userstore.AppSession
		var created, ended int64
		err := row.Scan(appDest(&a, &created, &ended)...)
		a.CreatedAt, a.EndedAt = instant(created), instant(ended)
		all = append(all, a)
		return err
	})
	return all, ifUnstorable(err, nil)
}

const someAppDue = `SELECT session_id FROM app_sessions WHERE due_at > 0 AND due_at <= $1 LIMIT 1`

// claimApp leaves out the clients of which enough is under way. Two claims at once may both find that
// one more may be; the bound keeps a slow app from taking all workers, and one more does no harm.
//
// Of two claims that find the same row, the second waits for the row and then reads due_at again.
var claimApp = numbered(`UPDATE app_sessions SET due_at = $, lease = $, attempts = attempts + 1
	WHERE session_id = (SELECT a.session_id FROM app_sessions a WHERE a.due_at > 0 AND a.due_at <= $
		AND a.client_id NOT IN (SELECT l.client_id FROM app_sessions l WHERE l.lease <> '' AND l.due_at > $
			GROUP BY l.client_id HAVING COUNT(*) >= $)
		ORDER BY a.attempts, a.due_at, a.session_id LIMIT 1)
	AND due_at > 0 AND due_at <= $
	RETURNING ` + appSessionColumns + `, due_at, lease, attempts, reason,
		CASE WHEN EXISTS (SELECT 1 FROM clients c WHERE c.id = app_sessions.client_id AND c.epoch = app_sessions.client_epoch
			AND c.disabled_at = 0 AND c.backchannel_logout) THEN 1 ELSE 0 END`)

// ClaimEndedAppSession reads before it writes, as ClaimMessage does.
func (db *DB) ClaimEndedAppSession(
	ctx context.Context, lease string, now, until time.Time, atOnce int,
) (e userstore.EndedAppSession, err error) {
	if !until.After(now) || lease == "" {
		return e, fmt.Errorf("%w: a lease without a holder, or that ends before it begins", userstore.ErrInvalid)
	}
	at := micros(now)
	claim := bind(claimApp, micros(until), lease, at, at, int64(atOnce), at)
	if err := storable(claim.args); err != nil {
		return e, err
	}
	for range rivals {
		err := db.as("ClaimEndedAppSession").one(ctx, bind(someAppDue, at), func(row scanner) error {
			var id string
			return row.Scan(&id)
		})
		if err != nil {
			return e, err
		}
		found := false
		err = db.as("ClaimEndedAppSession").retrying(ctx, false, func(ctx context.Context, _ bool) error {
			found = false
			_, err := db.engine.write(ctx, claim, func(row scanner) error {
				found = true
				var created, ended, due, attempts, heard int64
				err := row.Scan(append(appDest(&e.AppSession, &created, &ended), &due, &e.Lease, &attempts, &e.Reason, &heard)...)
				e.CreatedAt, e.EndedAt, e.DueAt = instant(created), instant(ended), instant(due)
				e.Attempts, e.Heard = int(attempts), heard != 0
				return err
			})
			return err
		})
		if err != nil || found {
			return e, err
		}
	}
	return userstore.EndedAppSession{}, userstore.ErrNotFound
}

var (
	postponeApp = numbered(`UPDATE app_sessions SET due_at = $, reason = $, lease = '' WHERE session_id = $ AND lease = $ AND lease <> ''`)
	// postponeRest spares a server that does not answer, and the workers. It is bounded: what is due
	// beyond that is postponed after the next attempt.
	postponeRest = numbered(`UPDATE app_sessions SET due_at = $ WHERE lease = '' AND session_id IN (SELECT o.session_id
		FROM app_sessions o WHERE o.client_id = (SELECT t.client_id FROM app_sessions t WHERE t.session_id = $)
			AND o.due_at > 0 AND o.due_at < $ AND o.lease = ''
		ORDER BY o.session_id LIMIT 1000)`)
)

func (db *DB) PostponeAppSession(
	ctx context.Context, sessionID, lease string, due, rest time.Time, reason string,
) error {
	steps := []stmt{bind(postponeApp, micros(due), displayable(reason), sessionID, lease)}
	if !rest.IsZero() {
		steps = append(steps, bind(postponeRest, micros(rest), sessionID, micros(rest)))
	}
	n, err := db.as("PostponeAppSession").batch(ctx, true, steps...)
	if err == nil && n[0] == 0 {
		err = userstore.ErrNotFound
	}
	return ifUnstorable(err, userstore.ErrNotFound)
}

func (db *DB) ForgetAppSession(ctx context.Context, sessionID string) error {
	_, err := db.as("ForgetAppSession").write(ctx, true,
		bind(`DELETE FROM app_sessions WHERE session_id = $1 AND ended_at > 0`, sessionID))
	return ifUnstorable(err, nil)
}

func (db *DB) GiveUpAppSession(ctx context.Context, sessionID, lease string, events ...audit.Event) error {
	err := db.as("GiveUpAppSession").change(ctx, true,
		bind(`DELETE FROM app_sessions WHERE session_id = $1 AND lease = $2 AND lease <> ''`, sessionID, lease),
		userstore.ErrNotFound, events)
	return ifUnstorable(err, userstore.ErrNotFound)
}

// removeApps looks for the browser session and the grant of one row after another until it has
// enough rows. PostgreSQL would join NOT EXISTS with all of the other table.
const removeApps = `DELETE FROM app_sessions WHERE ended_at = 0 AND session_id IN
	(SELECT a.session_id FROM app_sessions a WHERE a.ended_at = 0 AND a.expires_at >= $1 AND a.expires_at <= $2
		AND (SELECT COUNT(*) FROM browser_sessions b WHERE b.id = a.browser_session) = 0
		AND (SELECT COUNT(*) FROM grants g WHERE g.session_id = a.session_id AND g.expires_at > $3) = 0
		ORDER BY a.expires_at LIMIT $4) RETURNING expires_at`

// RemoveExpiredAppSessions keeps the app sessions of a browser session that is stored, and of a grant
// that has not expired: both may end later than they were to end at the login, after the user proved
// more or the client redeemed the code of a grant that had begun before.
func (db *DB) RemoveExpiredAppSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	return db.as("RemoveExpiredAppSessions").removeFrom(ctx, removeApps, limit, micros(now), micros(now))
}

func (db *DB) AppSessionsState(ctx context.Context) (s userstore.AppSessionsState, err error) {
	due := bind(`SELECT COUNT(*), COALESCE(MIN(ended_at), 0) FROM app_sessions WHERE due_at > 0`)
	err = db.as("AppSessionsState").one(ctx, due, func(row scanner) error {
		var n, oldest int64
		err := row.Scan(&n, &oldest)
		s = userstore.AppSessionsState{Waiting: int(n), Oldest: instant(oldest)}
		return err
	})
	return s, err
}
