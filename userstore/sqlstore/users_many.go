package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const (
	insertIntoUsers = `INSERT INTO users (id, email, email_key, email_verified, username, username_key, claims, roles,
		is_active, is_staff, created_at, updated_at, version, last_login_at, last_session_id, password_hash) `
	userValues = `$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13, '', $14`

	insertUser = insertIntoUsers + `VALUES (` + userValues + `) ON CONFLICT (id) DO NOTHING`
	// insertUnreserved inserts a user unless the name is taken or the address is reserved, or was
	// reserved a short while ago: a row that reserves an address is removed some time after its
	// end.
	insertUnreserved = insertIntoUsers + `SELECT ` + userValues + ` WHERE NOT EXISTS (SELECT 1 FROM one_time_tokens r
		WHERE r.kind = 'undo_email' AND r.address_key = $15 AND r.user_id <> $16 AND r.spent_at = 0)
		ON CONFLICT DO NOTHING`
)

func userArgs(u userstore.User, claims, roles string) []any {
	return []any{u.ID, u.Email, u.EmailKey, u.EmailVerified, u.Username, u.UsernameKey, claims, roles,
		u.IsActive, u.IsStaff, micros(u.CreatedAt), micros(u.UpdatedAt), micros(u.LastLoginAt), u.PasswordHash}
}

// manyLock is the advisory lock of imports.
const manyLock int64 = 0x6d616e79 // "many"

