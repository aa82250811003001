package sqlstore

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const sessionColumns = `b.hash, b.id, b.user_id, b.auth_time, b.amr, b.acr, b.created_at, b.last_used_at, b.expires_at,
	b.user_agent, b.address, b.proved`

// sessionRow receives sessionColumns.
type sessionRow struct {
	s                            userstore.BrowserSession
	hash                         []byte
	amr, proved                  string
	auth, created, used, expires int64
}

func (r *sessionRow) dest() []any {
	return []any{&r.hash, &r.s.ID, &r.s.UserID, &r.auth, &r.amr, &r.s.ACR, &r.created, &r.used, &r.expires,
		&r.s.UserAgent, &r.s.Address,
		&r.proved}
}

func (r *sessionRow) session() (s userstore.BrowserSession, err error) {
	s = r.s
	if copy(s.Hash[:], r.hash) != len(s.Hash) || len(r.hash) != len(s.Hash) {
		return s, fmt.Errorf("a stored session's hash has %d bytes", len(r.hash))
	}
	if s.AMR, err = unlist(r.amr); err != nil {
		return s, err
	}
	if s.Proved, err = decodeProved(r.proved); err != nil {
		return s, err
	}
	if s.Proved == nil && r.amr == `["pwd"]` { // from before there were second factors
		s.Proved = []userstore.ProvedFactor{{Factor: userstore.FactorPassword, At: instant(r.auth)}}
	}
	s.AuthTime, s.CreatedAt, s.LastUsedAt, s.ExpiresAt =
		instant(r.auth), instant(r.created), instant(r.used), instant(r.expires)
	return s, nil
}

func (db *DB) UserForLogin(ctx context.Context, l userstore.Login) (userstore.User, bool, error) {
	u, err := db.UserByLogin(ctx, l)
	if errors.Is(err, userstore.ErrNotFound) {
		return userstore.User{}, false, nil
	}
	return u, err == nil, err
}

// replaceInProofs replaces a text in the proofs of one session of a user.
const replaceInProofs = `UPDATE browser_sessions SET proved = replace(proved, $1, $2) WHERE id = $3 AND user_id = $4`

// endsWithBrowser is the condition for the live grants of a browser session that end with it: those
// without offline_access. The sessions of apps end all the same: of a logout an app is told even if
// it may go on without its user (OpenID Connect Back-Channel Logout section 2.7). A scope stands in
// the list right after [ or a comma, and a quote inside a scope is escaped, so that no other text
// looks like a scope.
const endsWithBrowser = ` browser_session <> '' AND revoked_at = 0
	AND replace(replace(scopes, '["offline_access"', ''), ',"offline_access"', '') = scopes`

var (
	beginSession = newLoginStart(`UPDATE users SET last_login_at = $, last_session_id = $, password_hash = $
		WHERE id = $ AND is_active AND password_hash = $`)

	// ifStarted proves that StartSession's first statement met every condition.
	ifStarted = ` AND EXISTS (SELECT 1 FROM users p WHERE p.id = $ AND p.last_session_id = $)`

	lockReplaced = numbered(`UPDATE users SET last_session_id = ''
		WHERE id = (SELECT b.user_id FROM browser_sessions b WHERE b.hash = $ AND b.user_id <> $)` + ifStarted)
	revokeReplaced = numbered(`UPDATE grants SET revoked_at = $ WHERE ` + ofReplaced + ` AND` + endsWithBrowser +
		ifStarted)
	ofReplaced = `browser_session = (SELECT b.id FROM browser_sessions b
		WHERE b.hash = $ AND NOT (b.user_id = $ AND b.id = $)) AND browser_session <> ''`
	deleteReplaced = numbered(`DELETE FROM browser_sessions WHERE hash = $` + ifStarted)

	insertSession = numbered(`INSERT INTO browser_sessions
			(hash, id, user_id, auth_time, amr, acr, created_at, last_used_at, expires_at, user_agent, address, proved)
		SELECT $, $, u.id, $, $, $, $, $, $, $, $, $ FROM users u WHERE u.id = $ AND u.last_session_id = $`)

	sessionStarted = `EXISTS (SELECT 1 FROM browser_sessions n WHERE n.hash = $)`
	// deleteIdle deletes the idle sessions of a user who has too many. They are not live, although
	// their rows do not say so: they must not take the places of live ones, and their end is no
	// news.
	deleteIdle = numbered(`DELETE FROM browser_sessions WHERE user_id = $ AND last_used_at <= $ AND hash <> $
		AND (SELECT COUNT(*) FROM browser_sessions b WHERE b.user_id = $) > $ AND ` + sessionStarted)
	// recordSurplus stores an audit entry for each live session of a user that has to make room for
	// a new one. Sessions that were never used after their login go first, then the least recently
	// used. So a script that logs in again and again ends its own sessions.
	recordSurplus = numbered(`INSERT INTO audit_events (` + eventColumns + `)
		SELECT $, s.id, $, $, $, $, $, $, s.user_id, $, s.id, $, $, $, $
		FROM browser_sessions s WHERE s.id IN (SELECT o.id FROM (SELECT b.id FROM browser_sessions b
			WHERE b.user_id = $ AND b.hash <> $ AND b.expires_at > $
			ORDER BY CASE WHEN b.last_used_at > b.created_at THEN 0 ELSE 1 END, b.last_used_at DESC, b.created_at DESC, b.id
			LIMIT 100 OFFSET $) AS o) AND ` + sessionStarted + unlessStored)
	// endSurplus deletes the sessions that recordSurplus chose, because a use that commits in
	// between would change the choice. Grants that came of these sessions live on: the user has not
	// logged out of the apps.
	endSurplus = numbered(`DELETE FROM browser_sessions WHERE id IN (SELECT e.session_id FROM audit_events e
		WHERE e.at = $ AND e.target_id = $ AND e.name = $ AND e.reason = $) AND ` + sessionStarted)
)

