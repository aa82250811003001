package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const insertUser = `INSERT INTO users (id, email, email_key, email_verified, username, username_key, claims, roles,
		is_active, is_staff, created_at, updated_at, version, last_login_at, last_session_id, password_hash)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13, '', $14)
	ON CONFLICT `

func userArgs(u userstore.User, claims, roles string) []any {
	return []any{u.ID, u.Email, u.EmailKey, u.EmailVerified, u.Username, u.UsernameKey, claims, roles,
		u.IsActive, u.IsStaff, micros(u.CreatedAt), micros(u.UpdatedAt), micros(u.LastLoginAt), u.PasswordHash}
}

// manyLock is the number by which imports wait for each other.
const manyLock int64 = 0x6d616e79 // "many"

// CreateUsers is one transaction of as many statements, in one round trip: how many rows each of
// them changed tells which found a name taken. Who has it is asked afterwards, and only about those.
//
// On PostgreSQL such acts take turns. Two that make the same accounts in another order would each
// hold names that the other one waits for, and to be begun again is of no use when they meet again.
//
// When it is begun again because an answer was lost, a row under the same random id and
// name is the one of the first try; its event came with it.
func (db *DB) CreateUsers(ctx context.Context, users []userstore.User, events ...audit.Event) (map[int]userstore.User, error) {
	if len(users) == 0 {
		return nil, nil
	}
	s := make([]stmt, len(users))
	for i, u := range users {
		claims, roles, err := encode(u)
		if err != nil {
			return nil, err
		}
		s[i] = bind(insertUser+`DO NOTHING`, userArgs(u, claims, roles)...)
		if err := storable(s[i].args); err != nil {
			return nil, err
		}
	}
	if len(events) != 0 && len(events) != len(users) {
		return nil, fmt.Errorf("%w: %d events of %d users", userstore.ErrInvalid, len(events), len(users))
	}
	rows := eventRows(events)
	var turn []stmt
	if db.dialect.lock != "" {
		turn = append(turn, bind(db.dialect.lock, manyLock))
	}
	s = append(turn, s...)
	var counts []int64
	var lost bool
	err := db.act(ctx, true, func(ctx context.Context, again bool) (err error) {
		lost = again
		if len(events) == 0 {
			counts, err = db.engine.batch(ctx, s)
			return err
		}
		return db.engine.transact(ctx, func(run exec) (err error) {
			if counts, err = run(s...); err != nil {
				return err
			}
			var made []eventRow
			for i, n := range counts[len(turn):] {
				if n > 0 {
					made = append(made, rows[i])
				}
			}
			tell, _ := storeEvents(made)
			_, err = run(tell...)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	var refused []userstore.User
	var at []int
	for i, n := range counts[len(turn):] {
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
		case !ok: // deleted since: its caller may come again
			return nil, userstore.ErrConflict
		case lost && holder.ID == users[i].ID && holder.EmailKey == users[i].EmailKey:
		default:
			taken[i] = holder
		}
	}
	return taken, nil
}

// likeness is how many users one statement of UsersLike looks for. The text is always the same, so that
// it is prepared once; what is left of its places repeats the last one.
const likeness = 50

var usersLike = func() string {
	n := 0
	list := func() string {
		places := make([]string, likeness)
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
	for start := 0; start < len(users); start += likeness {
		part := users[start:min(start+likeness, len(users))]
		args := make([]any, 3*likeness)
		for i := range likeness {
			u := part[min(i, len(part)-1)]
			args[i], args[likeness+i], args[2*likeness+i] = u.ID, u.EmailKey, u.UsernameKey
		}
		var found []userstore.User
		err := db.rows(ctx, bind(usersLike, args...), func() { found = nil }, func(row scanner) error {
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
		// The id counts for more than the address, and that for more than the username.
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
