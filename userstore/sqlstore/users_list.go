package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/userstore"
)

// A page of users is found in one of two ways, which find the same users:
//
//   - The walk goes along the list, in its order, and ends when the page is full. It is quick where
//     many match, and reads everything where few do. The list is that of all users, of the
//     disabled, or of those with a role: each has an index in the list's order.
//   - The look-up takes the users whose names hold the text from the index of trigrams, and sorts
//     them. It is quick where few match.
//
// How many match is not known before. A short walk begins; if the page is not full then, what it
// found says which way is the shorter one from there. Names need not be spread evenly over the list,
// so each step has a bound, and the other way comes next, with a larger one: until a look-up has
// found all who match, or a walk has filled the page or come to the end of the list.
//
// A text that no trigrams serve is found by walking alone, step by step, and so are those who may
// log in. So many rows may have to be read that no caller would wait for them: when the patience is
// over, the page ends where the walk is, however few users it has, and the caller goes on from there.
type searchBounds struct {
	first    int64         // rows of the list that the first walk reads
	names    int64         // names that a look-up finds
	walk     int64         // rows that a later walk reads
	patience time.Duration // of a caller: after it, no further step is begun
	// dearName is how many rows of a walk are read in the time in which a look-up reads one: it
	// jumps.
	dearName int64
	sampled  int64 // PostgreSQL: from so many users on, a sample of names says which trigrams are rare
}

// unbounded is more rows than there are.
const unbounded = 1 << 40

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

// stmt returns the statement. PostgreSQL plans it with its arguments: a plan for any text and any
// role would read the whole table for some.
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
	end     *userstore.User // the place in the list at which a walk ends; nil: its end
}