// boundSessions returns the statements that keep the bound of a user's browser sessions after b was
// inserted.
func boundSessions(ctx context.Context, b userstore.BrowserSession, idleSince time.Time) []stmt {
	row := tooMany(ctx, b.CreatedAt, b.UserID)
	// All but id, target and session, which the sessions give.
	entry := slices.Concat(row[:1], row[2:8], row[9:10], row[11:15])
	return []stmt{
		bind(deleteIdle, b.UserID, micros(idleSince), b.Hash[:], b.UserID,
			int64(userstore.MaxBrowserSessionsPerUser), b.Hash[:]),
		bind(recordSurplus, append(entry, b.UserID, b.Hash[:], micros(b.CreatedAt),
			int64(userstore.MaxBrowserSessionsPerUser-1), b.Hash[:])...),
		bind(endSurplus, row[0], b.UserID, row[2], row[4], b.Hash[:]),
	}
}

// StartSession writes the hash of the session's new, random cookie into the user's row. This proves
// to the following statements that the conditions were met, and holds the row's lock, as StartGrant
// does. The session that the browser had before ends under the lock of its user, who may be another
// user. It ends first, because the new session may have its id.
//
// It is not retried when its answer was lost: the caller answers 503, and no browser holds the
// cookie of the session that may have been stored.
func (db *DB) StartSession(ctx context.Context, s userstore.StartSession, events ...audit.Event) error {
	b := s.Session
	if err := texts(b.AMR...); err != nil {
		return err
	}
	for _, p := range b.Proved {
		if err := text(p.Factor); err != nil {
			return err
		}
	}
	if err := indexable(b.ID); err != nil {
		return err
	}
	if b.ID == "" {
		return fmt.Errorf("%w: a browser session without an id", userstore.ErrInvalid)
	}
	hash := s.PasswordHash
	if s.Rehash != "" {
		hash = s.Rehash
	}
	used := b.LastUsedAt
	if used.IsZero() {
		used = b.CreatedAt
	}
	now := micros(b.CreatedAt)
	mark := base64.RawURLEncoding.EncodeToString(b.Hash[:])
	steps := []stmt{beginSession.bind(s.Second, now, mark, hash, b.UserID, s.PasswordHash)}
	if s.Replaces != (userstore.SessionHash{}) {
		old := s.Replaces[:]
		steps = append(steps,
			bind(lockReplaced, old, b.UserID, b.UserID, mark),
			bind(revokeReplaced, now, old, b.UserID, b.ID, b.UserID, mark))
		steps = append(steps, endApps(now, ofReplaced+ifStarted, old, b.UserID, b.ID, b.UserID, mark)...)
		steps = append(steps, bind(deleteReplaced, old, b.UserID, mark))
	}
	var must []int
	if s.Continues {
		if s.Replaces == (userstore.SessionHash{}) {
			return userstore.ErrConflict
		}
		must = []int{len(steps) - 1} // deleteReplaced
	}
	inserted := len(steps)
	steps = append(steps,
		bind(insertSession, b.Hash[:], b.ID, micros(b.AuthTime), list(b.AMR), b.ACR, now, micros(used), micros(b.ExpiresAt),
			displayable(b.UserAgent), displayable(b.Address), encodeProved(b.Proved), b.UserID, mark))
	steps = append(steps, boundSessions(ctx, b, s.IdleSince)...)
	steps = append(steps, succeeded(s.Attempt, s.Remember, sessionStarted, b.Hash[:], s.Device)...)
	steps = append(steps, storeEventsIf(storeEventOfNewSession, eventRows(events), b.Hash[:])...)
	return db.as("StartSession").login(ctx, b.UserID, s.Second, steps, inserted, must, trust(s.Second.Trust, b)...)
}

const browserSession = `SELECT ` + sessionColumns + `, ` + userColumns + `
	FROM browser_sessions b JOIN users u ON u.id = b.user_id
	WHERE b.hash = $1 AND b.expires_at > $2 AND b.last_used_at > $3 AND u.is_active`

