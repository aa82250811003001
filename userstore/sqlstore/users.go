package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const userColumns = `u.id, u.email, u.email_key, u.email_verified, u.username, u.username_key, u.claims, u.roles,
	u.is_active, u.is_staff, u.created_at, u.updated_at, u.version, u.last_login_at, u.password_hash`

// userOrNot is userColumns where a LEFT JOIN may find nobody.
const userOrNot = `COALESCE(u.id, ''), COALESCE(u.email, ''), COALESCE(u.email_key, ''), COALESCE(u.email_verified, FALSE),
	COALESCE(u.username, ''), COALESCE(u.username_key, ''), COALESCE(u.claims, '{}'), COALESCE(u.roles, '[]'),
	COALESCE(u.is_active, FALSE), COALESCE(u.is_staff, FALSE), COALESCE(u.created_at, 0), COALESCE(u.updated_at, 0),
	COALESCE(u.version, 0), COALESCE(u.last_login_at, 0), COALESCE(u.password_hash, '')`

// userRow receives userColumns.
type userRow struct {
	u                           userstore.User
	claims, roles               string
	created, updated, lastLogin int64
}

func (r *userRow) dest() []any {
	return []any{&r.u.ID, &r.u.Email, &r.u.EmailKey, &r.u.EmailVerified, &r.u.Username, &r.u.UsernameKey, &r.claims, &r.roles,
		&r.u.IsActive, &r.u.IsStaff, &r.created, &r.updated, &r.u.Version, &r.lastLogin, &r.u.PasswordHash}
}

func (r *userRow) user() (u userstore.User, err error) {
	u = r.u
	if u.Claims, err = decodeClaims(r.claims); err != nil {
		return u, err
	}
	if u.Roles, err = unlist(r.roles); err != nil {
		return u, err
	}
	u.CreatedAt, u.UpdatedAt, u.LastLoginAt = instant(r.created), instant(r.updated), instant(r.lastLogin)
	return u, nil
}

// encode checks what JSON and indexes would not, and encodes a user's lists.
func encode(u userstore.User) (claims, roles string, err error) {
	if err = indexable(u.ID, u.EmailKey, u.UsernameKey); err == nil {
		err = texts(u.Roles...)
	}
	if err == nil {
		claims, err = encodeClaims(u.Claims)
	}
	return claims, list(u.Roles), err
}

// CreateUser may be begun again when an answer was lost: the row that is then
// found under the new, random id is the one of the first try, and no other
// sign-up is told that the address is taken by a row that nobody was given.
func (db *DB) CreateUser(ctx context.Context, u userstore.User, events ...audit.Event) error {
	claims, roles, err := encode(u)
	if err != nil {
		return err
	}
	return db.change(ctx, true, bind(insertUser+`(id) DO NOTHING`, userArgs(u, claims, roles)...),
		&userstore.ExistsError{Field: "id"}, events)
}

func (db *DB) UserByID(ctx context.Context, id string) (userstore.User, error) {
	return db.user(ctx, bind(`SELECT `+userColumns+` FROM users u WHERE u.id = $1`, id))
}

// The second half of byUsername lets the partial index be used, and no empty
// name be found.
const (
	byEmail    = `u.email_key = $1`
	byUsername = `u.username_key = $1 AND u.username_key <> ''`

	userByEmail    = `SELECT ` + userColumns + ` FROM users u WHERE ` + byEmail
	userByUsername = `SELECT ` + userColumns + ` FROM users u WHERE ` + byUsername
)

func (db *DB) UserByLogin(ctx context.Context, l userstore.Login) (userstore.User, error) {
	if l.EmailKey != "" {
		return db.user(ctx, bind(userByEmail, l.EmailKey))
	}
	return db.user(ctx, bind(userByUsername, l.UsernameKey))
}

func (db *DB) user(ctx context.Context, s stmt) (u userstore.User, err error) {
	err = db.one(ctx, s, func(row scanner) error {
		var r userRow
		if err := row.Scan(r.dest()...); err != nil {
			return err
		}
		u, err = r.user()
		return err
	})
	return u, err
}