func (db *DB) search(q userstore.UserQuery) userSearch {
	s := userSearch{q: q}
	if q.Text != "" {
		// A whole address may differ from its canonical form; a part of an address is only folded.
		folded, address := userstore.Folded(q.Text), ""
		if key, ok := userstore.EmailKey(q.Text); ok {
			address = key
		}
		s.folded = folded
		s.exactly = condition{
			`u.id = $ OR u.id = (SELECT s.user_id FROM subjects s WHERE s.subject = $) OR u.email_key = $`,
			[]any{q.Text, q.Text, address},
		}
		// By replace, not LIKE: no character of the text has a meaning, and both engines agree
		// about case.
		s.text = condition{`(` + s.exactly.sql + ` OR ` + namesHold + `)`,
			append(slices.Clone(s.exactly.args), folded, folded)}
	}
	if q.Role != "" {
		role := strings.TrimPrefix(strings.TrimSuffix(list([]string{q.Role}), `]`), `[`)
		// See isAdmin.
		s.role = condition{`replace(replace(u.roles, $, ''), $, '') <> u.roles`, []any{`[` + role, `,` + role}}
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

// after is the place in the list behind which the page, or the rest of it, begins.
func (s *userSearch) after(created, id string) (c condition) {
	if s.q.After != nil {
		c = condition{`(` + created + `, ` + id + `) > ($, $)`, []any{micros(s.q.After.CreatedAt), s.q.After.ID}}
	}
	return c
}

// upTo is the place in the list at which a walk ends; without a place, it ends with the list.
func (s *userSearch) upTo(created, id string) (c condition) {
	if s.end != nil {
		c = condition{`(` + created + `, ` + id + `) <= ($, $)`, []any{micros(s.end.CreatedAt), s.end.ID}}
	}
	return c
}

// listHolds reports whether the whole list that a walk goes along matches.
func (s *userSearch) listHolds() bool {
	return s.q.Text == "" && s.q.Role == "" && s.q.State != userstore.Enabled
}

// listed adds the next rows of the list that a walk goes along: some columns of them, and a LIMIT
// clause. That of the disabled has an index. No index finds those who may log in where most may
// not, so they are compared on the way, like a text.
func (s *userSearch) listed(b *statement, ofUser, ofRole, limit string, args ...any) {
	if s.q.Role != "" && s.has.roles {
		b.add(`SELECT `+ofRole+` FROM search_roles r WHERE r.role = $ AND r.disabled = $`,
			indexedRole(s.q.Role), s.q.State == userstore.Disabled)
		b.and(s.after(`r.created_at`, `r.user_id`), s.upTo(`r.created_at`, `r.user_id`))
		b.add(` ORDER BY r.created_at, r.user_id `+limit, args...)
		return
	}
	b.add(`SELECT ` + ofUser + ` FROM users u WHERE TRUE`)
	b.and(s.after(`u.created_at`, `u.id`), s.upTo(`u.created_at`, `u.id`))
	if s.q.State == userstore.Disabled {
		b.and(s.state)
	}
	b.add(` ORDER BY u.created_at, u.id `+limit, args...)
}

// walk returns the statement that goes along the next most rows of the list.
func (s *userSearch) walk(most int64) stmt {
	var b statement
	b.add(`SELECT ` + userColumns + ` FROM (`)
	s.listed(&b, userColumns, `r.created_at AS listed_at, r.user_id`, `LIMIT $`, most)
	if s.q.Role != "" && s.has.roles {
		b.add(`) AS listed CROSS JOIN users u WHERE u.id = listed.user_id`)
		b.and(s.text, s.role, s.state)
		b.add(` ORDER BY listed.listed_at, listed.user_id LIMIT $`, int64(s.q.Limit))
	} else {
		b.add(`) u WHERE TRUE`)
		b.and(s.text, s.role, s.state)
		b.add(` ORDER BY u.created_at, u.id LIMIT $`, int64(s.q.Limit))
	}
	return b.stmt()
}

// place returns the statement that finds the last of the next most rows of the list; no row: the
// list has fewer.
func (s *userSearch) place(most int64) stmt {
	var b statement
	s.listed(&b, `u.created_at, u.id`, `r.created_at, r.user_id`, `LIMIT 1 OFFSET $`, most-1)
	return b.stmt()
}

// lookUp returns the statement that finds the users whose names hold the text by their trigrams, at
// most that many. The users who are named exactly are added. Each row ends with the number of names
// that were found.
//
// PostgreSQL plans hits as if all of them were wanted, which is what makes it use the index, and
// reads no more of them than found takes.
func (db *DB) lookUp(s *userSearch, match condition, most int64) stmt {
	rest := []condition{s.after(`u.created_at`, `u.id`), s.role, s.state}
	var b statement
	b.add(`WITH hits AS ` + db.dialect.hits + ` (SELECT u.id, u.created_at FROM `)
	b.add(match.sql, match.args...)
	b.and(rest...)
	b.add(`), found AS MATERIALIZED (SELECT id, created_at FROM hits LIMIT $`, most)
	b.add(`), page AS (SELECT id, created_at FROM
		(SELECT id, created_at FROM found ORDER BY created_at, id LIMIT $) AS f
		UNION SELECT u.id, u.created_at FROM users u WHERE (`, int64(s.q.Limit))
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

func (db *DB) ListUsers(ctx context.Context, q userstore.UserQuery) (userstore.UserPage, error) {
	if q.Limit < 1 {
		return userstore.UserPage{}, fmt.Errorf("%w: a page of %d users", userstore.ErrInvalid, q.Limit)
	}
	if texts(q.Text, q.Role) != nil { // no user has it
		return userstore.UserPage{}, nil
	}
	patience, cancel := context.WithTimeout(ctx, db.dialect.bounds.patience)
	defer cancel()
	p := pageSearch{db: db.as("ListUsers"), s: db.search(q), late: func() bool { return patience.Err() != nil }}
	if err := p.find(ctx); err != nil {
		return userstore.UserPage{}, err
	}
	return p.answer(), nil
}

// pageSearch is the search for a page: what it has found of it, and the place in the list behind
// which it goes on.
type pageSearch struct {
	db   named
	s    userSearch // for the rest of the page
	page []userstore.User
	done bool        // the page is full, or there are no more
	late func() bool // the patience is over
}

func (p *pageSearch) add(found []userstore.User) {
	p.page = append(p.page, found...)
	p.s.q.Limit -= len(found)
}

func (p *pageSearch) answer() userstore.UserPage {
	answer := userstore.UserPage{Users: p.page}
	switch {
	case p.s.q.Limit == 0:
		answer.Next = &p.page[len(p.page)-1]
	case !p.done:
		answer.Next = p.s.q.After
	}
	return answer
}

// find looks for the page: see searchBounds. It walks at least a step, so that callers who go on
// come to the end.
func (p *pageSearch) find(ctx context.Context) error {
	b, s := p.db.dialect.bounds, &p.s
	if s.listHolds() {
		page, _, err := p.db.usersPage(ctx, s.walk(int64(s.q.Limit)), 0)
		p.add(page)
		p.done = true
		return err
	}
	if s.q.Text != "" || s.q.Role != "" {
		var err error
		if s.has, err = p.db.searchIndexes(ctx); err != nil {
			return err
		}
	}
	if err := p.walk(ctx, b.first); err != nil || p.done {
		return err
	}
	if s.q.Text == "" || !s.has.trigrams || !p.db.dialect.hasTrigrams(s.folded, s.has) {
		for {
			if err := p.walk(ctx, b.walk); err != nil || p.done || p.late() {
				return err
			}
		}
	}
	if rows := p.shorter(b); rows > 0 {
		if err := p.walk(ctx, rows); err != nil || p.done {
			return err
		}
	}
	f, err := p.db.dialect.byTrigrams(ctx, p.db, s)
	if err != nil {
		return err
	}
	names := min(max(b.names, 2*f.names), 10*b.names)
	for rows := b.walk; ; names, rows = 4*names, 4*rows {
		if err := p.lookUp(ctx, f.match, names); err != nil || p.done {
			return err
		}
		if err := p.walk(ctx, rows); err != nil || p.done {
			return err
		}
	}
}

// shorter returns how many rows to walk on, after the first walk; 0: a look-up is shorter.
func (p *pageSearch) shorter(b searchBounds) int64 {
	found, wanted := int64(len(p.page)), int64(p.s.q.Limit)
	if found == 0 {
		return 0
	}
	rows := wanted * b.first / found
	names := max(p.s.has.users, 100_000) * found / b.first
	if rows > names*b.dearName || 2*rows > b.walk {
		return 0
	}
	return 2 * rows
}

// walk goes along the next rows of the list. Where it ends is asked first, and every row up to that
// place is compared: rows may come and go between the two statements, and none is to be left out or
// read twice.
func (p *pageSearch) walk(ctx context.Context, most int64) error {
	s := &p.s
	if most < unbounded {
		var end userstore.User
		var created int64
		err := p.db.one(ctx, s.place(most), func(row scanner) error { return row.Scan(&created, &end.ID) })
		switch {
		case errors.Is(err, userstore.ErrNotFound):
			most = unbounded // the list has fewer rows
		case err != nil:
			return err
		default:
			end.CreatedAt = instant(created)
			s.end = &end
			defer func() { s.end = nil }()
		}
	}
	found, _, err := p.db.usersPage(ctx, s.walk(unbounded), 0)
	if err != nil {
		return err
	}
	p.add(found)
	p.done = s.q.Limit == 0 || most == unbounded
	s.q.After = s.end
	return nil
}

// lookUp finds the rest of the page by trigrams, if at most that many names are found.
func (p *pageSearch) lookUp(ctx context.Context, match condition, most int64) error {
	rest, found, err := p.db.usersPage(ctx, p.db.lookUp(&p.s, match, most), 1)
	if p.done = err == nil && found < most; p.done {
		p.add(rest)
	}
	return err
}

// usersPage runs a statement that returns users, each followed by so many numbers: none, or the one
// that it returns.
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
