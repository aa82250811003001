package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// A page of users is found in one of two ways, which find the same users:
//
//   - The walk goes along the list, in its order, and ends when the page is full. It is quick where
//     many match, and reads everything where few do. The list is that of all users, of the disabled, or
//     of those with a role: each has an index in the list's order.
//   - The look-up takes the users whose names hold the text from the index of trigrams, and sorts them.
//     It is quick where few match.
//
// How many match is not known before. So the two take turns, each with a bound on what it reads that
// grows from turn to turn: see searchTurns.
type searchTurn struct {
	lookUp bool
	most   int // rows of the list that a walk reads, and names that a look-up finds; 0: all
}

// searchTurns end with one that has no bound, and so always has the answer. Where names are spread evenly,
// the first two have it, or the third soon has. The last is for names that many have, all of whom come
// late in the list.
var searchTurns = []searchTurn{{false, 2000}, {true, 5000}, {false, 50_000}, {true, 0}}

// condition is a part of a WHERE clause, with $ for each argument.
type condition struct {
	sql  string
	args []any
}

// statement is a statement that is being put together.
type statement struct {
	sql  strings.Builder
	args []any
}

func (s *statement) add(sql string, args ...any) {
	s.sql.WriteString(sql)
	s.args = append(s.args, args...)
}

// and adds conditions behind others.
func (s *statement) and(all ...condition) {
	for _, c := range all {
		if c.sql != "" {
			s.add(` AND `+c.sql, c.args...)
		}
	}
}

// stmt returns the statement. PostgreSQL plans it with its arguments: a plan for any text and any role
// would read the whole table for some.
func (s *statement) stmt() stmt {
	b := bind(numbered(s.sql.String()), s.args...)
	b.planned = true
	return b
}

// userSearch is a query, as conditions on a user's row u.
type userSearch struct {
	q       userstore.UserQuery
	folded  string // the text, as names are stored
	exactly condition
	text    condition
	role    condition
	state   condition
	has     searchIndexes
}

func (db *DB) search(q userstore.UserQuery, has searchIndexes) userSearch {
	s := userSearch{q: q, has: has}
	if q.Text != "" {
		// A whole address may differ from its canonical form; a part of an address is only folded.
		folded, address := userstore.Folded(q.Text), ""
		if key, ok := userstore.EmailKey(q.Text); ok {
			address = key
		}
		s.folded = folded
		s.exactly = condition{`u.id = $ OR u.id = (SELECT s.user_id FROM subjects s WHERE s.subject = $) OR u.email_key = $`,
			[]any{q.Text, q.Text, address}}
		// By replace, not LIKE: no character of the text has a meaning, and both engines agree about case.
		s.text = condition{`(` + s.exactly.sql + ` OR ` + namesHold + `)`, append([]any{q.Text, q.Text, address}, folded, folded)}
	}
	if q.Role != "" {
		role := strings.TrimPrefix(strings.TrimSuffix(list([]string{q.Role}), `]`), `[`)
		s.role = condition{`replace(replace(u.roles, $, ''), $, '') <> u.roles`, []any{`[` + role, `,` + role}} // see isAdmin
	}
	switch q.State {
	case userstore.Enabled:
		s.state = condition{sql: `u.is_active`}
	case userstore.Disabled:
		s.state = condition{sql: `NOT u.is_active`}
	}
	return s
}

// namesHold is true of the users one of whose names holds a text.
const namesHold = `replace(u.email_key, $, '') <> u.email_key OR replace(u.username_key, $, '') <> u.username_key`

// after is the place in the list behind which the page begins.
func (s *userSearch) after(created, id string) (c condition) {
	if s.q.After != nil {
		c = condition{`(` + created + `, ` + id + `) > ($, $)`, []any{micros(s.q.After.CreatedAt), s.q.After.ID}}
	}
	return c
}

// walk returns the statement that goes along the list, or along the next most rows of it.
func (s *userSearch) walk(most int) stmt {
	if s.q.Role != "" && s.has.roles {
		return s.walkRole(most)
	}
	var b statement
	b.add(`SELECT ` + userColumns + ` FROM `)
	if most > 0 {
		b.add(`(SELECT ` + userColumns + ` FROM users u WHERE TRUE`)
		b.and(s.after(`u.created_at`, `u.id`), s.state)
		b.add(` ORDER BY u.created_at, u.id LIMIT ` + strconv.Itoa(most) + `) u WHERE TRUE`)
		b.and(s.text, s.role)
	} else {
		b.add(`users u WHERE TRUE`)
		b.and(s.after(`u.created_at`, `u.id`), s.text, s.role, s.state)
	}
	b.add(` ORDER BY u.created_at, u.id LIMIT $`, int64(s.q.Limit))
	return b.stmt()
}