// UpdateUser whose answer was lost is begun again and then finds a newer version.
// Without events that is ErrConflict, upon which its caller reads the row and
// edits anew. Whom it disables loses all grants, after the user's row: see
// SetPassword.
func (db *DB) UpdateUser(ctx context.Context, u userstore.User, events ...audit.Event) error {
	claims, roles, err := encode(u)
	if err != nil {
		return err
	}
	update := func(condition string) stmt {
		return bind(`UPDATE users SET email = $1, email_key = $2, email_verified = $3, username = $4, username_key = $5,
				claims = $6, roles = $7, is_active = $8, is_staff = $9, updated_at = $10, version = version + 1,
				token_epoch = token_epoch + CASE WHEN email <> $11 OR is_active AND NOT $12 THEN 1 ELSE 0 END
			WHERE id = $13 AND version = $14`+condition,
			u.Email, u.EmailKey, u.EmailVerified, u.Username, u.UsernameKey, claims, roles, u.IsActive, u.IsStaff, micros(u.UpdatedAt),
			u.Email, u.IsActive, u.ID, u.Version)
	}
	if err := storable(update("").args); err != nil {
		return err
	}
	err = db.tell(ctx, true, events, func(run exec, _ bool) (bool, error) {
		if u.IsActive && u.HasRole(userstore.RoleAdmin) { // takes nobody away
			n, err := run(update(""))
			if err != nil || n[0] == 0 {
				return false, orElse(err, userstore.ErrConflict)
			}
			return true, nil
		}
		n, err := db.mayTakeAdmin(run, update)
		if err != nil || n == 0 {
			return false, orElse(err, userstore.ErrConflict)
		}
		if !u.IsActive {
			_, err = run(endAll(u.ID, u.UpdatedAt)...)
		}
		return true, err
	})
	if errors.Is(err, userstore.ErrConflict) {
		return db.missed(ctx, u.ID, u.Version)
	}
	return err
}

// missing is ErrNotFound, or ErrConflict when there is such a row.
func (db *DB) missing(ctx context.Context, sql, id string) error {
	err := db.one(ctx, bind(sql, id), func(s scanner) error {
		var version int64
		return s.Scan(&version)
	})
	if err == nil {
		return userstore.ErrConflict
	}
	return err
}

// endAll ends whatever a user is signed in with, after the user's row: see SetPassword.
func endAll(userID string, now time.Time) []stmt {
	return []stmt{
		bind(`UPDATE grants SET revoked_at = $1 WHERE user_id = $2 AND revoked_at = 0`, micros(now), userID),
		endSessions(userID, "", ""),
	}
}

// anyVersion is one that no row has.
const anyVersion = -1

// missed tells why a conditional statement changed no user's row: ErrNotFound;
// ErrConflict, when it wanted another version; and otherwise it was the last admin's.
func (db *DB) missed(ctx context.Context, id string, wanted int64) error {
	var version int64
	err := db.one(ctx, bind(`SELECT version FROM users WHERE id = $1`, id), func(s scanner) error { return s.Scan(&version) })
	switch {
	case err != nil:
		return err
	case wanted != anyVersion && wanted != version:
		return userstore.ErrConflict
	}
	return userstore.ErrLastAdmin
}

// SetPassword locks the user's row first, as StartGrant does: a login that is
// under way either commits before, and its grant is revoked here, or waits and
// finds another hash. The salted hash itself proves, in the second statement and
// when the act is begun again, that the first one did it.
func (db *DB) SetPassword(ctx context.Context, c userstore.PasswordChange, events ...audit.Event) error {
	if text(c.UserID) != nil {
		return userstore.ErrNotFound
	}
	s := []stmt{
		bind(`UPDATE users SET password_hash = $1, token_epoch = token_epoch + 1 WHERE id = $2 AND ($3 = '' OR password_hash = $4 OR password_hash = $5)`,
			c.NewHash, c.UserID, c.OldHash, c.OldHash, c.NewHash),
		bind(`UPDATE grants SET revoked_at = $1 WHERE user_id = $2 AND revoked_at = 0 AND session_id <> $3
			AND EXISTS (SELECT 1 FROM users WHERE id = $4 AND password_hash = $5)`,
			micros(c.At), c.UserID, c.KeepSession, c.UserID, c.NewHash),
		endSessions(c.UserID, c.KeepSession, ` AND EXISTS (SELECT 1 FROM users WHERE id = $ AND password_hash = $)`, c.UserID, c.NewHash)}
	tell, _ := storeEventsIf(storeEventOfPassword, eventRows(events), c.UserID, c.NewHash)
	n, err := db.batch(ctx, true, append(s, tell...)...)
	if err == nil && n[0] == 0 {
		if err = db.missed(ctx, c.UserID, anyVersion); errors.Is(err, userstore.ErrLastAdmin) { // it is there
			err = userstore.ErrConflict
		}
	}
	return err
}

