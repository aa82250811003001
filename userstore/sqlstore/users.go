package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const userColumns = `u.id, u.email, u.email_key, u.email_verified, u.username, u.username_key, u.claims, u.roles,
	u.is_active, u.is_staff, u.created_at, u.updated_at, u.version, u.last_login_at, u.password_hash,
	u.second_factor, u.factor_epoch, u.factors_vouched`

// userColumnsOrZero is userColumns for a LEFT JOIN that may find no user.
const userColumnsOrZero = `COALESCE(u.id, ''), COALESCE(u.email, ''), COALESCE(u.email_key, ''), COALESCE(u.email_verified, FALSE),
	COALESCE(u.username, ''), COALESCE(u.username_key, ''), COALESCE(u.claims, '{}'), COALESCE(u.roles, '[]'),
	COALESCE(u.is_active, FALSE), COALESCE(u.is_staff, FALSE), COALESCE(u.created_at, 0), COALESCE(u.updated_at, 0),
	COALESCE(u.version, 0), COALESCE(u.last_login_at, 0), COALESCE(u.password_hash, ''),
	COALESCE(u.second_factor, FALSE), COALESCE(u.factor_epoch, 0), COALESCE(u.factors_vouched, FALSE)`

// userRow receives userColumns.
type userRow struct {
	u                           userstore.User
	claims, roles               string
	created, updated, lastLogin int64
}