func (db *DB) BrowserSession(
	ctx context.Context, hash userstore.SessionHash, now, idleSince time.Time,
) (s userstore.BrowserSession, u userstore.User, err error) {
	live := bind(browserSession, hash[:], micros(now), micros(idleSince))
	err = db.as("BrowserSession").one(ctx, live, func(row scanner) error {
		var r sessionRow
		var ur userRow
		if err := row.Scan(append(r.dest(), ur.dest()...)...); err != nil {
			return err
		}
		if s, err = r.session(); err != nil {
			return err
		}
		u, err = ur.user()
		s.PasswordMark, u.PasswordHash = u.PasswordMark(), ""
		return err
	})
	return s, u, err
}

// TouchSession changes no indexed column, and never moves the time back.
func (db *DB) TouchSession(ctx context.Context, hash userstore.SessionHash, now time.Time) error {
	touch := bind(`UPDATE browser_sessions SET last_used_at = $1 WHERE hash = $2 AND last_used_at < $3`,
		micros(now), hash[:], micros(now))
	_, err := db.as("TouchSession").write(ctx, true, touch)
	return err
}

// EndSession locks the user's row first, as RedeemCode does. A code of this session that is
// redeemed at the same time either is a grant by then, which is revoked here, or is void. The audit
// entry is stored if the session existed.
func (db *DB) EndSession(ctx context.Context, id string, now time.Time, events ...audit.Event) error {
	steps := []stmt{
		bind(`UPDATE users SET last_session_id = ''
			WHERE id = (SELECT b.user_id FROM browser_sessions b WHERE b.id = $1)`, id),
		bind(`UPDATE grants SET revoked_at = $1 WHERE browser_session = $2 AND`+endsWithBrowser, micros(now), id),
	}
	steps = append(steps, endApps(micros(now), `browser_session = $ AND browser_session <> ''`, id)...)
	steps = append(steps, storeEventsIf(storeEventOfSession, eventRows(events), id)...)
	steps = append(steps, bind(`DELETE FROM browser_sessions WHERE id = $1`, id))
	_, err := db.as("EndSession").batch(ctx, true, steps...)
	return ifUnstorable(err, nil)
}

// RevokeBrowserSession is retried when its answer was lost. If the retry finds no session, the
// first try ended it.
func (db *DB) RevokeBrowserSession(ctx context.Context, userID, id string, now time.Time, events ...audit.Event) error {
	const theirs = ` AND EXISTS (SELECT 1 FROM browser_sessions b WHERE b.id = $ AND b.user_id = $)`
	steps := []stmt{
		bind(numbered(`UPDATE users SET last_session_id = '' WHERE id = $`+theirs), userID, id, userID),
		bind(numbered(`UPDATE grants SET revoked_at = $ WHERE browser_session = $ AND user_id = $ AND`+
			endsWithBrowser+theirs), micros(now), id, userID, id, userID),
	}
	steps = append(steps, endApps(micros(now), `browser_session = $ AND browser_session <> '' AND user_id = $`+theirs,
		id, userID, id, userID)...)
	steps = append(steps, storeEventsIf(storeEventOfOwnSession, eventRows(events), id, userID)...)
	steps = append(steps, bind(`DELETE FROM browser_sessions WHERE id = $1 AND user_id = $2`, id, userID))
	if texts(userID, id) != nil {
		return userstore.ErrNotFound
	}
	return db.as("RevokeBrowserSession").retrying(ctx, true, func(ctx context.Context, maybeDone bool) error {
		n, err := db.engine.batch(ctx, steps)
		if err == nil && n[len(n)-1] == 0 && !maybeDone {
			return userstore.ErrNotFound
		}
		return err
	})
}

const listSessions = `SELECT ` + sessionColumns + ` FROM browser_sessions b
	WHERE b.user_id = $1 AND b.expires_at > $2 AND b.last_used_at > $3
	ORDER BY b.created_at DESC, b.id LIMIT 1000`

func (db *DB) ListBrowserSessions(
	ctx context.Context, userID string, now, idleSince time.Time,
) ([]userstore.BrowserSession, error) {
	var all []userstore.BrowserSession
	list := bind(listSessions, userID, micros(now), micros(idleSince))
	err := db.as("ListBrowserSessions").rows(ctx, list, func() { all = nil }, func(row scanner) error {
		var r sessionRow
		if err := row.Scan(r.dest()...); err != nil {
			return err
		}
		s, err := r.session()
		all = append(all, s)
		return err
	})
	return all, ifUnstorable(err, nil)
}

// endSessions ends a user's browser sessions, in an operation that holds the user's lock and
// revokes the grants. It keeps the session that the grant with session id keep came from. condition
// is a further condition.
func endSessions(userID, keep, condition string, args ...any) stmt {
	return bind(numbered(`DELETE FROM browser_sessions WHERE user_id = $
		AND id <> $ AND id <> COALESCE(
			(SELECT g.browser_session FROM grants g WHERE g.session_id = $ AND g.user_id = $), '')`+condition),
		append([]any{userID, keep, keep, userID}, args...)...)
}
