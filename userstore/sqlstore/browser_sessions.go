package sqlstore

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const sessionColumns = `b.hash, b.id, b.user_id, b.auth_time, b.amr, b.acr, b.created_at, b.last_used_at, b.expires_at, b.user_agent, b.address`

// sessionRow receives sessionColumns.
type sessionRow struct {
	s                            userstore.BrowserSession
	hash                         []byte
	amr                          string
	auth, created, used, expires int64
}

func (r *sessionRow) dest() []any {
	return []any{&r.hash, &r.s.ID, &r.s.UserID, &r.auth, &r.amr, &r.s.ACR, &r.created, &r.used, &r.expires, &r.s.UserAgent, &r.s.Address}
}

func (r *sessionRow) session() (s userstore.BrowserSession, err error) {
	s = r.s
	if copy(s.Hash[:], r.hash) != len(s.Hash) || len(r.hash) != len(s.Hash) {
		return s, fmt.Errorf("a stored session's hash has %d bytes", len(r.hash))
	}
	if s.AMR, err = unlist(r.amr); err != nil {
		return s, err
	}
	s.AuthTime, s.CreatedAt, s.LastUsedAt, s.ExpiresAt = instant(r.auth), instant(r.created), instant(r.used), instant(r.expires)
	return s, nil
}

func (db *DB) UserForLogin(ctx context.Context, l userstore.Login) (userstore.User, bool, error) {
	u, err := db.UserByLogin(ctx, l)
	if errors.Is(err, userstore.ErrNotFound) {
		return userstore.User{}, false, nil
	}
	return u, err == nil, err
}

// ofBrowser are the live grants of a browser session that end with it: those without offline_access.
// A scope stands in the list right after [ or a comma, and a quote inside one is escaped, so that
// no other text looks like it.
const ofBrowser = ` browser_session <> '' AND revoked_at = 0
	AND replace(replace(scopes, '["offline_access"', ''), ',"offline_access"', '') = scopes`

var (
	// startedHere proves that StartSession's first statement met every condition.
	startedHere = ` AND EXISTS (SELECT 1 FROM users p WHERE p.id = $ AND p.last_session_id = $)`

	lockReplaced = numbered(`UPDATE users SET last_session_id = ''
		WHERE id = (SELECT b.user_id FROM browser_sessions b WHERE b.hash = $ AND b.user_id <> $)` + startedHere)
	revokeReplaced = numbered(`UPDATE grants SET revoked_at = $
		WHERE browser_session = (SELECT b.id FROM browser_sessions b WHERE b.hash = $ AND NOT (b.user_id = $ AND b.id = $)) AND` + ofBrowser + startedHere)
	deleteReplaced = numbered(`DELETE FROM browser_sessions WHERE hash = $` + startedHere)

	insertSession = numbered(`INSERT INTO browser_sessions (hash, id, user_id, auth_time, amr, acr, created_at, last_used_at, expires_at, user_agent, address)
		SELECT $, $, u.id, $, $, $, $, $, $, $, $ FROM users u WHERE u.id = $ AND u.last_session_id = $`)

	sessionStarted = `EXISTS (SELECT 1 FROM browser_sessions n WHERE n.hash = $)`
	// oldestSessions are, of a user's live ones beside the new one, all but the youngest: see endOldest.
	oldestSessions = `(SELECT o.id FROM (SELECT b.id FROM browser_sessions b WHERE b.user_id = $ AND b.hash <> $ AND b.expires_at > $
		ORDER BY b.created_at DESC, b.id LIMIT 100 OFFSET $) AS o) AND ` + sessionStarted
	revokeOldest = numbered(`UPDATE grants SET revoked_at = $ WHERE` + ofBrowser + ` AND browser_session IN ` + oldestSessions)
	deleteOldest = numbered(`DELETE FROM browser_sessions WHERE id IN ` + oldestSessions)
)