// CreateUsers is one transaction with one statement for each user, in one round trip. The number of
// rows that each statement changed tells whether a name was taken. The holders of taken names are
// read afterwards.
//
// On PostgreSQL imports wait for each other. Two imports of the same accounts in another order
// would each hold names that the other one waits for, and a retry is of no use when they meet
// again.
//
// When it is retried because an answer was lost, a row under the same random id and name is the
// first try's, and its audit entry and factors are stored as well.
func (db *DB) CreateUsers(
	ctx context.Context, users []userstore.User, factors map[int]userstore.FirstFactors, events ...audit.Event,
) (map[int]userstore.User, error) {
	if len(users) == 0 {
		return nil, nil
	}
	s := make([]stmt, len(users))
	for i, u := range users {
		claims, roles, err := encode(u)
		if err != nil {
			return nil, err
		}
		s[i] = bind(insertUnreserved, append(userArgs(u, claims, roles), u.EmailKey, u.ID)...)
		if err := storable(s[i].args); err != nil {
			return nil, err
		}
	}
	if len(events) != 0 && len(events) != len(users) {
		return nil, fmt.Errorf("%w: %d events of %d users", userstore.ErrInvalid, len(events), len(users))
	}
	first, err := firstFactors(users, factors)
	if err != nil {
		return nil, err
	}
	rows := eventRows(events)
	locks := db.dialect.locked(manyLock)
	s = append(locks, s...)
	var counts []int64
	var lost bool
	err = db.as("CreateUsers").retrying(ctx, true, func(ctx context.Context, maybeDone bool) (err error) {
		lost = maybeDone
		if len(events) == 0 && len(factors) == 0 {
			counts, err = db.engine.batch(ctx, s)
			return err
		}
		return db.engine.transact(ctx, func(run exec) (err error) {
			if counts, err = run(s...); err != nil {
				return err
			}
			var made []eventRow
			var more []stmt
			for i, n := range counts[len(locks):] {
				if n == 0 {
					continue
				}
				more = append(more, first[i]...)
				if len(rows) > 0 {
					made = append(made, rows[i])
				}
			}
			_, err = run(append(more, storeEvents(made)...)...)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	var refused []userstore.User
	var at []int
	for i, n := range counts[len(locks):] {
		if n == 0 {
			refused, at = append(refused, users[i]), append(at, i)
		}
	}
	holders, err := db.UsersLike(ctx, refused)
	if err != nil {
		return nil, err
	}
	taken := make(map[int]userstore.User, len(at))
	for j, i := range at {
		holder, ok := holders[j]
		switch {
		case !ok:
			if holder, err = db.as("CreateUsers").reservedBy(ctx, users[i].EmailKey); errors.Is(err, userstore.ErrNotFound) {
				return nil, userstore.ErrConflict // deleted in between: the caller may retry
			} else if err != nil {
				return nil, err
			}
			taken[i] = holder
		case lost && holder.ID == users[i].ID && holder.EmailKey == users[i].EmailKey:
		default:
			taken[i] = holder
		}
	}
	return taken, nil
}

const (
	insertFirstApp = `INSERT INTO authenticator_apps (id, last_counter, last_used_at, user_id, confirmed, sealed,
		algorithm, digits, period, created_at) VALUES ($1, $2, 0, $3, TRUE, $4, $5, $6, $7, $8)`
	vouchForFirst    = `UPDATE users SET factors_vouched = NOT email_verified WHERE id = $1`
	insertFirstCodes = `INSERT INTO recovery_codes (user_id, mac, created_at) VALUES `

	// codesAtOnce is how many codes one statement stores. Statements of as many codes have one text, so
	// that few are prepared.
	codesAtOnce = 20
)

// firstFactors returns the statements that store the factors of new users, by the user's index.
func firstFactors(users []userstore.User, factors map[int]userstore.FirstFactors) (map[int][]stmt, error) {
	all := make(map[int][]stmt, len(factors))
	for i, f := range factors {
		if i < 0 || i >= len(users) || f.App.UserID != users[i].ID {
			return nil, fmt.Errorf("%w: a factor of another user", userstore.ErrInvalid)
		}
		a := f.App
		if err := indexable(a.ID); err != nil {
			return nil, err
		}
		s := []stmt{bind(insertFirstApp, a.ID, a.LastCounter, a.UserID, a.Sealed, a.Algorithm, int64(a.Digits),
			int64(a.Period), micros(a.CreatedAt))}
		for codes := range slices.Chunk(f.RecoveryCodes, codesAtOnce) {
			var args []any
			for _, mac := range codes {
				args = append(args, a.UserID, mac, micros(a.CreatedAt))
			}
			places := strings.Repeat(", ($, $, $)", len(codes))[len(", "):]
			s = append(s, bind(numbered(insertFirstCodes+places+` ON CONFLICT DO NOTHING`), args...))
		}
		s = append(s, bind(recountUser, a.UserID), bind(vouchForFirst, a.UserID))
		if err := storables(s); err != nil {
			return nil, err
		}
		all[i] = s
	}
	return all, nil
}

// usersPerLookup is how many users one statement of UsersLike looks for. The text of the statement
// is always the same, so that it is prepared once; unused parameters repeat the last user.
const usersPerLookup = 50

var usersLike = func() string {
	n := 0
	list := func() string {
		places := make([]string, usersPerLookup)
		for i := range places {
			n++
			places[i] = fmt.Sprintf("$%d", n)
		}
		return "(" + strings.Join(places, ", ") + ")"
	}
	return `SELECT ` + userColumns + ` FROM users u WHERE u.id IN ` + list() + ` OR u.email_key IN ` + list() +
		` OR u.username_key <> '' AND u.username_key IN ` + list()
}()

func (db *DB) UsersLike(ctx context.Context, users []userstore.User) (map[int]userstore.User, error) {
	like := map[int]userstore.User{}
	for start := 0; start < len(users); start += usersPerLookup {
		part := users[start:min(start+usersPerLookup, len(users))]
		args := make([]any, 3*usersPerLookup)
		for i := range usersPerLookup {
			u := part[min(i, len(part)-1)]
			args[i], args[usersPerLookup+i], args[2*usersPerLookup+i] = u.ID, u.EmailKey, u.UsernameKey
		}
		var found []userstore.User
		err := db.as("UsersLike").rows(ctx, bind(usersLike, args...), func() { found = nil }, func(row scanner) error {
			var r userRow
			if err := row.Scan(r.dest()...); err != nil {
				return err
			}
			u, err := r.user()
			found = append(found, u)
			return err
		})
		if err != nil {
			return nil, err
		}
		// The id takes precedence over the address, and the address over the username.
		byID, byEmail, byUsername := map[string]userstore.User{}, map[string]userstore.User{}, map[string]userstore.User{}
		for _, u := range found {
			byID[u.ID], byEmail[u.EmailKey] = u, u
			if u.UsernameKey != "" {
				byUsername[u.UsernameKey] = u
			}
		}
		for i, u := range part {
			holder, ok := byID[u.ID]
			if !ok {
				holder, ok = byEmail[u.EmailKey]
			}
			if !ok {
				holder, ok = byUsername[u.UsernameKey]
			}
			if ok {
				like[start+i] = holder
			}
		}
	}
	return like, nil
}