// SetActive locks the user's row first: see SetPassword. It makes a new version,
// so that whoever read the user before cannot undo it by an edit. A user who is
// so already stays as they are, without an event: of several who disable one
// user at once, one has done it.
func (db *DB) SetActive(ctx context.Context, id string, active bool, now time.Time, events ...audit.Event) error {
	if text(id) != nil {
		return userstore.ErrNotFound
	}
	differs := ` AND is_active`
	if active {
		differs = ` AND NOT is_active`
	}
	set := func(condition string) stmt {
		return bind(`UPDATE users SET is_active = $1, updated_at = $2, version = version + 1, token_epoch = token_epoch + 1 WHERE id = $3`+differs+condition, active, micros(now), id)
	}
	var err error
	if active {
		err = db.change(ctx, true, set(""), userstore.ErrConflict, events)
	} else {
		err = db.tell(ctx, true, events, func(run exec, _ bool) (bool, error) {
			n, err := db.mayTakeAdmin(run, set)
			if err != nil || n == 0 {
				return false, orElse(err, userstore.ErrConflict)
			}
			_, err = run(endAll(id, now)...)
			return true, err
		})
	}
	if !errors.Is(err, userstore.ErrConflict) {
		return err
	}
	u, err := db.UserByID(ctx, id)
	switch {
	case err != nil || u.IsActive == active:
		return err
	case active:
		return userstore.ErrConflict // disabled again since
	}
	return userstore.ErrLastAdmin
}

// DeleteUser takes everything that is kept in the user's name along. When it is
// begun again without events, a user who is gone was deleted by the try whose
// answer was lost.
func (db *DB) DeleteUser(ctx context.Context, id string, events ...audit.Event) error {
	if text(id) != nil {
		return userstore.ErrNotFound
	}
	lost := false
	err := db.tell(ctx, true, events, func(run exec, again bool) (bool, error) {
		lost = again && len(events) == 0
		n, err := db.mayTakeAdmin(run, func(condition string) stmt { return bind(`DELETE FROM users WHERE id = $1`+condition, id) })
		if err != nil || n == 0 {
			return false, orElse(err, userstore.ErrConflict)
		}
		return true, nil
	})
	if errors.Is(err, userstore.ErrConflict) {
		err = db.missed(ctx, id, anyVersion)
		if errors.Is(err, userstore.ErrNotFound) && lost {
			return nil
		}
	}
	return err
}

// listUsers is the statement of a page. Where a text stands in another is asked by
// replace, not LIKE: no character of what somebody looks for means anything, and
// both engines agree about case.
func listUsers(q userstore.UserQuery) stmt {
	sql := `SELECT ` + userColumns + ` FROM users u WHERE TRUE`
	var args []any
	add := func(condition string, values ...any) {
		sql += ` AND ` + condition
		args = append(args, values...)
	}
	if q.After != nil {
		add(`(u.created_at, u.id) > ($, $)`, micros(q.After.CreatedAt), q.After.ID)
	}
	if q.Text != "" {
		// A whole address may look different in canonical form; a part of one is folded only.
		folded, address := userstore.Folded(q.Text), ""
		if key, ok := userstore.EmailKey(q.Text); ok {
			address = key
		}
		add(`(u.id = $ OR u.email_key = $ OR replace(u.email_key, $, '') <> u.email_key OR replace(u.username_key, $, '') <> u.username_key)`,
			q.Text, address, folded, folded)
	}
	if q.Role != "" {
		role := strings.TrimPrefix(strings.TrimSuffix(list([]string{q.Role}), `]`), `[`)
		add(`replace(replace(u.roles, $, ''), $, '') <> u.roles`, `[`+role, `,`+role) // see isAdmin
	}
	switch q.State {
	case userstore.Enabled:
		add(`u.is_active`)
	case userstore.Disabled:
		add(`NOT u.is_active`)
	}
	return bind(numbered(sql+` ORDER BY u.created_at, u.id LIMIT $`), append(args, int64(q.Limit))...)
}

func (db *DB) ListUsers(ctx context.Context, q userstore.UserQuery) ([]userstore.User, error) {
	if q.Limit < 1 {
		return nil, fmt.Errorf("%w: a page of %d users", userstore.ErrInvalid, q.Limit)
	}
	if texts(q.Text, q.Role) != nil { // nobody has it
		return nil, nil
	}
	var page []userstore.User
	err := db.rows(ctx, listUsers(q), func() { page = nil }, func(row scanner) error {
		var r userRow
		if err := row.Scan(r.dest()...); err != nil {
			return err
		}
		u, err := r.user()
		page = append(page, u)
		return err
	})
	return page, err
}