// walkRole is walk along the users with a role.
func (s *userSearch) walkRole(most int) stmt {
	var b statement
	b.add(`SELECT `+userColumns+` FROM (SELECT r.created_at, r.user_id FROM search_roles r WHERE r.role = $ AND r.disabled = $`,
		indexedRole(s.q.Role), s.q.State == userstore.Disabled)
	b.and(s.after(`r.created_at`, `r.user_id`))
	if most > 0 {
		b.add(` ORDER BY r.created_at, r.user_id LIMIT ` + strconv.Itoa(most))
	}
	b.add(`) AS listed CROSS JOIN users u WHERE u.id = listed.user_id`)
	b.and(s.text, s.role, s.state)
	b.add(` ORDER BY listed.created_at, listed.user_id LIMIT $`, int64(s.q.Limit))
	return b.stmt()
}

// lookUp returns the statement that finds names by their trigrams, at most that many. The users who are
// named exactly are added. Each row ends with the number of names that were found.
func (db *DB) lookUp(s *userSearch, most int) stmt {
	rest := []condition{s.after(`u.created_at`, `u.id`), s.role, s.state}
	var b statement
	b.add(`WITH found AS MATERIALIZED (SELECT u.id, u.created_at FROM `)
	match := db.dialect.byTrigrams(s.folded)
	b.add(match.sql, match.args...)
	b.and(rest...)
	if most > 0 {
		b.add(` LIMIT ` + strconv.Itoa(most))
	}
	b.add(`), page AS (SELECT id, created_at FROM found UNION SELECT u.id, u.created_at FROM users u WHERE (`)
	b.add(s.exactly.sql, s.exactly.args...)
	b.add(`)`)
	b.and(rest...)
	if db.dialect.notYet != "" {
		b.add(` UNION SELECT u.id, u.created_at FROM `+db.dialect.notYet, s.folded, s.folded)
		b.and(rest...)
	}
	b.add(` ORDER BY created_at, id LIMIT $) SELECT `+userColumns+`, (SELECT COUNT(*) FROM found)
		FROM page p CROSS JOIN users u WHERE u.id = p.id ORDER BY p.created_at, p.id`, int64(s.q.Limit))
	return b.stmt()
}

func (db *DB) ListUsers(ctx context.Context, q userstore.UserQuery) ([]userstore.User, error) {
	if q.Limit < 1 {
		return nil, fmt.Errorf("%w: a page of %d users", userstore.ErrInvalid, q.Limit)
	}
	if texts(q.Text, q.Role) != nil { // no user has it
		return nil, nil
	}
	var has searchIndexes
	if q.Text != "" || q.Role != "" {
		var err error
		if has, err = db.as("ListUsers").searchIndexes(ctx); err != nil {
			return nil, err
		}
	}
	s := db.search(q, has)
	if q.Text == "" || !has.trigrams || !db.dialect.hasTrigrams(s.folded, has) {
		page, _, err := db.as("ListUsers").usersPage(ctx, s.walk(0), 0)
		return page, err
	}
	for _, t := range db.dialect.turns {
		var page []userstore.User
		var found int64
		var err error
		if t.lookUp {
			page, found, err = db.as("ListUsers").usersPage(ctx, db.lookUp(&s, t.most), 1)
		} else {
			page, _, err = db.as("ListUsers").usersPage(ctx, s.walk(t.most), 0)
		}
		if err != nil || t.lookUp && (t.most == 0 || found < int64(t.most)) || !t.lookUp && len(page) == q.Limit {
			return page, err
		}
	}
	return nil, nil // not reached: the last turn has no bound
}

// usersPage runs a statement that returns users, each followed by so many numbers: none, or the one that it
// returns.
func (db named) usersPage(ctx context.Context, s stmt, numbers int) (page []userstore.User, n int64, err error) {
	err = db.rows(ctx, s, func() { page = nil }, func(row scanner) error {
		var r userRow
		to := r.dest()
		if numbers > 0 {
			to = append(to, &n)
		}
		if err := row.Scan(to...); err != nil {
			return err
		}
		u, err := r.user()
		page = append(page, u)
		return err
	})
	return page, n, err
}