// StartSession writes the hash of the session's new, random cookie into the user's row: that
// proves to the statements after it that the conditions were met, and holds the row's
// lock, as StartGrant does. The session that the browser had before ends, under the
// lock of its user, who may be another; it goes first, for the new one may have its id.
//
// It is not begun again when its answer was lost: the caller says 503, and nobody holds
// the cookie of the session that may be there.
func (db *DB) StartSession(ctx context.Context, s userstore.StartSession, events ...audit.Event) error {
	b := s.Session
	if err := texts(b.AMR...); err != nil {
		return err
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
	steps := []stmt{bind(`UPDATE users SET last_login_at = $1, last_session_id = $2, password_hash = $3
		WHERE id = $4 AND is_active AND password_hash = $5`, now, mark, hash, b.UserID, s.PasswordHash)}
	if s.Replaces != (userstore.SessionHash{}) {
		old := s.Replaces[:]
		steps = append(steps,
			bind(lockReplaced, old, b.UserID, b.UserID, mark),
			bind(revokeReplaced, now, old, b.UserID, b.ID, b.UserID, mark),
			bind(deleteReplaced, old, b.UserID, mark))
	}
	inserted := len(steps)
	beyond := []any{b.UserID, b.Hash[:], now, int64(userstore.MaxBrowserSessionsPerUser - 1), b.Hash[:]}
	steps = append(steps,
		bind(insertSession, b.Hash[:], b.ID, micros(b.AuthTime), list(b.AMR), b.ACR, now, micros(used), micros(b.ExpiresAt),
			shown(b.UserAgent), shown(b.Address), b.UserID, mark),
		bind(revokeOldest, append([]any{now}, beyond...)...),
		bind(deleteOldest, beyond...))
	steps = append(steps, passed(s.Attempt, s.Remember, sessionStarted, b.Hash[:], s.Device)...)
	tell, _ := storeEventsIf(storeEventOfStarted, eventRows(events), b.Hash[:])
	steps = append(steps, tell...)
	n, err := db.batch(ctx, false, steps...)
	if err == nil && n[inserted] == 0 {
		return userstore.ErrConflict
	}
	return err
}

const browserSession = `SELECT ` + sessionColumns + `, ` + userColumns + ` FROM browser_sessions b JOIN users u ON u.id = b.user_id
	WHERE b.hash = $1 AND b.expires_at > $2 AND b.last_used_at > $3 AND u.is_active`

func (db *DB) BrowserSession(ctx context.Context, hash userstore.SessionHash, now, idleSince time.Time) (s userstore.BrowserSession, u userstore.User, err error) {
	err = db.one(ctx, bind(browserSession, hash[:], micros(now), micros(idleSince)), func(row scanner) error {
		var r sessionRow
		var ur userRow
		if err := row.Scan(append(r.dest(), ur.dest()...)...); err != nil {
			return err
		}
		if s, err = r.session(); err != nil {
			return err
		}
		u, err = ur.user()
		u.PasswordHash = ""
		return err
	})
	return s, u, err
}

// TouchSession changes nothing that an index holds, and never goes back.
func (db *DB) TouchSession(ctx context.Context, hash userstore.SessionHash, now time.Time) error {
	_, err := db.write(ctx, true, bind(`UPDATE browser_sessions SET last_used_at = $1 WHERE hash = $2 AND last_used_at < $3`,
		micros(now), hash[:], micros(now)))
	return err
}

// EndSession locks the user's row first, as RedeemCode does: a code of this session that is
// being redeemed is either a grant by then, and revoked here, or is void. It is told of if the
// session was there.
func (db *DB) EndSession(ctx context.Context, id string, now time.Time, events ...audit.Event) error {
	steps := []stmt{
		bind(`UPDATE users SET last_session_id = '' WHERE id = (SELECT b.user_id FROM browser_sessions b WHERE b.id = $1)`, id),
		bind(`UPDATE grants SET revoked_at = $1 WHERE browser_session = $2 AND`+ofBrowser, micros(now), id),
	}
	tell, _ := storeEventsIf(storeEventOfSession, eventRows(events), id)
	steps = append(steps, tell...)
	_, err := db.batch(ctx, true, append(steps, bind(`DELETE FROM browser_sessions WHERE id = $1`, id))...)
	return unknown(err, nil)
}

// RevokeBrowserSession whose answer was lost is begun again; what it then finds gone
// it ended itself.
func (db *DB) RevokeBrowserSession(ctx context.Context, userID, id string, now time.Time, events ...audit.Event) error {
	const theirs = ` AND EXISTS (SELECT 1 FROM browser_sessions b WHERE b.id = $ AND b.user_id = $)`
	steps := []stmt{
		bind(numbered(`UPDATE users SET last_session_id = '' WHERE id = $`+theirs), userID, id, userID),
		bind(numbered(`UPDATE grants SET revoked_at = $ WHERE browser_session = $ AND user_id = $ AND`+ofBrowser+theirs), micros(now), id, userID, id, userID),
	}
	tell, _ := storeEventsIf(storeEventOfOwn, eventRows(events), id, userID)
	steps = append(steps, tell...)
	steps = append(steps, bind(`DELETE FROM browser_sessions WHERE id = $1 AND user_id = $2`, id, userID))
	if texts(userID, id) != nil {
		return userstore.ErrNotFound
	}
	return db.act(ctx, true, func(ctx context.Context, again bool) error {
		n, err := db.engine.batch(ctx, steps)
		if err == nil && n[len(n)-1] == 0 && !again {
			return userstore.ErrNotFound
		}
		return err
	})
}

const listSessions = `SELECT ` + sessionColumns + ` FROM browser_sessions b WHERE b.user_id = $1 AND b.expires_at > $2 AND b.last_used_at > $3
	ORDER BY b.created_at DESC, b.id LIMIT 1000`

func (db *DB) ListBrowserSessions(ctx context.Context, userID string, now, idleSince time.Time) ([]userstore.BrowserSession, error) {
	var all []userstore.BrowserSession
	err := db.rows(ctx, bind(listSessions, userID, micros(now), micros(idleSince)), func() { all = nil }, func(row scanner) error {
		var r sessionRow
		if err := row.Scan(r.dest()...); err != nil {
			return err
		}
		s, err := r.session()
		all = append(all, s)
		return err
	})
	return all, unknown(err, nil)
}

// endSessions ends a user's browser sessions, in an act that holds the user's lock and revokes their grants:
// all but the one that the grant of session id keep came of, on a further condition.
func endSessions(userID, keep, condition string, args ...any) stmt {
	return bind(numbered(`DELETE FROM browser_sessions WHERE user_id = $
		AND id <> COALESCE((SELECT g.browser_session FROM grants g WHERE g.session_id = $ AND g.user_id = $), '')`+condition),
		append([]any{userID, keep, userID}, args...)...)
}