func (r *userRow) dest() []any {
	return []any{&r.u.ID, &r.u.Email, &r.u.EmailKey, &r.u.EmailVerified, &r.u.Username, &r.u.UsernameKey, &r.claims, &r.roles,
		&r.u.IsActive, &r.u.IsStaff, &r.created, &r.updated, &r.u.Version, &r.lastLogin, &r.u.PasswordHash,
		&r.u.SecondFactor, &r.u.FactorVersion, &r.u.FactorsVouched}
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

// encode checks the values that end up in JSON or in an index, and encodes a user's lists.
func encode(u userstore.User) (claims, roles string, err error) {
	if err = indexable(u.ID, u.EmailKey, u.UsernameKey); err == nil {
		err = texts(u.Roles...)
	}
	if err == nil {
		claims, err = encodeClaims(u.Claims)
	}
	return claims, list(u.Roles), err
}

// CreateUser may be retried when its answer was lost. The row that is then found under the new,
// random id is the first try's. So no sign-up is refused because of a row that it made itself.
func (db *DB) CreateUser(ctx context.Context, u userstore.User, events ...audit.Event) error {
	insert, err := insertion(u)
	if err != nil {
		return err
	}
	return db.as("CreateUser").transactWithEvents(ctx, true, events, func(run exec, maybeDone bool) (bool, error) {
		n, err := run(insert...)
		switch {
		case err != nil:
			return false, err
		case n[0] == 0 && maybeDone && len(events) == 0: // the first try's row
			return true, nil
		}
		err = inserted(n)
		return err == nil, err
	})
}

// insertion returns the statements that insert a user; inserted reads their results.
func insertion(u userstore.User) ([]stmt, error) {
	claims, roles, err := encode(u)
	if err != nil {
		return nil, err
	}
	insert := bind(insertUser, userArgs(u, claims, roles)...)
	return []stmt{insert, ifReserved(u.ID, u.CreatedAt)}, storable(insert.args)
}

// inserted returns why the statements of insertion inserted no user that may stay; nil: they did.
func inserted(n []int64) error {
	switch {
	case n[0] == 0:
		return &userstore.ExistsError{Field: "id"}
	case n[1] != 0:
		return &userstore.ExistsError{Field: "email"}
	}
	return nil
}

func (db *DB) UserByID(ctx context.Context, id string) (userstore.User, error) {
	return db.as("UserByID").user(ctx, bind(`SELECT `+userColumns+` FROM users u WHERE u.id = $1`, id))
}

// The second condition of byUsername lets the partial index be used and keeps an empty name from
// finding a user.
const (
	byEmail    = `u.email_key = $1`
	byUsername = `u.username_key = $1 AND u.username_key <> ''`

	userByEmail    = `SELECT ` + userColumns + ` FROM users u WHERE ` + byEmail
	userByUsername = `SELECT ` + userColumns + ` FROM users u WHERE ` + byUsername
)

func (db *DB) UserByLogin(ctx context.Context, l userstore.Login) (userstore.User, error) {
	if l.EmailKey != "" {
		return db.as("UserByLogin").user(ctx, bind(userByEmail, l.EmailKey))
	}
	return db.as("UserByLogin").user(ctx, bind(userByUsername, l.UsernameKey))
}

func (db named) user(ctx context.Context, s stmt) (u userstore.User, err error) {
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

// UpdateUser is retried when its answer was lost, and then finds a newer version. Without events
// this is ErrConflict; the caller then reads the row and edits again. A user whom it disables loses
// all grants, after the user's row is locked: see SetPassword. Whether second factors are vouched for
// is decided by the row: the first factor may have come since the caller read it.
func (db *DB) UpdateUser(ctx context.Context, u userstore.User, events ...audit.Event) error {
	claims, roles, err := encode(u)
	if err != nil {
		return err
	}
	update := func(condition string) stmt {
		return bind(`UPDATE users SET email = $1, email_key = $2, email_verified = $3, username = $4, username_key = $5,
				claims = $6, roles = $7, is_active = $8, is_staff = $9, updated_at = $10, version = version + 1,
				token_epoch = token_epoch + CASE WHEN email <> $11 OR is_active AND NOT $12 THEN 1 ELSE 0 END,
				factors_vouched = NOT $13 AND CASE WHEN email <> $14 THEN $15 AND second_factor AND (email_verified OR factors_vouched)
					ELSE factors_vouched END
			WHERE id = $16 AND version = $17`+condition,
			u.Email, u.EmailKey, u.EmailVerified, u.Username, u.UsernameKey, claims, roles, u.IsActive, u.IsStaff, micros(u.UpdatedAt),
			u.Email, u.IsActive, u.EmailVerified, u.Email, u.FactorsVouched, u.ID, u.Version)
	}
	if err := storable(update("").args); err != nil {
		return err
	}
	reserved, undos := ifReserved(u.ID, u.UpdatedAt), endUndosOf(u)
	err = db.as("UpdateUser").transactWithEvents(ctx, true, events, func(run exec, _ bool) (happened bool, err error) {
		var n []int64
		if u.IsActive && u.HasRole(userstore.RoleAdmin) { // removes no admin
			n, err = run(update(""), reserved, undos)
		} else {
			n, err = db.keepingAnAdmin(run, update, reserved, undos)
		}
		switch {
		case err != nil || n[0] == 0:
			return false, orElse(err, userstore.ErrConflict)
		case n[1] != 0:
			return false, &userstore.ExistsError{Field: "email"}
		case !u.IsActive:
			_, err = run(endAll(u.ID, u.UpdatedAt)...)
		}
		return err == nil, err
	})
	if errors.Is(err, userstore.ErrConflict) {
		return db.as("UpdateUser").whyUnchanged(ctx, u.ID, u.Version)
	}
	return err
}

// conflictOrNotFound returns ErrConflict if sql finds a row with this id, and ErrNotFound
// otherwise.
func (db named) conflictOrNotFound(ctx context.Context, sql, id string) error {
	err := db.one(ctx, bind(sql, id), func(s scanner) error {
		var version int64
		return s.Scan(&version)
	})
	if err == nil {
		return userstore.ErrConflict
	}
	return err
}

// endAll ends all grants and browser sessions of a user, after the user's row is locked: see
// SetPassword.
func endAll(userID string, now time.Time) []stmt {
	return append(endGrants(micros(now), `user_id = $`, userID), endSessions(userID, "", ""))
}

// anyVersion is a version that no row has.
const anyVersion = -1

// whyUnchanged returns why a conditional statement changed no user's row: ErrNotFound; ErrConflict,
// if the row has another version than wanted; otherwise ErrLastAdmin.
func (db named) whyUnchanged(ctx context.Context, id string, wanted int64) error {
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

// SetPassword locks the user's row first, as StartGrant does. A concurrent login either commits
// before, and its grant is revoked here, or waits and finds another hash. The new salted hash
// proves, in the second statement and in a retry, that the first statement changed the row.
func (db *DB) SetPassword(ctx context.Context, c userstore.PasswordChange, events ...audit.Event) error {
	if text(c.UserID) != nil {
		return userstore.ErrNotFound
	}
	s := []stmt{bind(`UPDATE users SET password_hash = $1, token_epoch = token_epoch + 1 WHERE id = $2 AND ($3 = '' OR password_hash = $4 OR password_hash = $5)`,
		c.NewHash, c.UserID, c.OldHash, c.OldHash, c.NewHash)}
	if c.BySession != "" && c.OldHash != "" {
		before := userstore.User{ID: c.UserID, PasswordHash: c.OldHash}
		after := userstore.User{ID: c.UserID, PasswordHash: c.NewHash}
		s = append(s, bind(replaceInProofs+` AND EXISTS (SELECT 1 FROM users WHERE id = $5 AND password_hash = $6)`,
			passwordOfProof(before.PasswordMark()), passwordOfProof(after.PasswordMark()), c.BySession, c.UserID,
			c.UserID, c.NewHash))
	}
	if c.KeepSession != userstore.KeepAll {
		const changed = ` AND EXISTS (SELECT 1 FROM users WHERE id = $ AND password_hash = $)`
		s = append(s, endGrants(micros(c.At), `user_id = $ AND session_id <> $`+changed,
			c.UserID, c.KeepSession, c.UserID, c.NewHash)...)
		s = append(s, endSessions(c.UserID, c.KeepSession, changed, c.UserID, c.NewHash))
	}
	n, err := db.as("SetPassword").batch(ctx, true,
		append(s, storeEventsIf(storeEventOfPassword, eventRows(events), c.UserID, c.NewHash)...)...)
	if err == nil && n[0] == 0 {
		err = db.as("SetPassword").whyUnchanged(ctx, c.UserID, anyVersion)
		if errors.Is(err, userstore.ErrLastAdmin) { // the user exists
			err = userstore.ErrConflict
		}
	}
	return err
}

// UpgradeHash finds its own result when it is retried.
func (db *DB) UpgradeHash(ctx context.Context, userID, old, upgraded string) error {
	if upgraded == "" {
		return fmt.Errorf("%w: an empty hash", userstore.ErrInvalid)
	}
	n, err := db.as("UpgradeHash").write(ctx, true, bind(`UPDATE users SET password_hash = $1
		WHERE id = $2 AND is_active AND password_hash IN ($3, $4) AND password_hash <> ''`, upgraded, userID, old, upgraded))
	if err == nil && n == 0 {
		err = userstore.ErrConflict
	}
	if texts(userID, old) != nil {
		return ifUnstorable(err, userstore.ErrConflict)
	}
	return err
}

// SetActive locks the user's row first: see SetPassword. It makes a new version, so that a caller
// who read the user before cannot undo it by an edit. A user who is in the wanted state already
// stays unchanged, without an audit entry: of several callers who disable one user at once, one has
// done it.
func (db *DB) SetActive(ctx context.Context, id string, active bool, now time.Time, events ...audit.Event) error {
	if text(id) != nil {
		return userstore.ErrNotFound
	}
	differs := ` AND is_active`
	if active {
		differs = ` AND NOT is_active`
	}
	set := func(condition string) stmt {
		return bind(`UPDATE users SET is_active = $1, updated_at = $2, version = version + 1, token_epoch = token_epoch + 1 WHERE id = $3`+
			differs+condition, active, micros(now), id)
	}
	var err error
	if active {
		err = db.as("SetActive").change(ctx, true, set(""), userstore.ErrConflict, events)
	} else {
		err = db.as("SetActive").transactWithEvents(ctx, true, events, func(run exec, _ bool) (bool, error) {
			n, err := db.keepingAnAdmin(run, set)
			if err != nil || n[0] == 0 {
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
		return userstore.ErrConflict // disabled again in between
	}
	return userstore.ErrLastAdmin
}

// DeleteUser deletes everything that is stored for the user. A retry without events that finds no
// user returns nil: the try whose answer was lost deleted the user.
func (db *DB) DeleteUser(ctx context.Context, id string, events ...audit.Event) error {
	if text(id) != nil {
		return userstore.ErrNotFound
	}
	lost := false
	err := db.as("DeleteUser").transactWithEvents(ctx, true, events, func(run exec, maybeDone bool) (bool, error) {
		lost = maybeDone && len(events) == 0
		n, err := db.keepingAnAdmin(run, func(condition string) stmt {
			return bind(`DELETE FROM users WHERE id = $1`+condition, id)
		})
		if err != nil || n[0] == 0 {
			return false, orElse(err, userstore.ErrConflict)
		}
		_, err = run(endAppsOfDeleted(id, events)...)
		return err == nil, err
	})
	if errors.Is(err, userstore.ErrConflict) {
		err = db.as("DeleteUser").whyUnchanged(ctx, id, anyVersion)
		if errors.Is(err, userstore.ErrNotFound) && lost {
			return nil
		}
	}
	return err
}
