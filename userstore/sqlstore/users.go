package sqlstore

import (
	"context"
	"fmt"
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
	s := bind(insertUser+`(id) DO NOTHING`, userArgs(u, claims, roles)...)
	if err := storable(s.args); err != nil {
		return err
	}
	return db.act(ctx, true, func(ctx context.Context, again bool) error {
		n, err := db.engine.write(ctx, s, nil)
		if err == nil && n == 0 && !again {
			return &userstore.ExistsError{Field: "id"}
		}
		return err
	})
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

// UpdateUser whose answer was lost is begun again and then finds a newer
// version: ErrConflict, upon which its caller reads the row and edits anew.
func (db *DB) UpdateUser(ctx context.Context, u userstore.User, events ...audit.Event) error {
	claims, roles, err := encode(u)
	if err != nil {
		return err
	}
	n, err := db.write(ctx, true, bind(`UPDATE users SET email = $1, email_key = $2, email_verified = $3, username = $4, username_key = $5,
			claims = $6, roles = $7, is_staff = $8, updated_at = $9, version = version + 1
		WHERE id = $10 AND version = $11`,
		u.Email, u.EmailKey, u.EmailVerified, u.Username, u.UsernameKey, claims, roles, u.IsStaff, micros(u.UpdatedAt), u.ID, u.Version))
	if err == nil && n == 0 {
		return db.missed(ctx, u.ID)
	}
	return err
}

// missed tells why a conditional UPDATE of a user changed nothing.
func (db *DB) missed(ctx context.Context, id string) error {
	return db.missing(ctx, `SELECT version FROM users WHERE id = $1`, id)
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

// SetPassword locks the user's row first, as StartGrant does: a login that is
// under way either commits before, and its grant is revoked here, or waits and
// finds another hash. The salted hash itself proves, in the second statement and
// when the act is begun again, that the first one did it.
func (db *DB) SetPassword(ctx context.Context, id, oldHash, hash, keep string, now time.Time, events ...audit.Event) error {
	if text(id) != nil {
		return userstore.ErrNotFound
	}
	n, err := db.batch(ctx, true,
		bind(`UPDATE users SET password_hash = $1 WHERE id = $2 AND ($3 = '' OR password_hash = $4 OR password_hash = $5)`,
			hash, id, oldHash, oldHash, hash),
		bind(`UPDATE grants SET revoked_at = $1 WHERE user_id = $2 AND revoked_at = 0 AND session_id <> $3
			AND EXISTS (SELECT 1 FROM users WHERE id = $4 AND password_hash = $5)`,
			micros(now), id, keep, id, hash),
		endSessions(id, keep, ` AND EXISTS (SELECT 1 FROM users WHERE id = $ AND password_hash = $)`, id, hash))
	if err == nil && n[0] == 0 {
		return db.missed(ctx, id)
	}
	return err
}

// SetActive locks the user's row first: see SetPassword.
func (db *DB) SetActive(ctx context.Context, id string, active bool, now time.Time, events ...audit.Event) error {
	s := []stmt{bind(`UPDATE users SET is_active = $1, updated_at = $2 WHERE id = $3`, active, micros(now), id)}
	if !active {
		s = append(s, bind(`UPDATE grants SET revoked_at = $1 WHERE user_id = $2 AND revoked_at = 0`, micros(now), id), endSessions(id, "", ""))
	}
	n, err := db.batch(ctx, true, s...)
	if err == nil && n[0] == 0 {
		return userstore.ErrNotFound
	}
	return unknown(err, userstore.ErrNotFound)
}

// DeleteUser takes everything that is kept in the user's name along.
func (db *DB) DeleteUser(ctx context.Context, id string, events ...audit.Event) error {
	s := bind(`DELETE FROM users WHERE id = $1`, id)
	if storable(s.args) != nil {
		return userstore.ErrNotFound
	}
	return db.act(ctx, true, func(ctx context.Context, again bool) error {
		n, err := db.engine.write(ctx, s, nil)
		if err == nil && n == 0 && !again { // again: gone by the try whose answer was lost
			return userstore.ErrNotFound
		}
		return err
	})
}

func (db *DB) ListUsers(ctx context.Context, q userstore.UserQuery) ([]userstore.User, error) {
	after, limit := q.After, q.Limit
	if limit < 1 {
		return nil, fmt.Errorf("%w: a page of %d users", userstore.ErrInvalid, limit)
	}
	s := bind(`SELECT `+userColumns+` FROM users u ORDER BY u.created_at, u.id LIMIT $1`, int64(limit))
	if after != nil {
		s = bind(`SELECT `+userColumns+` FROM users u WHERE (u.created_at, u.id) > ($1, $2) ORDER BY u.created_at, u.id LIMIT $3`,
			micros(after.CreatedAt), after.ID, int64(limit))
	}
	var page []userstore.User
	err := db.rows(ctx, s, func() { page = nil }, func(row scanner) error {
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
